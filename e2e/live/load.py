"""Clients that never rest: what they lose is counted."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from cryptography import x509

from clients import HTTP1, HTTP2, Request, connect_tls, trusting
from http2 import NotProcessedError

PACE_SECONDS: Final = 0.002
"""Between two requests of a client: the tests share their processors."""
KEPT: Final = ((HTTP1, True), (HTTP1, True), (HTTP2, True), (HTTP2, True))
NEW: Final = ((HTTP1, False), (HTTP2, False))


class Load:
    """Requests over HTTP/1.1 and HTTP/2, on connections that are kept and on new ones."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self._place = address, port
        self._host = host
        self._is_over = threading.Event()
        self._is_full = threading.Event()
        self.answered = 0
        self.connected = 0
        self.lost: list[str] = []

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Ends them; those that were told to go do not come back after `no_more_connections`."""
        with ThreadPoolExecutor(len(KEPT) + len(NEW)) as pool:
            clients: list[Future[None]] = [pool.submit(self._client, *kind) for kind in (*KEPT, *NEW)]
            try:
                yield self
            finally:
                self._is_full.set()
                self._is_over.set()
        for client in clients:
            client.result()

    def no_more_connections(self) -> None:
        """What clients do who have been told to go elsewhere: they finish, on connections that they have."""
        self._is_full.set()

    def _client(self, protocol: str, is_kept: bool) -> None:
        while not self._is_full.is_set():
            try:
                self._connection(protocol, is_kept=is_kept)
            except OSError as error:
                self.lost.append(f"{time.strftime('%X')} {protocol} {'kept' if is_kept else 'new'}: {error!r}")

    def _connection(self, protocol: str, *, is_kept: bool) -> None:
        with connect_tls(*self._place, self._host, protocol) as connection, suppress(NotProcessedError):
            self.connected += 1
            while not self._is_over.is_set():
                reply = connection.ask(Request(self._host, scheme="https"))
                if reply.status != 200:
                    self.lost.append(f"{protocol}: {reply}")
                self.answered += 1
                if connection.is_closing or not is_kept:
                    return
                self._is_over.wait(PACE_SECONDS)


def serial(address: str, port: int, name: str | None) -> int:
    """The serial number of the certificate that a client gets; 0: the handshake is refused."""
    try:
        with (
            socket.create_connection((address, port), timeout=5) as plain,
            trusting().wrap_socket(plain, server_hostname=name) as tls,
        ):
            return serial_of(tls)
    except OSError:
        return 0


def serial_of(tls: ssl.SSLSocket | ssl.SSLObject) -> int:
    """Of the certificate that the server showed."""
    found = tls.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found).serial_number
