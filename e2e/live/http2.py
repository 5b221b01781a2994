"""A small HTTP/2 client that sends what it is told, frame by frame: what is right, and what is wrong on purpose."""

import socket
from collections.abc import Iterable, Iterator
from typing import Final

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
MAX_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65535
REFUSED_STREAM: Final = 7

Pairs = Iterable[tuple[str, str]]


class NotProcessedError(ConnectionResetError):
    """The server went away without looking at the request, which may be sent again elsewhere."""


class Http2:
    """One connection; a server may send as much as it likes."""

    def __init__(self, plain: socket.socket, *, window: int = MAX_WINDOW) -> None:
        self._socket = plain
        self._received = bytearray()
        self._next_stream = 1
        self.encoder, self._decoder = Encoder(), Decoder()
        self.is_closing = False
        self._socket.sendall(PREFACE)
        self.send(SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: window}))
        if window > DEFAULT_WINDOW:
            self.send(WindowUpdateFrame(0, window_increment=window - DEFAULT_WINDOW))

    def send(self, *frames: Frame) -> None:
        self._socket.sendall(b"".join(frame.serialize() for frame in frames))

    def new_stream(self) -> int:
        self._next_stream += 2
        return self._next_stream - 2

    def head(self, stream: int, fields: Pairs, *, is_end: bool = True) -> HeadersFrame:
        """Fields of a request as they are given."""
        flags = ["END_HEADERS", *(["END_STREAM"] if is_end else [])]
        return HeadersFrame(stream, data=self.encoder.encode(list(fields), huffman=False), flags=flags)

    def ask(self, fields: Pairs, body: bytes = b"") -> tuple[list[tuple[str, str]], bytes]:
        """Fields and body of the answer. Raises OSError when there is no whole one."""
        stream = self.new_stream()
        frames: list[Frame] = [self.head(stream, fields, is_end=not body)]
        self.send(*frames, *([DataFrame(stream, data=body, flags=["END_STREAM"])] if body else []))
        return self.answer(stream)

    def answer(self, stream: int) -> tuple[list[tuple[str, str]], bytes]:
        """The same for a request that was sent."""
        fields: list[tuple[str, str]] = []
        body = bytearray()
        for frame in self.frames():
            if isinstance(frame, GoAwayFrame) and frame.last_stream_id < stream:
                raise NotProcessedError(f"the connection is closing: {frame.error_code}")
            if frame.stream_id != stream:
                continue
            match frame:
                case HeadersFrame():
                    fields += self.fields(frame)
                case DataFrame():
                    body += frame.data
                case RstStreamFrame():
                    kind = NotProcessedError if frame.error_code == REFUSED_STREAM else ConnectionResetError
                    raise kind(f"the stream was reset: {frame.error_code}")
            if "END_STREAM" in frame.flags:
                return fields, bytes(body)
        raise ConnectionResetError("the connection ended before the answer did")

    def fields(self, frame: HeadersFrame) -> list[tuple[str, str]]:
        """Of each frame once, in their order: they are decoded by what came before."""
        return [(_text(name), _text(value)) for name, value in self._decoder.decode(frame.data)]

    def frames(self) -> Iterator[Frame]:
        """Until the server closes; what wants an acknowledgement gets it."""
        while received := self._socket.recv(65536):
            self._received += received
            while frame := self._next():
                yield frame

    def _next(self) -> Frame | None:
        if len(self._received) < HEAD_BYTES:
            return None
        frame, length = Frame.parse_frame_header(memoryview(self._received[:HEAD_BYTES]))
        if len(self._received) < HEAD_BYTES + length:
            return None
        frame.parse_body(memoryview(bytes(self._received[HEAD_BYTES : HEAD_BYTES + length])))
        del self._received[: HEAD_BYTES + length]
        self._acknowledge(frame)
        return frame

    def _acknowledge(self, frame: Frame) -> None:
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self.send(SettingsFrame(flags=["ACK"]))
            case PingFrame() if "ACK" not in frame.flags:
                self.send(PingFrame(opaque_data=frame.opaque_data, flags=["ACK"]))
            case GoAwayFrame():
                self.is_closing = True


def _text(field: str | bytes) -> str:
    return field if isinstance(field, str) else field.decode("latin-1")
