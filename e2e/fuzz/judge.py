"""What a client may be told, whatever it and its backend say: answers that every reader takes alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import h11
from hpack import Decoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame

from recorder import answered
from wire_case import HIDDEN, WireCase

_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")
ENOUGH_BYTES: Final = 1 << 20
"""No head is larger."""
_NEIGHBOURLY: Final = {"connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade"}


@dataclass(frozen=True)
class Heard:
    """What came back over HTTP/1: the statuses, what is wrong, and whether the last answer is whole."""

    statuses: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()


def judge(case: WireCase, received: bytes, targets: list[str], doubts: list[str]) -> tuple[tuple[int, ...], list[str]]:
    """The statuses that the client heard, and everything that must not be."""
    heard = _http2(received) if case.front in ("h2c", "tls-h2") else _http1(case, received)
    faults = [f"the client's: {fault}" for fault in heard.faults] + [f"the backend's: {doubt}" for doubt in doubts]
    if any(HIDDEN.decode() in target for target in targets) and not _asks_openly(case):
        faults.append("the backend's: a request that was hidden in another one")
    return heard.statuses, faults


def _asks_openly(case: WireCase) -> bool:
    """Whether the strictest reader of HTTP/1 sees a request for it; over HTTP/2 nobody asks for it."""
    if case.front in ("h2c", "tls-h2"):
        return False
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(b"".join(case.sent))
    try:
        return any(HIDDEN in target for target in _targets(reader))
    except h11.RemoteProtocolError:
        return False


def _targets(reader: h11.Connection) -> Iterator[bytes]:
    while True:
        match reader.next_event():
            case h11.Request() as request:
                yield request.target
            case h11.EndOfMessage():
                if not answered(reader):
                    return
            case h11.NEED_DATA | h11.PAUSED | h11.ConnectionClosed():
                return


def _http1(case: WireCase, received: bytes) -> Heard:
    statuses: list[int] = []
    # Who asked with HEAD or CONNECT is not asked here which answer is which.
    is_sure = not any(word in b"".join(case.sent) for word in (b"HEAD", b"CONNECT"))
    try:
        while received:
            status, received = _one(received, is_sure=is_sure)
            statuses.append(status)
            if status == 101 or not is_sure:
                break
    except EOFError:
        pass
    except ValueError as error:
        return Heard(tuple(statuses), (str(error),))
    return Heard(tuple(statuses))


def _one(received: bytes, *, is_sure: bool) -> tuple[int, bytes]:
    """The next answer's status, and what follows it. EOFError: it ends early; ValueError: it is none."""
    head, mark, rest = received.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    if not mark:
        if b"HTTP/1."[: len(received)] != received[:7]:
            raise ValueError("bytes that are no answer")
        raise EOFError
    if not (told := _LINE.fullmatch(line)):
        raise ValueError("a status line that is none")
    parsed = [_FIELD.fullmatch(field) for field in fields]
    if not all(parsed):
        raise ValueError("a field that is none")
    values = [(one[1].lower(), one[2].strip()) for one in parsed if one]
    status = int(told[1])
    lengths = [value for name, value in values if name == b"content-length"]
    encodings = [value for name, value in values if name == b"transfer-encoding"]
    if len(lengths) + len(encodings) > 1:
        raise ValueError("an answer with two framings")
    if status < 200 or status in (204, 304) or not is_sure:
        return status, rest
    if lengths:
        if not lengths[0].isdigit():
            raise ValueError("a length that is none")
        if len(rest) < int(lengths[0]):
            raise EOFError
        return status, rest[int(lengths[0]) :]
    return (status, _after_chunks(rest)) if encodings else (status, b"")


def _after_chunks(rest: bytes) -> bytes:
    while True:
        size = _CHUNK.match(rest)
        if not size:
            if len(rest) < 18 and b"\r\n" not in rest:
                raise EOFError
            raise ValueError("a chunk that is none")
        length = int(size[1], 16)
        rest = rest[size.end() :]
        if length == 0:
            if len(rest) < 2:
                raise EOFError
            _, mark, after = rest.partition(b"\r\n") if rest.startswith(b"\r\n") else rest.partition(b"\r\n\r\n")
            if not mark:
                raise EOFError
            return after
        if len(rest) < length + 2:
            raise EOFError
        if rest[length : length + 2] != b"\r\n":
            raise ValueError("a chunk that does not end")
        rest = rest[length + 2 :]


def _http2(received: bytes) -> Heard:
    statuses: list[int] = []
    faults: list[str] = []
    decoder, begun, ended = Decoder(max_header_list_size=ENOUGH_BYTES), set[int](), set[int]()
    try:
        for frame in _frames(received):
            if isinstance(frame, HeadersFrame | DataFrame) and frame.stream_id in ended:
                faults.append("a frame after the end of its stream")
            if isinstance(frame, HeadersFrame):
                fields = [(_text(name), _text(value)) for name, value in decoder.decode(frame.data)]
                statuses += [int(value) for name, value in fields if name == ":status"]
                faults += [
                    f"a field {name} over HTTP/2" for name, _ in fields if name in _NEIGHBOURLY or name != name.lower()
                ]
                faults += (
                    ["a head without a status"] if frame.stream_id not in begun and fields[0][0] != ":status" else []
                )
                begun.add(frame.stream_id)
            if isinstance(frame, DataFrame) and frame.stream_id not in begun:
                faults.append("a body without a head")
            if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
                ended.add(frame.stream_id)
            if isinstance(frame, RstStreamFrame | GoAwayFrame):
                statuses.append(-frame.error_code)
    except (HPACKError, HyperframeError, ValueError, IndexError) as error:
        faults.append(f"frames that are none: {type(error).__name__}")
    return Heard(tuple(statuses), tuple(faults))


def _frames(received: bytes) -> Iterator[Frame]:
    """A head that goes on in further frames as one."""
    begun: HeadersFrame | None = None
    for frame in _single_frames(received):
        match frame:
            case HeadersFrame():
                begun = frame
            case ContinuationFrame() if begun:
                begun.data += frame.data
        if begun is None:
            yield frame
        elif "END_HEADERS" in frame.flags:
            yield begun
            begun = None


def _single_frames(received: bytes) -> Iterator[Frame]:
    while len(received) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(received[:9]))
        if len(received) < 9 + length:
            return
        frame.parse_body(memoryview(received[9 : 9 + length]))
        received = received[9 + length :]
        yield frame


def _text(field: str | bytes) -> str:
    return field if isinstance(field, str) else field.decode("latin-1")
