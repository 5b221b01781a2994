"""The program in a cluster: everything followed, rounds while the Lease is held, health and metrics."""

import asyncio
import gc
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from varnish_gateway_common.kube.api import KubeError
from varnish_gateway_common.web import COLLECT_SECONDS, Answer, Page, Web, at_most_every
from varnish_gateway_operator.kube.api import Kube
from varnish_gateway_operator.kube.apply import Applier
from varnish_gateway_operator.kube.client import connect
from varnish_gateway_operator.kube.events import Events
from varnish_gateway_operator.kube.following import Following
from varnish_gateway_operator.kube.kinds import Source, config_map_source, secret_source, sources
from varnish_gateway_operator.kube.lease import Fenced, Lease
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.metrics import CONTENT_TYPE, Facts, exposition
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.reconcilers.gateway import GatewayReconciler
from varnish_gateway_operator.reconcilers.httproute import HttpRouteReconciler
from varnish_gateway_operator.reconcilers.round import Rounds
from varnish_gateway_operator.translate import Options
from varnish_gateway_operator.translate.certificates import ends_of
from varnish_gateway_operator.translate.objects.shape import ClusterOptions
from varnish_gateway_operator.translate.wanted_secrets import wanted_secrets

log = structlog.get_logger()

SETTLE_SECONDS: Final = 0.01
"""Changes come in groups: a round begins once there was none for so long."""
LATEST_SECONDS: Final = 0.1
"""... or after so long, whatever still comes."""
RETRY_SECONDS: Final = (0.5, 10.0)
"""What is not finished is tried again after so long: twice as long each time, up to the second."""


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    lease_namespace: str
    lease_name: str
    identity: str
    web_address: str
    web_port: int
    cluster: ClusterOptions


