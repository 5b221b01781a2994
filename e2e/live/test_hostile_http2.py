"""Floods over HTTP/2: whoever makes them is cut off or kept waiting, and nobody else notices."""

import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from flood import LEAST, TAKEN, attacked
from front_rig import H2C, Front
from http2 import Http2
from victim import unharmed

pytestmark = pytest.mark.live

ATTACKERS: Final = 2
BURST: Final = 1000
"""Requests that are sent in one go."""
MAX_RESIDENT_BYTES: Final = 256 * 1024 * 1024
GET: Final = ((":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/flood"))
POST: Final = ((":method", "POST"), *GET[1:])

Frames = Callable[[Http2], list[Frame]]


def rapid_reset(client: Http2) -> list[Frame]:
    """Requests that are taken back at once."""
    streams = [client.new_stream() for _ in range(BURST)]
    return [frame for one in streams for frame in (client.head(one, GET), RstStreamFrame(one, error_code=8))]


def made_you_reset(client: Http2) -> list[Frame]:
    """Requests followed by what makes the server take them back itself, each kind in turn."""
    streams = [client.new_stream() for _ in range(BURST)]
    causes: list[Frame] = [
        WindowUpdateFrame(one, window_increment=2**31 - 1) if number % 2 else DataFrame(one, data=b"after the end")
        for number, one in enumerate(streams)
    ]
    return [frame for one, cause in zip(streams, causes, strict=True) for frame in (client.head(one, GET), cause)]


def continuation(client: Http2) -> list[Frame]:
    """A head that never ends."""
    stream = client.new_stream()
    start = HeadersFrame(stream, data=client.encoder.encode(list(GET)), flags=["END_STREAM"])
    return [start, *(ContinuationFrame(stream, data=bytes(8)) for _ in range(5000))]


def hpack_bomb(client: Http2) -> list[Frame]:
    """A field of 4 kB, once in the table and then named three thousand times, a byte each."""
    block = client.encoder.encode([*GET, ("bomb", "x" * 3900)], huffman=False)
    return [HeadersFrame(client.new_stream(), data=block + b"\xbe" * 3000, flags=["END_HEADERS", "END_STREAM"])]


def pings(_: Http2) -> list[Frame]:
    return [PingFrame(opaque_data=bytes(8)) for _ in range(2000)]


def settings(_: Http2) -> list[Frame]:
    return [SettingsFrame(settings={SettingsFrame.HEADER_TABLE_SIZE: size}) for size in range(2000)]


def priorities(_: Http2) -> list[Frame]:
    return [PriorityFrame(stream, depends_on=stream + 2, stream_weight=1) for stream in range(1, 4001, 2)]


def empty_data(client: Http2) -> list[Frame]:
    """A body of which nothing comes, in many frames."""
    stream = client.new_stream()
    return [client.head(stream, POST, is_end=False), *(DataFrame(stream, data=b"") for _ in range(3000))]


class _Sink(socket.socket):
    """Keeps what is sent, so that a flood is made before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        self.sent += data


def prepared(frames: Frames) -> bytes:
    """All that one connection sends, to a host that needs no backend, which would be the bottleneck."""
    with _Sink() as sink:
        client = Http2(sink)
        client.send(*frames(client), PingFrame(opaque_data=TAKEN))
        return bytes(sink.sent).replace(b"a.test", b"x.test")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


FLOODS: Final = (rapid_reset, made_you_reset, continuation, hpack_bomb, pings, settings, priorities, empty_data)


@pytest.mark.parametrize("frames", FLOODS, ids=lambda one: one.__name__)
def test_a_flood_harms_nobody_else(front: Front, frames: Frames, flood_seconds: float) -> None:
    with unharmed(front, frames.__name__, flood_seconds):
        assert attacked((front.address, H2C), prepared(frames), flood_seconds, ATTACKERS) >= ATTACKERS * LEAST
    assert resident_bytes(front.gateway.processes[1]) < MAX_RESIDENT_BYTES


@pytest.mark.parametrize("frames", [rapid_reset, made_you_reset], ids=lambda one: one.__name__)
def test_what_is_taken_back_is_not_passed_on(front: Front, frames: Frames) -> None:
    front.backend.forget()
    with socket.create_connection((front.address, H2C), timeout=5) as plain:
        attacker = Http2(plain)
        attacker.send(*frames(attacker))
        fields, _ = attacker.ask([*GET[:3], (":path", "/after")])
    assert fields[0] == (":status", "200")
    assert front.backend.targets.count("/flood") < BURST / 20


@pytest.mark.parametrize("frames", [continuation, hpack_bomb], ids=lambda one: one.__name__)
def test_it_ends_the_attackers_connection(front: Front, frames: Frames) -> None:
    with socket.create_connection((front.address, H2C), timeout=5) as plain:
        attacker = Http2(plain)
        with suppress(ConnectionError):
            attacker.send(*frames(attacker))
        seen: list[Frame] = []
        with suppress(ConnectionError):
            seen += attacker.frames()
    assert any(isinstance(frame, GoAwayFrame) for frame in seen), [type(frame).__name__ for frame in seen[-3:]]


def test_windows_that_stay_shut(front: Front, flood_seconds: float) -> None:
    """Answers that nobody takes: hundreds of them wait, and cost no more than their place."""
    clients = []
    with unharmed(front, "zero window", flood_seconds):
        for _ in range(4):
            clients.append(plain := socket.create_connection((front.address, H2C), timeout=5))
            client = Http2(plain, window=0)
            client.send(*(client.head(client.new_stream(), GET) for _ in range(100)))
            time.sleep(flood_seconds / 4)
    for plain in clients:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
    assert resident_bytes(front.gateway.processes[1]) < MAX_RESIDENT_BYTES


def test_no_more_than_a_hundred_streams_at_once(front: Front) -> None:
    with socket.create_connection((front.address, H2C), timeout=5) as plain:
        client = Http2(plain, window=0)
        said = next(frame for frame in client.frames() if isinstance(frame, SettingsFrame))
        assert said.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
