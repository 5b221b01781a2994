"""A client that makes TLS connections: one request on each, full or resumed handshakes.

    python -m bench.tls_client ADDRESS PORT h1|h2 full|resumed SECONDS

Prints JSON: connections that were answered, and what went wrong.
"""

import json
import socket
import ssl
import sys
import time

from bench.fronts import NAME

H1 = f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# :method GET, :scheme https, :path / from HPACK's static table; :authority as a literal.
H2_HEADERS = b"\x82\x87\x84\x01" + bytes([len(NAME)]) + NAME.encode()
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
H2 += frame(HEADERS, END_HEADERS | END_STREAM, 1, H2_HEADERS)


def context(alpn: str | None = None) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    if alpn:
        found.set_alpn_protocols([alpn])
    return found


CONTEXT = context()


def can_connect(address: str, port: int, name: str = NAME) -> bool:
    """Whether a handshake succeeds."""
    return certificate(address, port, name) is not None


def certificate(address: str, port: int, name: str = NAME) -> bytes | None:
    """The server's for this name, in DER."""
    try:
        with (
            socket.create_connection((address, port), timeout=5) as plain,
            CONTEXT.wrap_socket(plain, server_hostname=name) as tls,
        ):
            return tls.getpeercert(binary_form=True)
    except OSError:
        return None


class Client:
    """Connections to one address, each resuming the first one's session if asked to."""

    def __init__(self, address: str, port: int, protocol: str, *, resumes: bool) -> None:
        self._to = (address, port)
        self._is_h2 = protocol == "h2"
        self._context = context("h2" if self._is_h2 else "http/1.1")
        self._resumes = resumes
        self._session: ssl.SSLSession | None = None

    def connect(self) -> ssl.SSLSocket:
        """After an answered request."""
        plain = socket.create_connection(self._to, timeout=5)
        tls = self._context.wrap_socket(plain, server_hostname=NAME, session=self._session)
        tls.sendall(H2 if self._is_h2 else H1)
        if b"200" not in (self._h2_answer(tls) if self._is_h2 else _until_end(tls)):
            raise OSError("no good answer")
        if self._session is not None and not tls.session_reused:
            raise OSError("the session was not resumed")
        if self._resumes and self._session is None:
            self._session = tls.session
        return tls

    def _h2_answer(self, tls: ssl.SSLSocket) -> bytes:
        """`200` when the stream ended well: the status is an index of HPACK's static table."""
        with tls.makefile("rb") as reader:
            status = b""
            while True:
                head = reader.read(9)
                if len(head) < 9:
                    raise OSError("closed before the answer's end")
                payload = reader.read(int.from_bytes(head[:3], "big"))
                if head[3] == HEADERS and payload[:1] == b"\x88":
                    status = b"200"
                if head[3] in (DATA, HEADERS) and head[4] & END_STREAM:
                    return status


def _until_end(tls: ssl.SSLSocket) -> bytes:
    found = b""
    while some := tls.recv(16384):
        found += some
    return found


def main(address: str, port: str, protocol: str, kind: str, seconds: str) -> None:
    client = Client(address, int(port), protocol, resumes=kind == "resumed")
    client.connect().close()
    count, mistakes = 1, []
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        try:
            client.connect().close()
            count += 1
        except OSError as error:
            mistakes.append(str(error))
    print(json.dumps({"connections": count, "failed": len(mistakes), "mistakes": mistakes[:3]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
