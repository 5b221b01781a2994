"""Leader election: of several operators the one that holds the Lease writes, and nobody else does.

Whether the Lease is held is a matter of time and not of messages: who could not renew it for RENEW_SECONDS stops,
before another may take it after LEASE_SECONDS. In between lies what was sent and not answered (`client.WRITE_SECONDS`).
Clocks of different machines are never compared: a holder counts as gone when nothing changed for as long as it said, by
our own clock.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from varnish_gateway_common.kube.api import ConflictError, Json, KubeError, NotFoundError, path_of
from varnish_gateway_operator.kube.api import Kube

log = structlog.get_logger()

LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2.0
API_VERSION: Final = "coordination.k8s.io/v1"


class NotLeaderError(KubeError):
    """A write was held back: somebody else may be writing."""


@dataclass
class Lease:
    """The one Lease of this operator."""

    kube: Kube
    namespace: str
    name: str
    identity: str
    """Ours, and nobody else's."""
    on_change: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    _held_until: float = float("-inf")
    _seen: tuple[object, ...] = ()
    """What the Lease said last, and since when."""
    _seen_at: float = 0.0
    _is_told: bool = False
    _trouble: str = field(default="")

    @property
    def is_held(self) -> bool:
        return self.clock() < self._held_until

    async def run(self) -> None:
        """Get it, and keep it, until cancelled."""
        while True:
            await self.try_once()
            await self.sleep(RETRY_SECONDS * (0.8 + random.random() * 0.4))  # noqa: S311

    async def try_once(self) -> None:
        """One attempt to get or to renew it."""
        began = self.clock()
        try:
            if await self._is_ours():
                self._tell()  # that it was not held for a moment, if so: somebody may have had to wait then
                self._held_until = began + RENEW_SECONDS
            self._trouble = ""
        except ConflictError:
            pass  # somebody else was faster
        except KubeError as error:
            if self._trouble != str(error):
                log.warning(f"Lease {self.namespace}/{self.name}: {error}")
            self._trouble = str(error)
        self._tell()

    async def release(self) -> None:
        """Hand over at once, rather than let the others wait."""
        if not self.is_held:
            return
        self._held_until = float("-inf")
        try:
            lease = await self.kube.get(self._path)
            if lease["spec"].get("holderIdentity") == self.identity:
                spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                await self.kube.replace(self._path, {**lease, "spec": spec})
                log.info("the Lease is given back")
        except KubeError as error:
            log.warning(f"the Lease could not be given back, others have to wait for {LEASE_SECONDS} s: {error}")

    @property
    def _path(self) -> str:
        return path_of(API_VERSION, "leases", namespace=self.namespace, name=self.name)

    async def _is_ours(self) -> bool:
        """After getting or renewing it, if that is possible. Raises KubeError."""
        try:
            lease = await self.kube.get(self._path)
        except NotFoundError:
            await self.kube.create(path_of(API_VERSION, "leases", namespace=self.namespace), self._new())
            return True
        if not self._may_take(lease):
            self._held_until = float("-inf")
            return False
        await self.kube.replace(self._path, {**lease, "spec": self._spec(lease.get("spec") or {})})
        return True

    def _may_take(self, lease: Json) -> bool:
        """It is ours, nobody's, or that of somebody who does not renew it."""
        spec = lease.get("spec") or {}
        seen = spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions")
        if seen != self._seen:
            self._seen, self._seen_at = seen, self.clock()
        is_expired = self.clock() >= self._seen_at + float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        return spec.get("holderIdentity") in (self.identity, "", None) or is_expired

    def _new(self) -> Json:
        metadata = {"namespace": self.namespace, "name": self.name}
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": self._spec({})}

    def _spec(self, before: Json) -> Json:
        now = self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_same = before.get("holderIdentity") == self.identity
        return {
            **before,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": before.get("acquireTime") if is_same else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (0 if is_same or not before else 1),
        }

    def _tell(self) -> None:
        if self.is_held != self._is_told:
            self._is_told = self.is_held
            log.info("leading: the Lease is held" if self._is_told else "not leading: nothing is written")
            self.on_change()


class Fenced:
    """The protocol `Kube`, whose writes need the Lease: each raises NotLeaderError without it."""

    def __init__(self, kube: Kube, lease: Lease) -> None:
        self._kube = kube
        self._lease = lease
        self.writes: Counter[str] = Counter()
        """Verb -> how many were sent."""
        self.page, self.events, self.get = kube.page, kube.events, kube.get

    async def create(self, path: str, content: Json) -> Json:
        return await self._allowed("create").create(path, content)

    async def replace(self, path: str, content: Json) -> Json:
        return await self._allowed("replace").replace(path, content)

    async def merge(self, path: str, patch: Json) -> Json:
        return await self._allowed("merge").merge(path, patch)

    async def apply(self, path: str, manifest: Json, manager: str) -> Json:
        return await self._allowed("apply").apply(path, manifest, manager)

    async def delete(self, path: str, uid: str) -> None:
        await self._allowed("delete").delete(path, uid)

    def _allowed(self, verb: str) -> Kube:
        if not self._lease.is_held:
            raise NotLeaderError("the Lease is not held")
        self.writes[verb] += 1
        return self._kube
