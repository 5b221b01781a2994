"""Fixtures of this package's tests."""

import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chaperone_rig import Lines, Rig, Until, wait_until


@pytest.fixture
def until() -> Until:
    """Waits for a claim."""
    return wait_until


@pytest.fixture
def lines() -> Lines:
    """A log that can be read."""
    return Lines()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A gateway that can be given documents, with real programs."""
    # Unix sockets have short paths: pytest's own folders may be too deep.
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        found = Rig(Path(folder))
        yield found
        found.serving.hasten.set()
        await found.serving.end()
