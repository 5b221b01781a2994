"""Reports into the gateway's report ConfigMap, under the pod's name: never waited for, the newest wins."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.sources.kube.client import Kube
from varnish_gateway_common.kube.api import KubeError, path_of
from varnish_gateway_common.kube.watch import Pause
from varnish_gateway_common.report import Report

SETTLE_SECONDS: Final = 0.1
"""Between two reports: a hundred changes in a second are not a hundred writes."""
AGAIN_SECONDS: Final = 60.0
"""A report that somebody removed comes back after this time; one that is there is not even written."""


class KubeReport:
    """Takes reports, and delivers them beside the rounds."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        config_map: str,
        log: Log,
        *,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._path = path_of("v1", "configmaps", namespace=namespace, name=config_map)
        self._log = log
        self._sleep = sleep
        self._newest: Report | None = None
        self._news = asyncio.Event()
        self._trouble = ""

    def write(self, report: Report) -> bool:
        if report == self._newest:
            return False
        self._newest = report
        self._news.set()
        return True

    async def deliver(self) -> None:
        """For ever."""
        pause = Pause()
        while True:
            await self._next()
            try:
                await self._patch()
            except KubeError as error:
                self._say(str(error))
                self._news.set()  # whatever is the newest by then
                await self._sleep(pause.after(error, 0.0))
            else:
                self._say("")
                pause = Pause()
                await self._sleep(SETTLE_SECONDS)

    async def _next(self) -> None:
        try:
            async with asyncio.timeout(AGAIN_SECONDS if self._newest else None):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    async def _patch(self) -> None:
        if report := self._newest:
            await self._kube.merge(self._path, {"data": {report.pod: report.to_json().decode()}})

    def _say(self, reason: str) -> None:
        """Once, not for every attempt."""
        if reason and reason != self._trouble:
            self._log.warning("the report is not delivered; tried again", reason=reason)
        self._trouble = reason
