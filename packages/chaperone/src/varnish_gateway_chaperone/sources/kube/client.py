"""The API server over HTTP, as a pod reaches it. httpx and not a Kubernetes library: docs/decisions.md says why."""

import json
import os
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from varnish_gateway_chaperone.varnish.arguments import listen_address
from varnish_gateway_common.kube.api import Json, KubeError, Page, Reader, Selection, UnreachableError, error_of

PAGE_OBJECTS: Final = 500
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
WATCH_SECONDS: Final = (240, 300)
"""A watch is begun anew as often: not all at once, and a connection that died silently is noticed by then."""
WATCH_GRACE_SECONDS: Final = 15.0
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Kube(Reader, Protocol):
    """All that a pod asks of the API server."""

    async def merge(self, path: str, patch: Json) -> None:
        """A merge patch. Raises KubeError."""
        ...


@dataclass(frozen=True)
class Server:
    """Where the API server is, and what it takes to be let in."""

    url: str
    authority: Path | None = None
    token: Path | None = None
    """Read for each request: the kubelet renews it."""

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ, files: Path = SERVICE_ACCOUNT) -> "Server":
        """As every pod finds it. Raises KubeError outside of a cluster."""
        try:
            host, port = environment["KUBERNETES_SERVICE_HOST"], int(environment["KUBERNETES_SERVICE_PORT"])
        except (KeyError, ValueError):
            raise KubeError("KUBERNETES_SERVICE_HOST and _PORT do not say where the API server is") from None
        return cls(f"https://{listen_address(host, port)}", files / "ca.crt", files / "token")


class KubeClient:
    """The protocol `Kube` for an API server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def page(self, selection: Selection, rest: str) -> Page:
        query = _query(selection, limit=str(PAGE_OBJECTS), **{"continue": rest})
        async with self._request("GET", selection.path, query=query) as response:
            try:
                found = json.loads(await response.aread())
                metadata = found["metadata"]
                items = tuple(found.get("items") or ())
                return Page(items, metadata["resourceVersion"], metadata.get("continue") or "")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise KubeError("the API server's answer is not a list") from None

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        seconds = random.uniform(*WATCH_SECONDS)  # noqa: S311 - so that not all are begun anew at once
        asked = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds))}
        query = _query(selection, resourceVersion=resource_version, **asked)
        silence = seconds + WATCH_GRACE_SECONDS
        async with self._request("GET", selection.path, query=query, read_seconds=silence) as response:
            async for line in _lines(response.aiter_bytes()):
                yield _event(line)

    async def merge(self, path: str, patch: Json) -> None:
        content = json.dumps(patch).encode()
        async with self._request("PATCH", path, content=content) as response:
            await response.aread()

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is no error. Raises KubeError."""
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=read_seconds)
        try:
            headers = self._headers() | ({"Content-Type": "application/merge-patch+json"} if content else {})
            client = self._connected()
            url = f"{self._server.url}{path}"
            async with client.stream(
                method, url, params=query, content=content, headers=headers, timeout=timeout
            ) as response:
                if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
                    raise await _refusal(response)
                yield response
        except (httpx.HTTPError, OSError) as error:
            raise UnreachableError(f"the API server is not reached: {str(error) or type(error).__name__}") from None

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            authority = self._server.authority
            context = ssl.create_default_context(cafile=str(authority)) if authority else ssl.create_default_context()
            # Many clusters' authorities lack the key identifiers that Python 3.13 has become strict about.
            context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
            limits = httpx.Limits(max_connections=None)  # each watch has one of its own
            self._client = httpx.AsyncClient(verify=context, limits=limits, trust_env=False)
        return self._client

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "varnish-gateway-chaperone"}
        if self._server.token:
            headers["Authorization"] = f"Bearer {self._server.token.read_text().strip()}"
        return headers


def _query(selection: Selection, **more: str) -> dict[str, str]:
    found = {"labelSelector": selection.labels, "fieldSelector": selection.fields, **more}
    return {name: text for name, text in found.items() if text}


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """By newlines alone: httpx's own lines end at every character that Unicode takes for the end of one."""
    pending = b""
    async for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in filter(None, lines):
            yield line
        if len(pending) > MAX_EVENT_BYTES:
            raise KubeError(f"the API server sends more than {MAX_EVENT_BYTES} bytes as one event")


def _event(line: bytes) -> Json:
    """Raises KubeError for what is not an event, as of something that is no API server."""
    try:
        found: Any = json.loads(line)
        if found["type"] != "ERROR":
            str(found["object"]["metadata"]["resourceVersion"])
        return dict(found)
    except (ValueError, KeyError, TypeError):
        raise KubeError("the API server sends what is not an event") from None


async def _refusal(response: httpx.Response) -> KubeError:
    text = (await response.aread()).decode(errors="replace")
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text or response.reason_phrase
    return error_of(response.status_code, message, retry_after=response.headers.get("Retry-After"))
