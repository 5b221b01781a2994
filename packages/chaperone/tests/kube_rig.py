"""A gateway's objects in a cluster, for tests."""

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chaperone_rig import own_address
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.sources.kube.fake import FakeKube
from varnish_gateway_common.document import digest
from varnish_gateway_common.kube.api import Selection, path_of
from varnish_gateway_common.parts import Part, RoutingParts, Secrets
from varnish_gateway_common.routing import ExternalName, Routing, Service

BASE = "gw-varnish"
PORT = 8001
POD = b'{"version":1,"gateway":"a/gw"}'
MAPS = path_of("v1", "configmaps", namespace="a")
SECRETS = path_of("v1", "secrets", namespace="a")


def slices_of(namespace: str) -> str:
    return path_of("discovery.k8s.io/v1", "endpointslices", namespace=namespace)


def routing(*services: str, external: str = "") -> bytes:
    """A routing.json that names Services, each `namespace/name`."""
    found = {}
    for each in services:
        namespace, name = each.split("/")
        found[f"{each}:80"] = Service(namespace=namespace, name=name, port_name="http")
    if external:
        out = ExternalName(hostname=external, port=80)
        found["out/out:80"] = Service(namespace="out", name="out", external_name=out)
    return Routing(version=1, gateway="a/gw", services=found).to_json()


def encoded(content: bytes) -> str:
    return b64encode(content).decode()


def config_map(**documents: bytes | str) -> dict[str, Any]:
    """data and binaryData: bytes are compressed, text is not. `__` in a name is a dot."""
    data, binary = {}, {}
    for name, content in documents.items():
        key = name.replace("__", ".")
        if isinstance(content, str):
            data[key] = content
        else:
            binary[key] = encoded(gzip.compress(content, mtime=0))
    return {"data": data, "binaryData": binary}


def split(content: bytes, size: int) -> tuple[str, dict[str, dict[str, Any]]]:
    """routing.parts.json, and the ConfigMaps that it names."""
    packed = gzip.compress(content, mtime=0)
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    parts = tuple(Part(name=f"{BASE}-routing-{place}", digest=digest(piece)) for place, piece in enumerate(pieces))
    maps = {part.name: {"binaryData": {"part": encoded(piece)}} for part, piece in zip(parts, pieces, strict=True)}
    return RoutingParts(version=1, digest=digest(content), parts=parts).to_json().decode(), maps


def secrets(*names: str) -> str:
    return Secrets(version=1, secrets=names).to_json().decode()


def slice_of(service: str, *addresses: str, **conditions: bool) -> dict[str, Any]:
    """An EndpointSlice of `namespace/name`."""
    namespace, name = service.split("/")
    family = "IPv6" if ":" in "".join(addresses) else "IPv4"
    return {
        "metadata": {"namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": conditions} for address in addresses],
    }


def addresses(view: Inputs | None) -> list[str]:
    return [end.address for found in (view.slices if view else ()) for end in found.endpoints]


def gateway(kube: FakeKube, *services: str) -> None:
    """A ConfigMap that routes to these Services, each with one endpoint."""
    kube.put(MAPS, BASE, **config_map(routing__json=routing(*services), main__vcl="vcl"))
    for place, service in enumerate(services):
        kube.put(slices_of(service.split("/")[0]), f"{service.split('/')[1]}-1", **slice_of(service, f"10.0.0.{place}"))


class Front:
    """HTTP before a FakeKube: lists, watches and merge patches, at an address that nobody takes while it is stopped."""

    def __init__(self, kube: FakeKube) -> None:
        self._kube = kube
        self._listening: asyncio.Server | None = None
        self._exchanges: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._address = own_address()

    @property
    def url(self) -> str:
        return f"http://{self._address}:{PORT}"

    async def start(self) -> None:
        self._listening = await asyncio.start_server(self._exchange, self._address, PORT)

    async def stop(self) -> None:
        """As a server that dies: connections are cut."""
        assert self._listening
        self._listening.close()
        exchanges = dict(self._exchanges)
        for writer, exchange in exchanges.items():
            writer.transport.abort()
            exchange.cancel()
        await asyncio.gather(*exchanges.values(), return_exceptions=True)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = asyncio.current_task()
        assert exchange
        self._exchanges[writer] = exchange
        try:
            method, target, *_ = (await reader.readuntil(b"\r\n")).decode().split()
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].split("\r\n")[0] or 0)
            url = urlsplit(target)
            query = {name: texts[0] for name, texts in parse_qs(url.query).items()}
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            if method == "PATCH":
                await self._kube.merge(url.path, json.loads(await reader.readexactly(length)))
                writer.write(b"{}")
            else:
                await self._answer(writer, url.path, query)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client or the server is gone
        finally:
            del self._exchanges[writer]
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, path: str, query: Mapping[str, str]) -> None:
        selection = Selection(path, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        if "watch" in query:
            async for event in self._kube.events(selection, query["resourceVersion"]):
                writer.write(json.dumps(event).encode() + b"\n")
                await writer.drain()
            return
        page = await self._kube.page(selection, "")
        content = {"metadata": {"resourceVersion": page.resource_version}, "items": page.items}
        writer.write(json.dumps(content).encode())
