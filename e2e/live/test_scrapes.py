"""Many who ask for metrics at once: they get them, and nothing that serves is taken for hanging."""

import asyncio
import time
from collections import Counter
from typing import Final

import pytest

from front_rig import Front
from varnish_gateway_common import names
from victim import watched

pytestmark = pytest.mark.live

SCRAPERS: Final = 500
SECONDS: Final = 8
"""Longer than what is taken for a hang."""
PAUSE_SECONDS: Final = 1.0
"""Between one time and the next: other tests want the processors too."""
PATIENCE_SECONDS: Final = 60
GOOD: Final = "HTTP/1.1 200 "


async def asked(address: str, path: str) -> str:
    """The first line of the answer; empty for who is cut off."""
    writer = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(address, names.WEB_PORT)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
            text = (await reader.read()).decode()
    except ConnectionError:
        return ""
    finally:
        if writer:
            writer.close()
    return text.partition("\r\n")[0]


async def scraped(address: str, seconds: float) -> tuple[Counter[str], Counter[str]]:
    """All at once, again and again, and a probe between: what they were answered."""
    metrics, probes = Counter[str](), Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        metrics.update(await asyncio.gather(*(asked(address, "/metrics") for _ in range(SCRAPERS))))
        probes[await asked(address, "/readyz")] += 1
        await asyncio.sleep(PAUSE_SECONDS)
    return metrics, probes


def test_five_hundred_scrapes_at_once(front: Front) -> None:
    with watched(front):
        metrics, probes = asyncio.run(scraped(front.address, SECONDS))
    assert metrics.keys() <= {GOOD, ""}
    assert metrics[GOOD] > 0
    assert probes.keys() == {GOOD}
    assert "does not answer" not in front.gateway.log.read_text()