class Cluster:
    """The loop: newest view in, one round at a time, until a signal says to leave."""

    def __init__(self, kube: Kube, settings: Settings) -> None:
        self._settings = settings
        self._news = asyncio.Event()
        self._is_leaving = asyncio.Event()
        self._store = Store(self._news.set, log.warning)
        self._following = Following(kube, self._store)
        self._lease = Lease(
            kube, settings.lease_namespace, settings.lease_name, settings.identity, on_change=self._news.set
        )
        self._fenced = Fenced(kube, self._lease)
        self._events = Events(self._fenced, settings.identity)
        applier = Applier(self._fenced, self._store)
        self._statuses = StatusWriter(self._fenced, self._store, self._events.tell)
        self._rounds = Rounds(
            HttpRouteReconciler(applier, self._statuses),
            GatewayReconciler(applier, self._statuses),
            options(settings.cluster),
        )
        self._web = Web(self._pages())
        self._failed_rounds = 0
        self._retry_seconds = 0.0
        """Until what is not finished is tried again; 0: there is nothing."""

    async def run(self) -> None:
        """Until a signal comes; then the Lease is given back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave)
        self._following.want(sources())
        work = {
            "lease": self._lease.run,
            "rounds": self._loop,
            "events": self._events.run,
            "web": self._serve_web,
            "signal": self._until_signal,
        }
        tasks = [asyncio.create_task(each(), name=name) for name, each in work.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # only the signal should have come
        finally:
            log.info("leaving")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._following.close()
            await self._lease.release()

    @property
    def missing(self) -> tuple[str, ...]:
        """What was never listed; without it nothing is decided."""
        return self._store.missing

    @property
    def is_leading(self) -> bool:
        return self._lease.is_held

    def leave(self) -> None:
        """What a signal does."""
        self._is_leaving.set()

    async def _until_signal(self) -> None:
        await self._is_leaving.wait()

    async def _loop(self) -> None:
        while True:
            await self._wait()
            self._following.want(self._wanted())
            if self._may_work:
                await self._round()

    @property
    def _may_work(self) -> bool:
        """That it may, or may no more, is news."""
        return self.is_leading and not self.missing

    async def _wait(self) -> None:
        """For news, for the time to try again, or for the moment at which the time makes a difference."""
        try:
            async with asyncio.timeout(min(self._waits(), default=None) if self._may_work else None):
                await self._news.wait()
            async with asyncio.timeout(LATEST_SECONDS):
                while self._news.is_set():
                    self._news.clear()
                    await asyncio.sleep(SETTLE_SECONDS)
        except TimeoutError:
            pass

    def _waits(self) -> Iterator[float]:
        if self._retry_seconds:
            yield self._retry_seconds
        if moment := self._rounds.changes_at:
            yield max(LATEST_SECONDS, (moment - datetime.now(UTC)).total_seconds())

    async def _round(self) -> None:
        """A round that fails is tried again; the world's failure and a bug of ours alike cost one."""
        is_first, view = self._rounds.rounds == 0, self._store.view()
        try:
            while (state := await self._rounds.run(view)) == "more" and not self._news.is_set():
                pass
            self._retry_seconds = self._longer() if state == "stuck" else 0.0
        except KubeError as error:
            self._fail()
            log.error(f"this round failed and will be tried again: {error}")
        except Exception:
            self._fail()
            log.exception("this round failed because of a bug; what was written stays")
        if is_first:
            gc.collect()
            gc.freeze()  # what the first round made mostly stays, and need not be looked through again

    def _fail(self) -> None:
        self._failed_rounds += 1
        self._retry_seconds = self._longer()

    def _longer(self) -> float:
        first, last = RETRY_SECONDS
        return min(self._retry_seconds * 2, last) if self._retry_seconds else first

    def _wanted(self) -> Iterator[Source]:
        """What is followed always, and what parameters and listeners refer to."""
        yield from sources()
        snapshot = self._store.view().snapshot
        for parameters in snapshot.parameters.values():
            if ref := parameters.spec.user_vcl_config_map_ref:
                yield config_map_source(ref.namespace, ref.name)
        for namespace, name in wanted_secrets(snapshot):
            yield secret_source(namespace, name)

    async def _serve_web(self) -> None:
        """Without it the operator works on: the port may become free."""
        address, port = self._settings.web_address, self._settings.web_port
        while True:
            try:
                await self._web.serve(address, port)
            except OSError as error:
                log.error(f"health and metrics are not served on port {port}; tried again: {error.strerror}")
            await asyncio.sleep(RETRY_SECONDS[1])

    def _pages(self) -> dict[str, Page]:
        async def health() -> Answer:
            return Answer(200, b"ok\n")

        async def readiness() -> Answer:
            missing = self.missing
            text = f"not listed yet: {'; '.join(missing)}\n" if missing else "ok\n"
            return Answer(503 if missing else 200, text.encode())

        async def metrics() -> Answer:
            return Answer(200, exposition(self._facts()), CONTENT_TYPE)

        return {"/healthz": health, "/readyz": readiness, "/metrics": at_most_every(COLLECT_SECONDS, metrics)}

    def _facts(self) -> Facts:
        return Facts(
            is_leading=self.is_leading,
            objects=self._store.counts,
            broken=self._store.broken,
            reach=self._following.reach,
            gateways=self._rounds.gateway_count,
            rounds=self._rounds.rounds,
            round_seconds=self._rounds.seconds,
            failed_rounds=self._failed_rounds,
            writes=self._fenced.writes,
            conflicts=self._statuses.conflicts,
            dropped_events=self._events.dropped,
            certificates=ends_of(self._rounds.memory.certificates),
        )


def options(cluster: ClusterOptions) -> Options:
    """Every Gateway has pods of its own, and names outside of the cluster are not followed."""
    return Options(vcl=vcl_parts(), shares_host=False, has_external_names=False, cluster=cluster)


async def run(settings: Settings) -> None:
    """The command `run`. Raises KubeError when no cluster is configured."""
    kube = await connect()
    try:
        await Cluster(kube, settings).run()
    finally:
        await kube.close()
