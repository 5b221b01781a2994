"""Fixtures of this package's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chaperone_rig import Lines, Until, wait_until


@pytest.fixture
def until() -> Until:
    """Waits for a claim."""
    return wait_until


@pytest.fixture
def lines() -> Lines:
    """A log that can be read."""
    return Lines()
