"""A real HAProxy before something that counts its connections: whose requests come on which."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from chaperone_rig import Lines, own_address, program
from varnish_gateway_chaperone.haproxy.certificates import Tls
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths, Limits
from varnish_gateway_chaperone.haproxy.daemon import FrontProgram
from varnish_gateway_chaperone.merge import ParsedPod
from varnish_gateway_common.pod import Pod, PodSocket

pytestmark = pytest.mark.live

H2C = PodSocket(name="http-8080", port=8080, front="proxy")
CLIENTS, REQUESTS = 5, 3


class Counting:
    """Stands in for varnishd: what it was sent on each connection."""

    def __init__(self) -> None:
        self.connections: list[list[bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        self.connections.append(heads)
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\nhost: a.test\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
async def served(lines: Lines) -> AsyncIterator[tuple[str, Counting]]:
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        paths, found, counting = FrontPaths(Path(folder)), own_address(), Counting()
        pod = Pod(version=1, gateway="default/gw", sockets=(H2C,))
        front = FrontProgram(program("VARNISH_GATEWAY_HAPROXY"), paths, found, Limits(connections=100, sockets=1000))
        async with await asyncio.start_unix_server(counting, paths.varnishd(H2C.name)):
            haproxy = await front.start(ParsedPod(pod.to_json(), pod, ""), Tls(), lines.log)
            yield found, counting
            await haproxy.child.kill()


def ask(connection: HTTPConnection, number: int) -> None:
    connection.request("GET", f"/{number}", headers={"Host": "a.test"})
    assert connection.getresponse().read() == b"ok"


async def test_each_client_has_a_connection_of_its_own_and_keeps_it(served: tuple[str, Counting]) -> None:
    address, counting = served
    clients = [HTTPConnection(address, H2C.port, timeout=5) for _ in range(CLIENTS)]
    for number in range(REQUESTS):
        for client in clients:
            await asyncio.to_thread(ask, client, number)
    assert [len(heads) for heads in counting.connections] == [REQUESTS] * CLIENTS
    for client in clients:
        client.close()
