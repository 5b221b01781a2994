"""What the tests of this package share; conftest.py puts this folder on the path."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from varnish_gateway_chaperone.logs import configure


class Until(Protocol):
    """`await until(lambda: claim)`."""

    def __call__(self, claim: Callable[[], object], seconds: float = 5) -> Awaitable[None]: ...


async def wait_until(claim: Callable[[], object], seconds: float = 5) -> None:
    """Fails when the claim does not hold in time."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class Lines:
    """A log, and what was said in it."""

    def __init__(self) -> None:
        self._out = io.StringIO()
        self.log = configure(is_verbose=True, stream=self._out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]

    def said(self, text: str) -> list[dict[str, Any]]:
        """The lines that contain it."""
        return [event for event in self.events if text in json.dumps(event, ensure_ascii=False)]
