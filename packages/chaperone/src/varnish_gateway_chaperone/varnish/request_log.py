"""The log of requests: a program of Varnish's own beside varnishd, whose lines are our standard output."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.supervisor.process import Child
from varnish_gateway_chaperone.supervisor.tree import Kept
from varnish_gateway_chaperone.varnish.daemon import Varnishd
from varnish_gateway_chaperone.varnish.statistics import beside
from varnish_gateway_common import names
from varnish_gateway_common.pod import RequestLog

LOOK_SECONDS: Final = 0.2
STOP_SECONDS: Final = 2.0


class RequestLogger:
    """The program runs while a varnishd does that is to have one; when it ends it is started again."""

    def __init__(self, varnishd: Path, workdir: Path, now: Callable[[], Varnishd | None], log: Log) -> None:
        """`now`: the varnishd that runs."""
        self._varnishd = varnishd
        self._workdir = workdir
        self._now = now
        self._log = log

    async def run(self) -> None:
        """For ever."""
        while True:
            varnishd = self._now()
            if varnishd and varnishd.worker and (wanted := varnishd.pod.pod.request_log):
                await self._log_of(varnishd, wanted)
            await asyncio.sleep(LOOK_SECONDS)

    async def _log_of(self, varnishd: Varnishd, wanted: RequestLog) -> None:
        """To the end of this varnishd: another one has another shared memory."""
        kept = Kept(wanted.program, partial(Child.start, self._command(wanted)), self._log)
        try:
            while self._now() is varnishd:  # noqa: ASYNC110 - that has no event
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await kept.stop(STOP_SECONDS)

    def _command(self, wanted: RequestLog) -> list[str]:
        """It waits for the log as long as that takes."""
        program = beside(self._varnishd, wanted.program)
        return [program, "-n", str(self._workdir), "-t", "off", *without_own_requests(wanted.arguments)]


def without_own_requests(arguments: Iterable[str]) -> list[str]:
    """With a query that leaves out what chaperone itself asks ghost. Varnish would take either of two queries."""
    asked: list[str] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        if word.startswith("-q"):
            asked.append(word[2:] or next(words, ""))
        else:
            others.append(word)
    own = f'not ReqStart[3] eq "{names.INTERNAL_SOCKET}"'
    either = " or ".join(f"({query})" for query in asked)
    return [*others, "-q", f"{own} and ({either})" if either else own]
