"""HAProxy's runtime API and its master's, on unix sockets: one command a connection.

HaproxyError
+-- HaproxyLostError      no answer: HAProxy is not up, or hangs
+-- HaproxyRefusedError   the answer says no
"""

import asyncio
import csv
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

TIMEOUT_SECONDS: Final = 10
RELOAD_SECONDS: Final = 60
RELOAD_TRIES: Final = 5
RELOAD_PAUSE_SECONDS: Final = 0.2
MAX_PAYLOAD: Final = 32 * 1024
"""A little below tune.bufsize, which a command with its payload must not exceed."""
END: Final = "%EOF%"


class HaproxyError(Exception):
    """What went wrong between chaperone and HAProxy."""


class HaproxyLostError(HaproxyError):
    """No answer."""


class HaproxyRefusedError(HaproxyError):
    """HAProxy does not take it."""


class Runtime(Protocol):
    """The boundary to HAProxy's worker and master."""

    async def ask(self, command: str, payload: str | None = None) -> str:
        """The worker's answer. Raises HaproxyLostError."""
        ...

    async def ask_master(self, command: str) -> str:
        """The master's answer. Raises HaproxyLostError."""
        ...


class RuntimeClient:
    """Both sockets."""

    def __init__(self, runtime_socket: Path, master_socket: Path) -> None:
        self._runtime = str(runtime_socket)
        self._master = str(master_socket)

    async def ask(self, command: str, payload: str | None = None) -> str:
        text = command if payload is None else f"{command} <<{END}\n{payload}\n{END}"
        return await _asked(self._runtime, text, TIMEOUT_SECONDS)

    async def ask_master(self, command: str) -> str:
        seconds = RELOAD_SECONDS if command == "reload" else TIMEOUT_SECONDS
        return await _asked(self._master, command if command == "reload" else f"{command};quit", seconds)

    async def look(self, seconds: float) -> int:
        """The worker, by its own word; the master has answered too. Raises HaproxyLostError: one of them did not.

        In a thread, and timed by the kernel: however busy this process is, what has been answered counts as answered.
        """
        said = await asyncio.to_thread(_answer, self._runtime, "show info", seconds)
        await asyncio.to_thread(_answer, self._master, "show version;quit", seconds)
        return _pid(parsed_info(said))


def _answer(path: str, text: str, seconds: float) -> str:
    """Each step has its own time, so that of the answer begins when the question has been sent."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(seconds)
            asked.connect(path)
            asked.sendall(f"{text}\n".encode())
            said = bytearray()
            while some := asked.recv(65536):
                said += some
    except OSError as error:
        raise HaproxyLostError(f"HAProxy does not answer: {error}") from error
    return said.decode(errors="replace").strip()


async def _asked(path: str, text: str, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(f"{text}\n".encode())
                return (await reader.read(-1)).decode(errors="replace").strip()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise HaproxyLostError(f"HAProxy does not answer: {str(error) or type(error).__name__}") from error


def takes(pem: bytes) -> bool:
    """Whether a certificate goes through the runtime API; a reload reads the file of any other.

    A line that ends the payload would make commands of those after it.
    """
    return len(pem) <= MAX_PAYLOAD and END not in (line.strip() for line in _lines(pem))


async def change(runtime: Runtime, commands: Sequence[tuple[str, str | None]], *, last_word: str) -> None:
    """Commands in their order; the last one's answer must contain the word. Raises HaproxyError."""
    answer = ""
    for command, payload in commands:
        answer = await runtime.ask(command, payload)
    if last_word not in answer:
        raise HaproxyRefusedError(answer or "HAProxy refuses without a word")


async def set_certificate(runtime: Runtime, file: Path, pem: bytes) -> None:
    """The same certificate with another content; nothing changes when it is refused. Raises HaproxyError."""
    answer = await runtime.ask(f"set ssl cert {file}", _payload(pem))
    if "Transaction" not in answer:
        raise HaproxyRefusedError(answer)
    answer = await runtime.ask(f"commit ssl cert {file}")
    if "Success!" not in answer:
        await runtime.ask(f"abort ssl cert {file}")
        raise HaproxyRefusedError(answer)


