"""Connections of HTTP/2 that are right, nearly right, and wrong, made byte by byte: no frame is too wrong to send."""

from random import Random
from typing import Final

from hpack import Encoder

from http1_requests import HIDDEN_REQUEST, STEMS
from mutation import chance, cut, length, mutated
from wire_case import Pieces

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x4, 0x8, 0x20

Pair = tuple[bytes, bytes]

METHODS: Final = (b"GET", b"POST", b"POST", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"get", b"G T", b"")
PATHS: Final = (
    b"/f", b"/f", b"/%61dmin", b"*", b"", b"f", b"/ /hidden", b"http://b.test/f", b"/\xc3\xa4", b"/f#g", b"/\r\nx: y",
)  # fmt: skip
AUTHORITIES: Final = (
    b"a.test", b"a.test", b"x.test", b"a.test:8081", b"b.test", b"", b"a.test@b.test", b"a.test\r\nx: y",
)  # fmt: skip
FIELDS: Final[tuple[Pair, ...]] = (
    (b"x", b"y"), (b"te", b"trailers"), (b"te", b"chunked"), (b"connection", b"close"),
    (b"transfer-encoding", b"chunked"), (b"content-length", b"1"), (b"content-length", b"+5"),
    (b"content-length", b"99999"), (b"host", b"a.test"), (b"host", b"b.test"), (b"Upper", b"y"), (b"", b"y"),
    (b"x y", b"z"), (b"x:", b"z"), (b":path", b"/hidden"), (b":status", b"200"), (b":unknown", b"x"),
    (b"x", b"y\r\nz: \0"), (b"x", b" y "), (b"expect", b"100-continue"), (b"cookie", b"a"), (b"cookie", b"b"),
    (b"x-gateway-route", b"x"), (b"x_forwarded_for", b"x"), (b"upgrade", b"websocket"), (b":protocol", b"websocket"),
    (b"range", b"bytes=0-1,3-4"), (b"keep-alive", b"x"), (b"proxy-connection", b"x"), (b"priority", b"u=9"),
)  # fmt: skip
TRAILERS: Final[tuple[Pair, ...]] = (
    (b"x", b"y"), (b":path", b"/hidden"), (b":status", b"200"), (b"Upper", b"y"), (b"", b"y"),
    (b"connection", b"close"), (b"content-length", b"99"), (b"transfer-encoding", b"chunked"), (b"te", b"gzip"),
    (b"x", b"y\r\n\r\n"), (b"host", b"b.test"), (b"x-gateway-route", b"x"),
)  # fmt: skip
BAD_BLOCKS: Final = (
    b"\x80", b"\xff\xff\xff\xff\xff", b"\x40", b"\x00\x7f\xff\xff\xff\x0f", b"\x3f\xff\xff\xff\x7f", b"\xbe" * 400,
    b"\x00\x81\xff\x00", b"",
)  # fmt: skip
"""Field blocks that no decoder takes, or that are cheap to send and dear to read."""


def frame(kind: int, flags: int, stream: int, payload: bytes, *, said: int | None = None) -> bytes:
    """With another length in its head, where one is given."""
    size = len(payload) if said is None else said
    return (
        size.to_bytes(3, "big")
        + bytes([kind & 0xFF, flags & 0xFF])
        + (stream & 0xFFFFFFFF).to_bytes(4, "big")
        + payload
    )


