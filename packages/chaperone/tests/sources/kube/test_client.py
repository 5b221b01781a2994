"""The API server's protocol, against a small server that speaks it, or does not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import h11
import pytest

from varnish_gateway_chaperone.sources.kube import client
from varnish_gateway_chaperone.sources.kube.client import KubeClient, Server
from varnish_gateway_common.kube.api import (
    ForbiddenError,
    GoneError,
    Json,
    KubeError,
    Selection,
    TooManyRequestsError,
    UnreachableError,
)
from varnish_gateway_common.kube.watch import Changed, Listed, News, Removed, follow

SLICES = Selection("/apis/discovery.k8s.io/v1/namespaces/b/endpointslices", labels="kubernetes.io/service-name")


class Api:
    """Says to each request what it is told to, in order, and then hangs up."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.requests: list[tuple[str, str, dict[bytes, bytes], bytes]] = []
        self.url = ""

    def say(self, *chunks: Json | bytes, status: int = 200, **headers: str) -> None:
        body = b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in chunks)
        self.answers.append((status, body, headers))

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        body, request = b"", None
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert request
        self.requests.append((request.method.decode(), request.target.decode(), dict(request.headers), body))
        if self.answers:
            status, content, headers = self.answers.pop(0)
            head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
            writer.write(f"HTTP/1.1 {status} x\r\nConnection: close\r\n{head}\r\n".encode() + content)
        writer.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    found = Api()
    async with await asyncio.start_server(found.exchange, "127.0.0.1", 0) as listening:
        found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield found


@pytest.fixture
async def kube(api: Api) -> AsyncIterator[KubeClient]:
    found = KubeClient(Server(api.url))
    yield found
    await found.close()