async def new_certificate(runtime: Runtime, file: Path, pem: bytes) -> None:
    """A certificate that no list has yet. Raises HaproxyError."""
    await change(runtime, [(f"new ssl cert {file}", None)], last_word="New empty certificate store")
    try:
        await set_certificate(runtime, file, pem)
    except HaproxyRefusedError:
        await runtime.ask(f"del ssl cert {file}")
        raise


async def del_certificate(runtime: Runtime, file: Path) -> None:
    """A certificate that no list has any more. Raises HaproxyError."""
    await change(runtime, [(f"del ssl cert {file}", None)], last_word="deleted")


async def attach(runtime: Runtime, crt_list: Path, line: str) -> None:
    """A line at the end of a list. Raises HaproxyError."""
    await change(runtime, [(f"add ssl crt-list {crt_list}", f"{line}")], last_word="Success!")


async def detach(runtime: Runtime, crt_list: Path, file: Path) -> None:
    """The only line of a list with this certificate is taken away. Raises HaproxyError."""
    await change(runtime, [(f"del ssl crt-list {crt_list} {file}", None)], last_word="deleted")


async def reload(runtime: Runtime) -> None:
    """Another worker reads the files; when it cannot, the old one serves on. Raises HaproxyError.

    A master that is just done with another reload may lose the question: it is asked again.
    """
    for _ in range(RELOAD_TRIES - 1):
        try:
            answer = await runtime.ask_master("reload")
        except HaproxyLostError:
            answer = ""
        if answer:
            break
        await asyncio.sleep(RELOAD_PAUSE_SECONDS)
    else:
        answer = await runtime.ask_master("reload")
    if "Success=1" not in answer:
        raise HaproxyRefusedError(alerts(answer))


async def info(runtime: Runtime) -> dict[str, str]:
    """`show info`. Raises HaproxyLostError."""
    return parsed_info(await runtime.ask("show info"))


async def statistics(runtime: Runtime) -> list[dict[str, str]]:
    """`show stat`, a row for each frontend, server and backend. Raises HaproxyLostError."""
    return parsed_statistics(await runtime.ask("show stat"))


def _pid(found: Mapping[str, str]) -> int:
    if not found.get("Pid", "").isdigit():
        raise HaproxyLostError("HAProxy does not say who serves")
    return int(found["Pid"])


def parsed_info(text: str) -> dict[str, str]:
    """Name -> value."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def parsed_statistics(text: str) -> list[dict[str, str]]:
    """Rows by the names of their columns."""
    return list(csv.DictReader(text.lstrip("# ").splitlines()))


def alerts(text: str) -> str:
    """What matters of many lines that HAProxy says about its configuration."""
    lines = [line.partition(" : ")[2] or line for line in text.splitlines() if "[ALERT]" in line]
    return "\n".join(line.strip() for line in lines) or text.strip() or "HAProxy said nothing"


def _payload(pem: bytes) -> str:
    if not takes(pem):
        raise HaproxyRefusedError(f"more than {MAX_PAYLOAD} bytes, and a line {END}, need a reload")
    # A blank line would end the payload for some versions.
    return "\n".join(line for line in _lines(pem) if line.strip())


def _lines(pem: bytes) -> list[str]:
    return pem.decode("ascii", errors="replace").splitlines()


class FakeRuntime:
    """A HAProxy in memory, for tests: remembers what it was told, and refuses what contains `hostile`."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def ask(self, command: str, payload: str | None = None) -> str:
        self.told.append(command)
        if payload and "hostile" in payload:
            return "Can't load the payload"
        return "Transaction created; Success! New empty certificate store deleted Pid: 7"

    async def ask_master(self, command: str) -> str:
        self.told.append(command)
        return "Success=1"
