"""One cluster and one gateway for all tests: each leaves it as it found it."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.cluster.api import Api, until
from e2e.cluster.layout import Layout
from e2e.cluster.rig import Rig


@pytest.fixture(scope="session")
def built() -> Iterator[Rig]:
    with closing(Api()) as api:
        rig = Rig(api)
        rig.build()
        yield rig


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Of the cluster around us."""
    programs = Path(os.environ["PATH"].partition(":")[0]).parent
    return Layout(state=Path(os.environ["KUBECONFIG"]).parents[1], programs=programs)


@pytest.fixture
def rig(built: Rig) -> Iterator[Rig]:
    until("the gateway is settled", built.is_settled)
    yield built
    built.clear()
