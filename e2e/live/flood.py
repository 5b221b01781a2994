"""The same bytes again and again, each time on a connection of their own: as much as the server takes.

    python flood.py ADDRESS PORT SECONDS < BYTES

A program of its own, so that it takes no time from clients that are measured; whoever floods has processors of his
own, and here it stands back behind the gateway, whose they are. Prints how often it was done.
"""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

PATIENCE_SECONDS: Final = 0.1
"""For a server that says nothing."""
LEAST: Final = 2
"""So often at least, however busy the machine is, ..."""
AT_LAST_SECONDS: Final = 60
"""... unless the server takes none for so long."""
TAKEN: Final = b"all read"
"""In a PING at the end of what is sent: its answer shows that the server has read everything."""


def flood(place: tuple[str, int], sent: bytes, seconds: float) -> int:
    """How many connections were flooded."""
    bursts, end = 0, time.monotonic() + seconds
    while (now := time.monotonic()) < end or (bursts < LEAST and now < end + AT_LAST_SECONDS):
        with suppress(OSError), socket.create_connection(place, timeout=PATIENCE_SECONDS) as attacker:
            bursts += 1
            attacker.sendall(sent)
            received = b""
            while TAKEN not in received and (some := attacker.recv(65536)):
                received = received[-len(TAKEN) :] + some
    return bursts


def attacked(place: tuple[str, int], sent: bytes, seconds: float, attackers: int) -> int:
    """By several programs at once; how many connections they flooded."""
    command = [sys.executable, __file__, place[0], str(place[1]), str(seconds)]
    with ThreadPoolExecutor(attackers) as pool:
        made = [pool.submit(subprocess.run, command, input=sent, stdout=subprocess.PIPE) for _ in range(attackers)]
        return sum(int(one.result().stdout) for one in made)


if __name__ == "__main__":
    os.nice(19)
    print(flood((sys.argv[1], int(sys.argv[2])), sys.stdin.buffer.read(), float(sys.argv[3])))
