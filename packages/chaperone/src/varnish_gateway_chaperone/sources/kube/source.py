"""The source itself: what has to be followed is followed, and what is known becomes views."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Final

from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedRouting
from varnish_gateway_chaperone.outward import is_outward
from varnish_gateway_chaperone.sources.kube.assembly import Assembly, Known
from varnish_gateway_chaperone.sources.kube.objects import Subject, read
from varnish_gateway_chaperone.supervisor.tree import guarded
from varnish_gateway_common.kube.api import (
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    Reach,
    Reader,
    reach_of,
)
from varnish_gateway_common.kube.watch import Heard, follow

GATHER_SECONDS: Final = 0.01
"""Events that come at once, as when many pods are replaced, become one view."""
HOLD_SECONDS: Final = 2.0
"""What belongs together and has not arrived after this time is done without."""


LASTING: Final = (ForbiddenError, NotFoundError, InvalidError)
"""What waiting alone does not mend, and somebody has to be told."""


class KubeSource:
    """The inputs of a gateway's pod; what is known stays while the API server cannot be reached."""

    def __init__(
        self,
        kube: Reader,
        namespace: str,
        assembly: Assembly,
        log: Log,
        *,
        may_lead_to: Callable[[str], bool] = is_outward,
    ) -> None:
        self._read = partial(read, may_lead_to=may_lead_to)
        self._kube = kube
        self._namespace = namespace
        self._assembly = assembly
        self._log = log
        self._known = Known()
        self._news = asyncio.Event()
        self._tasks: dict[Subject, asyncio.Task[None]] = {}
        self._failing: dict[Subject, KubeError] = {}
        self._failures = 0
        self._is_impatient = False
        self.in_effect: Callable[[], ParsedRouting | None] = lambda: None
        """What ghost runs: its endpoints are wanted although a newer routing names others."""

    async def views(self) -> AsyncIterator[Inputs]:
        """The sockets at once, so that varnishd can start; then documents as they come, and complete views."""
        last: Inputs | None = None
        until: float | None = None
        self._news.set()
        try:
            while True:
                is_patient = await self._next(until)
                view = self._assembly.view(self._known, self.in_effect(), is_patient=is_patient)
                self._want(self._assembly.wanted)
                until = (until or time.monotonic() + HOLD_SECONDS) if self._assembly.awaited else None
                if view != last:
                    yield view
                last = view
        finally:
            self._want(())

    @property
    def reach(self) -> Reach:
        """As it was at the last attempts."""
        return reach_of(self._failing.values(), self._failures)

    async def _next(self, until: float | None) -> bool:
        """Wait for news, but no longer than for what is awaited; whether there is patience left."""
        left = None if until is None or self._is_impatient else max(until - time.monotonic(), 0.0)
        try:
            async with asyncio.timeout(left):
                await self._news.wait()
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            self._log.warning("what belongs together is not complete", awaited=list(self._assembly.awaited))
        self._news.clear()
        self._is_impatient = until is not None and time.monotonic() >= until
        return not self._is_impatient

    def _want(self, subjects: Iterable[Subject]) -> None:
        """Follow these, and no others."""
        wanted = set(subjects)
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
            self._known.forget(gone)
            self._failing.pop(gone, None)
        for subject in sorted(wanted - self._tasks.keys(), key=str):
            work = partial(self._follow, subject)
            self._tasks[subject] = asyncio.create_task(guarded(str(subject), work, self._log), name=str(subject))

    async def _follow(self, subject: Subject) -> None:
        heard = Heard(self._kube, partial(self._mended, subject))
        selection = subject.selection(self._namespace)
        fail = partial(self._failed, subject)
        async for news in follow(heard, selection, partial(self._read, subject), on_failure=fail):
            self._known.take(subject, news)
            self._news.set()

    def _failed(self, subject: Subject, error: KubeError) -> None:
        """Said once, and not again for each attempt; what is known stays."""
        self._failures += 1
        before, self._failing[subject] = self._failing.get(subject), error
        if before is None or str(before) != str(error):
            self._log.warning(f"{subject} cannot be followed; what is known stays", reason=str(error))
            if isinstance(error, LASTING):
                self._known.troubles[subject] = str(error)
                self._news.set()

    def _mended(self, subject: Subject) -> None:
        if self._failing.pop(subject, None):
            self._log.info(f"{subject} is followed again")
        if self._known.troubles.pop(subject, None):
            self._news.set()
