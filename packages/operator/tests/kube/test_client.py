"""The client before a small server: what it asks, and what it makes of answers, refusals and silence."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from varnish_gateway_common.kube.api import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    Selection,
    TooManyRequestsError,
    UnreachableError,
)
from varnish_gateway_operator.kube.client import KubeClient, connect

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PODS = Selection("/api/v1/pods", labels="a=b", fields="type=x")
PATH = "/api/v1/namespaces/n/configmaps/c"


class Server:
    """Answers everything in one way, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[web.Request, str]] = []
        self.answer: Handler = lambda request: reply({})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request, await request.text()))
        return await self.answer(request)

    @property
    def last(self) -> web.Request:
        return self.asked[-1][0]

    @property
    def body(self) -> Any:
        return json.loads(self.asked[-1][1])


async def reply(content: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(content, status=status, headers=headers)


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def kube(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{port}")))
    # Where it is looked for is decided when the library is loaded.
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    found = await connect()
    yield found
    await found.close()
    await runner.cleanup()


def kubeconfig(address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


async def test_a_page(kube: KubeClient, server: Server) -> None:
    content = {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"a": 1}]}
    server.answer = lambda request: reply(content)
    page = await kube.page(PODS, "")
    assert (page.items, page.resource_version, page.rest) == (({"a": 1},), "7", "more")
    assert dict(server.last.query) == {"labelSelector": "a=b", "fieldSelector": "type=x", "limit": "500"}
    assert server.last.headers["Authorization"] == "Bearer secret"
    server.answer = lambda request: reply({"metadata": {"resourceVersion": "7"}, "items": None})
    assert (await kube.page(Selection("/api/v1/pods", is_metadata_only=True), "more")).items == ()
    assert server.last.query["continue"] == "more"
    assert server.last.headers["Accept"].startswith("application/json;as=PartialObjectMetadataList;")


async def test_a_watch_of_objects_of_any_size_in_pieces_of_any_size(kube: KubeClient, server: Server) -> None:
    large = {"type": "ADDED", "object": {"text": "x" * 6_000_000}}
    small = {"type": "BOOKMARK", "object": {"text": "\u00fc"}}

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        text = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in (small, large, small))
        for start in (0, 1, 20, 60, 1_000_000):
            end = {0: 1, 1: 20, 20: 60, 60: 1_000_000, 1_000_000: len(text)}[start]
            await response.write(text[start:end])
        return response

    server.answer = stream
    async with aclosing(kube.events(PODS, "7")) as events:
        assert [event async for event in events] == [small, large, small]
    query = server.last.query
    assert (query["watch"], query["allowWatchBookmarks"], query["resourceVersion"]) == ("true", "true", "7")
    assert 50 <= int(query["timeoutSeconds"]) <= 70


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (422, InvalidError),
        (429, TooManyRequestsError),
        (503, KubeError),
    ],
)
async def test_refusals_have_names_and_the_servers_words(
    kube: KubeClient, server: Server, status: int, error: type[KubeError]
) -> None:
    server.answer = lambda request: reply({"message": "because"}, status, **{"Retry-After": "3"})
    asks: list[Callable[[], Awaitable[object]]] = [lambda: kube.get(PATH), lambda: anext(kube.events(PODS, "1"))]
    for ask in asks:
        with pytest.raises(KubeError, match="because") as raised:
            await ask()
        assert type(raised.value) is error
        assert raised.value.retry_after_seconds == 3


async def test_what_is_no_json_is_a_failure_like_others(kube: KubeClient, server: Server) -> None:
    async def text(request: web.Request) -> web.Response:
        return web.Response(status=502, text="bad gateway")

    server.answer = text
    with pytest.raises(KubeError, match="bad gateway"):
        await kube.get(PATH)

    async def html(request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    server.answer = html
    with pytest.raises(UnreachableError):
        await kube.get(PATH)


async def test_silence_ends(kube: KubeClient, server: Server) -> None:
    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    server.answer = never
    with pytest.raises(UnreachableError, match="in time"):
        await KubeClient(kube._api, write_seconds=0.1).create("/api/v1/namespaces/n/configmaps", {"a": 1})


async def test_nobody_is_there(tmp_path: Path, kube: KubeClient) -> None:
    other = await connect()
    other._api.configuration.host = "http://127.0.0.1:1"
    with pytest.raises(UnreachableError, match="cannot be reached"):
        await other.get(PATH)
    await other.close()


async def test_writes(kube: KubeClient, server: Server) -> None:
    manifest = {"kind": "ConfigMap"}
    await kube.apply(PATH, manifest, "me")
    assert (server.last.method, server.last.path, server.body) == ("PATCH", PATH, manifest)
    assert dict(server.last.query) == {"fieldManager": "me", "force": "true"}
    assert server.last.headers["Content-Type"] == "application/apply-patch+yaml"
    await kube.merge(PATH, {"data": None})
    assert (server.last.headers["Content-Type"], server.body) == ("application/merge-patch+json", {"data": None})
    await kube.replace(PATH, manifest)
    await kube.create("/api/v1/namespaces/n/configmaps", manifest)
    await kube.delete(PATH, "uid")
    assert server.body == {"preconditions": {"uid": "uid"}, "propagationPolicy": "Background"}
    assert [request.method for request, _ in server.asked[2:]] == ["PUT", "POST", "DELETE"]


async def test_without_a_cluster_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(tmp_path / "none")
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", missing)
    with pytest.raises(KubeError, match="no cluster is configured"):
        await connect()