def thing(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> Json:
    return {"type": kind, "object": thing(name, version)}


def listed(*items: Json, version: int = 1, rest: str = "") -> Json:
    return {"metadata": {"resourceVersion": str(version), "continue": rest}, "items": list(items)}


def status(code: int, message: str = "no") -> Json:
    return {"kind": "Status", "code": code, "message": message}


async def news(kube: KubeClient, count: int, failures: list[KubeError] | None = None) -> list[News[str]]:
    """So many, of a collection that is followed."""
    found: list[News[str]] = []

    async def no_pause(_: float) -> None:
        """The server has told what it says next."""

    said = failures if failures is not None else []
    names = follow(kube, SLICES, lambda one: str(one["metadata"]["name"]), on_failure=said.append, sleep=no_pause)
    async with asyncio.timeout(60), aclosing(names) as all_news:  # type: ignore[type-var]
        async for one in all_news:
            found.append(one)
            if len(found) == count:
                return found
    raise AssertionError


async def test_lists_in_pages_then_what_changes(api: Api, kube: KubeClient) -> None:
    api.say(listed(thing("a", 1), rest="more"))
    api.say(listed(thing("b", 1), version=7))
    api.say(event("ADDED", "c", 8), event("BOOKMARK", "", 20), event("DELETED", "a", 21))
    assert await news(kube, 3) == [Listed(("a", "b")), Changed("c"), Removed("a")]
    targets = [target for _, target, _, _ in api.requests]
    assert "limit=500" in targets[0]
    assert "labelSelector=kubernetes.io%2Fservice-name" in targets[0]
    assert "continue=more" in targets[1]
    assert "watch=true" in targets[2]
    assert "allowWatchBookmarks=true" in targets[2]
    assert "resourceVersion=7&" in targets[2]


async def test_a_dropped_watch_goes_on_from_the_last_bookmark(api: Api, kube: KubeClient) -> None:
    api.say(listed())
    api.say(event("BOOKMARK", "", 20), b'{"type": "ADDED", "obj')
    api.say(event("ADDED", "a", 21))
    assert await news(kube, 2) == [Listed(()), Changed("a")]
    assert "resourceVersion=20&" in api.requests[2][1]


@pytest.mark.parametrize("is_event", [False, True])
async def test_a_version_that_is_gone_is_listed_anew(api: Api, kube: KubeClient, is_event: bool) -> None:
    api.say(listed(thing("a", 1), thing("b", 1)))
    if is_event:
        api.say({"type": "ERROR", "object": status(410)})
    else:
        api.say(status(410), status=410)
    api.say(listed(thing("b", 1)))
    assert await news(kube, 2) == [Listed(("a", "b")), Listed(("b",))]


GARBAGE = [
    b"<html>",
    b"\xff\xfe\n",
    b"[]\n",
    b'"x"\n',
    b'{"type":"ADDED"}\n',
    b'{"type":"ADDED","object":{"metadata":{}}}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_a_failure_and_not_an_event(api: Api, kube: KubeClient, garbage: bytes) -> None:
    failures: list[KubeError] = []
    api.say(garbage)
    api.say(listed(version=3))
    api.say(garbage + b"\n")
    api.say(event("ADDED", "a", 4))
    assert await news(kube, 2, failures) == [Listed(()), Changed("a")]
    assert [str(failure) for failure in failures] == [
        "the API server's answer is not a list",
        "the API server sends what is not an event",
    ]


async def test_refusals_say_what_the_server_says(api: Api, kube: KubeClient) -> None:
    api.say(status(403, "not yours"), status=403)
    with pytest.raises(ForbiddenError, match="not yours"):
        await kube.page(SLICES, "")
    api.say(status(429), status=429, **{"Retry-After": "7"})
    with pytest.raises(TooManyRequestsError) as found:
        await kube.page(SLICES, "")
    assert found.value.retry_after_seconds == 7
    api.say(b"<html>bad gateway", status=502)
    with pytest.raises(KubeError, match="bad gateway"):
        await kube.page(SLICES, "")
    api.say(status(410), status=410)
    with pytest.raises(GoneError):
        await anext(kube.events(SLICES, "1"))


async def test_nobody_there_and_no_answer(api: Api, kube: KubeClient) -> None:
    with pytest.raises(UnreachableError, match="the API server is not reached"):
        await kube.page(SLICES, "")  # it hangs up
    with pytest.raises(UnreachableError, match="the API server is not reached"):
        await KubeClient(Server("http://127.0.0.1:1")).page(SLICES, "")


async def test_silence_ends_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WATCH_SECONDS", (0, 0))
    monkeypatch.setattr(client, "WATCH_GRACE_SECONDS", 0.1)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while await reader.read(1000):
            pass
        writer.close()
        left.set()

    left = asyncio.Event()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        kube = KubeClient(Server(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"))
        with pytest.raises(UnreachableError):
            await anext(kube.events(SLICES, "1"))
        await left.wait()


async def test_text_with_line_ends_of_unicode_is_one_event(api: Api, kube: KubeClient) -> None:
    api.say(listed())
    api.say(json.dumps(event("ADDED", "a\u0085b\u2028c", 2), ensure_ascii=False).encode() + b"\n")
    assert await news(kube, 2) == [Listed(()), Changed("a\u0085b\u2028c")]


async def test_an_event_without_end_is_not_read_to_its_end(
    api: Api, kube: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_EVENT_BYTES", 1000)
    api.say(b"x" * 100_000)
    with pytest.raises(KubeError, match="as one event"):
        await anext(kube.events(SLICES, "1"))


async def test_the_token_is_read_for_each_request(api: Api, tmp_path: Path) -> None:
    token = tmp_path / "token"
    kube = KubeClient(Server(api.url, token=token))
    for text in ("one\n", "two"):
        token.write_text(text)
        api.say(listed())
        await kube.page(SLICES, "")
    assert [headers[b"authorization"] for _, _, headers, _ in api.requests] == [b"Bearer one", b"Bearer two"]
    token.unlink()
    with pytest.raises(UnreachableError):
        await kube.page(SLICES, "")


async def test_a_merge_patch(api: Api, kube: KubeClient) -> None:
    api.say(b"{}")
    await kube.merge("/api/v1/namespaces/a/configmaps/gw-report", {"data": {"pod": "{}"}})
    method, target, headers, body = api.requests[0]
    assert (method, target) == ("PATCH", "/api/v1/namespaces/a/configmaps/gw-report")
    assert headers[b"content-type"] == b"application/merge-patch+json"
    assert json.loads(body) == {"data": {"pod": "{}"}}


def test_where_a_pod_finds_its_api_server(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    server = Server.of_pod(environment, tmp_path)
    assert server == Server("https://[fd00::1]:443", tmp_path / "ca.crt", tmp_path / "token")
    with pytest.raises(KubeError, match="KUBERNETES_SERVICE_HOST"):
        Server.of_pod({}, tmp_path)
