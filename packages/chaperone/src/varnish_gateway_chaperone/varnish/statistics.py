"""varnishd's counters, as its own varnishstat prints them."""

import asyncio
import json
from pathlib import Path
from typing import Final, Literal, Protocol

TIMEOUT_SECONDS: Final = 5

DEATHS: Final = ("MGT.child_died", "MGT.child_exit")
"""By a signal, as after every panic, or of its own accord: varnishd's account of what its worker was not asked for."""

Counters = dict[str, int]


class StatisticsError(Exception):
    """No counters: varnishd is not up, or varnishstat is missing."""


class Statistics(Protocol):
    """The boundary to varnishd's counters."""

    async def read(self, *patterns: str) -> Counters:
        """`MAIN.sess_conn` -> value, of those that match. Raises StatisticsError."""
        ...


def beside(varnishd: Path, name: str) -> str:
    """A program of the same Varnish; where it is not in its place, the one in PATH."""
    found = varnishd.resolve().parent.parent / "bin" / name
    return str(found) if found.exists() else name


class Varnishstat:
    """The program beside varnishd."""

    def __init__(self, varnishd: Path, workdir: Path) -> None:
        self._program = beside(varnishd, "varnishstat")
        self._workdir = workdir

    async def read(self, *patterns: str) -> Counters:
        wanted = [word for pattern in patterns for word in ("-f", pattern)]
        try:
            child = await asyncio.create_subprocess_exec(
                *(self._program, "-1", "-j", "-t", "1", "-n", str(self._workdir), *wanted),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise StatisticsError(f"{self._program}: {error.strerror}") from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                text, _ = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise StatisticsError("varnishstat does not answer") from None
        return parsed(text)


def parsed(text: bytes) -> Counters:
    """Raises StatisticsError for what is not varnishstat's JSON."""
    try:
        counters = json.loads(text)["counters"]
        return {name: int(found["value"]) for name, found in counters.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StatisticsError("varnishstat says nothing") from error


def deaths(counters: Counters) -> int:
    """How often varnishd's worker ended by itself."""
    return sum(counters.get(name, 0) for name in DEATHS)


def live(counters: Counters, pool: Literal["sess", "req"]) -> int:
    """Client connections that varnishd holds, or requests that it works on."""
    start = f"MEMPOOL.{pool}"
    return sum(value for name, value in counters.items() if name.startswith(start) and name.endswith(".live"))
