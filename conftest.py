"""How tests are spread over processes: a module of e2e shares a gateway and stays together, others go one by one."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

TOGETHER = "e2e/live/"


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A test that sets up the log does so for itself: the stream that it writes to is closed after it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_xdist_make_scheduler(config: "pytest.Config", log: Any) -> Any:
    """xdist's own groups (`--dist loadgroup`) are not seen by pytest 9.1 and later."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGateway(LoadScopeScheduling):
        """Largest first, so that no long module is left for the end."""

        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid

    return ByGateway(config, log)