class Connection:
    """What one client sends, frame by frame."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._encoder = Encoder()
        self._stream = -1
        self.frames = [PREFACE, frame(SETTINGS, 0, 0, self._settings() if chance(random, 3) else b"")]

    def converse(self) -> Pieces:
        """A few requests, with disturbances between and within them."""
        for _ in range(self._random.choice((1, 1, 2, 3, 12))):
            self._request()
            if chance(self._random, 3):
                self.frames.append(self._disturbance())
        return self._sent()

    def _sent(self) -> Pieces:
        if chance(self._random, 6):
            self._random.shuffle(self.frames)
        frames = tuple(self.frames)
        if chance(self._random, 4):
            return mutated(self._random, frames, frames)
        return frames if chance(self._random, 3) else cut(self._random, b"".join(frames))

    def _request(self) -> None:
        random = self._random
        self._stream += 2
        has_body, has_trailers = chance(random, 2), chance(random, 3)
        ends = 0 if has_body or has_trailers else END_STREAM
        self._block(self._encoder.encode(self._head(), huffman=chance(random, 2)), ends)
        for left in range(random.randrange(4) if has_body else 0, -1, -1):
            self.frames.append(self._data(END_STREAM if has_body and not left and not has_trailers else 0))
        if has_trailers:
            self._block(self._trailers(), random.choice((END_STREAM, END_STREAM, END_STREAM, 0)))

    def _head(self) -> list[Pair]:
        random = self._random
        pseudo = [
            (b":method", random.choice(METHODS) if chance(random, 3) else b"POST"),
            (b":scheme", random.choice((b"http", b"https", b"x", b""))),
        ]
        pseudo += [
            (b":authority", random.choice(AUTHORITIES)),
            (b":path", random.choice(PATHS) + b"p" * (length(random, 20000) if chance(random, 12) else 0)),
        ]
        if chance(random, 8):
            pseudo.remove(random.choice(pseudo))
        fields = [self._field() for _ in range(random.choice((0, 1, 2, 3, 66)))]
        return [*fields, *pseudo] if chance(random, 20) else [*pseudo, *fields]

    def _field(self) -> Pair:
        random = self._random
        if chance(random, 5):
            name = random.choice(STEMS).lower()
            return name + b"n" * max(length(random, 9000) - len(name), 0), b"v" * length(random, 9000)
        return random.choice(FIELDS)

    def _trailers(self) -> bytes:
        random = self._random
        if chance(random, 4):
            return random.choice(BAD_BLOCKS)
        return self._encoder.encode(
            [random.choice(TRAILERS) for _ in range(random.choice((0, 1, 1, 2, 100)))], huffman=chance(random, 2)
        )

    def _block(self, block: bytes, flags: int) -> None:
        """In one frame, or with continuations, which may be disturbed."""
        if not chance(self._random, 6) and len(block) <= 16384:
            self.frames.append(frame(HEADERS, flags | END_HEADERS, self._stream, block))
            return
        parts = [block[place : place + 16000] for place in range(0, len(block), 16000)] or [b""]
        parts = [parts[0][:1], parts[0][1:], *parts[1:]]
        for place, part in enumerate(parts):
            ends = END_HEADERS if place == len(parts) - 1 else 0
            self.frames.append(
                frame(CONTINUATION, ends, self._stream, part)
                if place
                else frame(HEADERS, flags | ends, self._stream, part)
            )
            if chance(self._random, 30):
                self.frames.append(self._disturbance())

    def _data(self, flags: int) -> bytes:
        random = self._random
        data = random.choice((b"", b"x", HIDDEN_REQUEST, b"d" * length(random, 16384)))
        if chance(random, 6):
            padding = random.choice((0, 1, 255))
            return frame(
                DATA, flags | PADDED, self._stream, bytes([padding]) + data + bytes(random.choice((padding, 0)))
            )
        return frame(DATA, flags, self._stream, data)

    def _settings(self) -> bytes:
        random = self._random
        values = (0, 1, 100, 16383, 16384, 65535, 1 << 24, (1 << 31) - 1, 1 << 31)
        pairs = [(random.randrange(10), random.choice(values)) for _ in range(random.choice((1, 2, 50)))]
        return b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs)

    def _disturbance(self) -> bytes:
        random = self._random
        stream = random.choice((0, self._stream, self._stream + 2, self._stream - 2, 2, (1 << 31) - 1))
        payload = random.choice(
            (b"", bytes(4), bytes(8), b"\x7f\xff\xff\xff", b"\0\0\0\1", self._settings(), bytes(17000))
        )
        kind = random.choice(
            (
                DATA,
                PRIORITY,
                RST_STREAM,
                SETTINGS,
                PUSH_PROMISE,
                PING,
                GOAWAY,
                WINDOW_UPDATE,
                CONTINUATION,
                HEADERS,
                0xAA,
            )
        )
        said = length(random, 1 << 23) if chance(random, 12) else None
        return frame(kind, random.choice((0, 1, 4, 5, 8, 0x20, 0xFF)), stream, payload, said=said)


def pieces(random: Random) -> Pieces:
    """All that one client sends."""
    return Connection(random).converse()
