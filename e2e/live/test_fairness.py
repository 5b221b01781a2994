"""What one client may have at once: no more than leaves enough for the others."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from hyperframe.frame import HeadersFrame

from front_rig import H2C, SOCKETS, Front, running_front
from http2 import Http2
from live_rig import wait_for
from recorder import HELD
from victim import watched

pytestmark = pytest.mark.live

STREAMS: Final = 100
FRONTS: Final = sum(socket.front == "proxy" for socket in SOCKETS)
FILES: Final = 500 + 4 * FRONTS * 2 * STREAMS
"""With these HAProxy lets two hundred requests through each front, a hundred of one client."""
HOLD: Final = ((":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", HELD))


@pytest.fixture
def small_front(folder: Path) -> Iterator[Front]:
    with running_front(folder, files=FILES) as found:
        yield found


class Greedy:
    """Connections of one address, each with as many requests as it may have."""

    def __init__(self, stack: ExitStack, front: Front, address: str) -> None:
        self._stack, self._front, self._source = stack, front, (address, 0)

    def ask(self) -> Http2:
        place = self._front.address, H2C
        plain = socket.create_connection(place, timeout=10, source_address=self._source)
        client = Http2(self._stack.enter_context(plain))
        client.send(*(client.head(client.new_stream(), HOLD) for _ in range(STREAMS)))
        return client


def statuses(client: Http2) -> list[str]:
    """Of all that it asked for."""
    heads = (frame for frame in client.frames() if isinstance(frame, HeadersFrame))
    return [client.fields(head)[0][1] for _, head in zip(range(STREAMS), heads, strict=False)]


def test_a_greedy_client_leaves_others_their_share(small_front: Front) -> None:
    front = small_front
    with ExitStack() as stack, watched(front):
        first, second = Greedy(stack, front, "127.0.0.66"), Greedy(stack, front, "127.0.0.67")
        held = [first.ask()]
        wait_for("its share", lambda: front.backend.targets.count(HELD) == STREAMS)
        for _ in range(3):
            assert statuses(first.ask()) == ["429"] * STREAMS
        held.append(second.ask())
        wait_for("another's share", lambda: front.backend.targets.count(HELD) == 2 * STREAMS)
        front.backend.may_answer.set()
        for client in held:
            assert statuses(client) == ["200"] * STREAMS
