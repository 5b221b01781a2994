"""One cluster and one gateway for all tests: each leaves it as it found it."""

from collections.abc import Iterator

import pytest

from e2e.cluster.api import Api, until
from e2e.cluster.rig import Rig


@pytest.fixture(scope="session")
def built() -> Rig:
    rig = Rig(Api())
    rig.build()
    return rig


@pytest.fixture
def rig(built: Rig) -> Iterator[Rig]:
    until("the gateway is settled", built.is_settled)
    yield built
    until("the gateway is settled", built.is_settled)
