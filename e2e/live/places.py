"""Addresses on loopback that no other process of tests has: they may run side by side."""

import itertools
import os
from typing import Final

_PROCESS: Final = os.getpid()
NETWORK: Final = f"127.{192 + _PROCESS // 250 % 60}.{_PROCESS % 250}."
CASES_NETWORK: Final = "127.10.0."
"""Where the endpoints of the cases are, by their manifests; the lowest hosts of it."""

_hosts = itertools.count(20)


def own_address() -> str:
    """An address for one gateway or server."""
    return f"{NETWORK}{next(_hosts)}"


def moved(text: bytes) -> bytes:
    """A case's text with its endpoints in this process's network."""
    return text.replace(CASES_NETWORK.encode(), NETWORK.encode())
