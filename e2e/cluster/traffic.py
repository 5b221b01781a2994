"""A load generator that misses nothing: every request is counted, every one that failed is told with its time."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

CLIENTS = 6
PAUSE_SECONDS = 0.02
TIMEOUT_SECONDS = 10


@dataclass
class Traffic:
    """GET requests while the block runs, half of the clients with a connection for each request.

    A request on a kept connection that the server closed before a byte of an answer came is sent again, once, as the
    specification of HTTP lets a client do; such are counted.
    """

    address: str
    host: str
    port: int = 80
    path: str = "/"
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    repeated: int = 0

    def __enter__(self) -> Self:
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n % 2 == 0,)) for n in range(CLIENTS)]
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    @property
    def requests(self) -> int:
        return self.statuses.total() + len(self.failures)

    def check(self, *, at_least: int) -> None:
        """All of them were answered with 200. Raises AssertionError with the first that were not."""
        wrong = {status: count for status, count in self.statuses.items() if status != 200}
        assert not self.failures, f"{len(self.failures)} of {self.requests} failed: {self.failures[:5]}"
        assert not wrong, f"of {self.requests}: {wrong}"
        assert self.requests >= at_least

    def _ask(self, keeps: bool) -> None:
        connection = self._connection()
        while not self._ends.wait(PAUSE_SECONDS):
            if not keeps:
                connection = self._connection()
            self._count(connection)
            if not keeps:
                connection.close()
        connection.close()

    def _count(self, connection: HTTPConnection) -> None:
        is_kept = connection.sock is not None
        try:
            status = self._answer(connection)
        except (ConnectionError, HTTPException) as error:
            connection.close()
            if not is_kept or not isinstance(error, ConnectionError):
                self._failed(error)
                return
            with self._lock:
                self.repeated += 1
            self._count(connection)
            return
        except OSError as error:
            connection.close()
            self._failed(error)
            return
        with self._lock:
            self.statuses[status] += 1

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self.failures.append(f"{time.monotonic() - self._began:.2f} s: {error!r}")

    def _answer(self, connection: HTTPConnection) -> int:
        connection.request("GET", self.path, headers={"Host": self.host})
        response = connection.getresponse()
        response.read()
        return response.status

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(self.address, self.port, timeout=TIMEOUT_SECONDS)
