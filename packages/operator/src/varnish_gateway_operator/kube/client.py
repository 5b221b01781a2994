"""The API server, by way of kubernetes_asyncio: its configuration, authentication and connections, our own requests."""

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config.incluster_config import SERVICE_HOST_ENV_NAME

from varnish_gateway_common.kube.api import Json, KubeError, Page, Selection, UnreachableError, error_of

PAGE_OBJECTS: Final = 500
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
WRITE_SECONDS: Final = 5.0
"""A request that was sent while the lease was held must be over before somebody else can hold it (`lease`)."""
WATCH_SECONDS: Final = (50, 70)
"""A watch is renewed as often: that costs next to nothing, and a connection that died silently is noticed by then."""
WATCH_GRACE_SECONDS: Final = 15.0

PLAIN: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1,application/json"

_FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class KubeClient:
    """The protocol `Kube`, and close()."""

    def __init__(self, api: ApiClient, *, write_seconds: float = WRITE_SECONDS) -> None:
        self._api = api
        self._write_seconds = write_seconds

    async def close(self) -> None:
        await self._api.close()

    async def page(self, selection: Selection, rest: str) -> Page:
        query = _query(selection) | {"limit": str(PAGE_OBJECTS)} | ({"continue": rest} if rest else {})
        accept = METADATA.format("List") if selection.is_metadata_only else PLAIN
        found = await self._exchange("GET", selection.path, query=query, accept=accept, seconds=READ_SECONDS)
        metadata = found["metadata"]
        return Page(tuple(found.get("items") or ()), metadata["resourceVersion"], metadata.get("continue") or "")

    async def events(self, selection: Selection, resource_version: str) -> AsyncGenerator[Json, None]:
        seconds = random.uniform(*WATCH_SECONDS)  # noqa: S311 - so that not all are renewed at once
        query = _query(selection) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(seconds)),
        }
        accept = METADATA.format("") if selection.is_metadata_only else PLAIN
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=seconds + WATCH_GRACE_SECONDS)
        try:
            async with self._request("GET", selection.path, query, {"Accept": accept}, None, limits) as response:
                async for line in _lines(response.content):
                    yield json.loads(line)
        except _FAILURES as error:
            raise _unreachable(error) from None

    async def get(self, path: str) -> Json:
        return await self._exchange("GET", path)

    async def create(self, path: str, content: Json) -> Json:
        return await self._exchange("POST", path, content)

    async def replace(self, path: str, content: Json) -> Json:
        return await self._exchange("PUT", path, content)

    async def merge(self, path: str, patch: Json) -> Json:
        return await self._exchange("PATCH", path, patch, content_type="application/merge-patch+json")

    async def apply(self, path: str, manifest: Json, manager: str) -> Json:
        query = {"fieldManager": manager, "force": "true"}
        return await self._exchange("PATCH", path, manifest, query=query, content_type="application/apply-patch+yaml")

    async def delete(self, path: str, uid: str) -> None:
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._exchange("DELETE", path, options)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: dict[str, str] | None = None,
        accept: str = PLAIN,
        content_type: str = PLAIN,
        seconds: float | None = None,
    ) -> Json:
        """One question and its answer's JSON."""
        headers = {"Accept": accept, "Content-Type": content_type}
        limits = aiohttp.ClientTimeout(total=seconds or self._write_seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._request(method, path, query or {}, headers, body, limits) as response:
                answer: Json = json.loads(await response.read())
                return answer
        except _FAILURES as error:
            raise _unreachable(error) from None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: Json | None,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no error."""
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        response: aiohttp.ClientResponse = await self._api.rest_client.request(
            method,
            f"{self._api.configuration.host}{path}",
            query_params=query,
            headers=headers,
            body=body,
            _preload_content=False,
            _request_timeout=limits,
        )
        async with response:
            if response.status >= 300:
                raise await _refusal(response)
            yield response


async def connect() -> KubeClient:
    """To the cluster that KUBECONFIG names, else the one that we run in, else that of ~/.kube/config.

    Raises KubeError when there is none to be found.
    """
    configuration = Configuration()
    # Many clusters' authorities lack the key identifiers that Python 3.13 has become strict about.
    configuration.disable_strict_ssl_verification = True
    configuration.connection_pool_maxsize = 0  # no limit: each watch has a connection, and each certificate a watch
    try:
        if SERVICE_HOST_ENV_NAME in os.environ and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        raise KubeError(f"no cluster is configured: {error}") from None
    return KubeClient(ApiClient(configuration))


def _query(selection: Selection) -> dict[str, str]:
    found = {"labelSelector": selection.labels, "fieldSelector": selection.fields}
    return {name: text for name, text in found.items() if text}


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """However long: aiohttp's own have a limit that is below a large object's size."""
    pending: list[bytes] = []
    async for chunk in content.iter_any():
        *lines, last = chunk.split(b"\n")
        for line in lines:
            yield b"".join([*pending, line])
            pending.clear()
        pending.append(last)


async def _refusal(response: aiohttp.ClientResponse) -> KubeError:
    text = (await response.read()).decode(errors="replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        message = text or str(response.reason)
    return error_of(response.status, message, retry_after=response.headers.get("Retry-After"))


def _unreachable(error: Exception) -> KubeError:
    if isinstance(error, asyncio.TimeoutError):
        return UnreachableError("the API server does not answer in time")
    return UnreachableError(f"the API server cannot be reached: {error or type(error).__name__}")
