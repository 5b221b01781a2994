"""Ghost's own HTTP on varnishd's internal socket.

GhostError
+-- GhostLostError      no answer: varnishd's child is not up, or hangs
+-- GhostRefusedError   the configuration is not taken; the old one stays
"""

from pathlib import Path
from typing import Final, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from varnish_gateway_common.document import digest
from varnish_gateway_common.report import BrokenRule

TIMEOUT_SECONDS: Final = 30
PREFIX: Final = "http://ghost/.varnish-ghost"


class GhostError(Exception):
    """What went wrong between chaperone and ghost."""


class GhostLostError(GhostError):
    """No answer, or one that is not ghost's."""


class GhostRefusedError(GhostError):
    """The candidate is not taken."""


class UnusableEndpoint(BaseModel):
    """An endpoint whose address is none: it gets no request."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    service: str
    address: str


class Running(BaseModel):
    """What ghost runs, by its own words."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    digest: str = ""
    rules: int = 0
    endpoints: int = 0
    broken: tuple[BrokenRule, ...] = ()
    unusable: tuple[UnusableEndpoint, ...] = ()
    error: str | None = None
    is_draining: bool = False
    requests: dict[str, float] = {}
    upstream: dict[str, float] = {}
    """Of the connections of direct passes."""


class Ghost(Protocol):
    """The boundary to ghost."""

    async def reload(self) -> Running:
        """Take the candidate. Raises GhostError."""
        ...

    async def status(self) -> Running:
        """Raises GhostLostError."""
        ...

    async def drain(self) -> None:
        """From now on every answer closes its connection. Raises GhostLostError."""
        ...


class GhostClient:
    """Ghost over the unix socket; each request has a connection of its own, since the child may be another one."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    async def reload(self) -> Running:
        return await self._ask("POST", "reload")

    async def status(self) -> Running:
        return await self._ask("GET", "status", timeout_seconds=5)

    async def drain(self) -> None:
        await self._ask("POST", "drain", timeout_seconds=5)

    async def _ask(self, method: str, what: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Running:
        # There is no TLS: reading the certificate authorities for nothing takes 20 ms of CPU, more than the reload.
        transport = httpx.AsyncHTTPTransport(uds=self._socket, verify=False)
        try:
            async with httpx.AsyncClient(transport=transport, timeout=timeout_seconds) as client:
                return _running(await client.request(method, f"{PREFIX}/{what}"))
        except httpx.HTTPError as error:
            raise GhostLostError(f"ghost does not answer: {str(error) or type(error).__name__}") from error


def _running(answer: httpx.Response) -> Running:
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise GhostRefusedError(_error(answer))
    if answer.status_code != httpx.codes.OK:
        raise GhostLostError(f"ghost answers {answer.status_code}")
    try:
        return Running.model_validate_json(answer.content or b"{}")
    except ValidationError as error:
        raise GhostLostError(f"ghost's answer is not understood: {error.error_count()} mistakes") from error


def _error(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text


class FakeGhost:
    """A ghost in memory, for tests: it reads the candidate, and refuses what contains `hostile`."""

    def __init__(self, candidate: Path) -> None:
        self._candidate = candidate
        self.running = Running()
        self.is_lost = False
        self.reloads = 0

    async def reload(self) -> Running:
        self._answer()
        self.reloads += 1
        content = self._candidate.read_bytes()
        if b"hostile" in content:
            raise GhostRefusedError("hostile content")
        self.running = Running(digest=digest(content))
        return self.running

    async def status(self) -> Running:
        self._answer()
        return self.running

    async def drain(self) -> None:
        self._answer()
        self.running = self.running.model_copy(update={"is_draining": True})

    def _answer(self) -> None:
        if self.is_lost:
            raise GhostLostError("ghost does not answer")
