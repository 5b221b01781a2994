"""A control plane is around (nox -s integration); the operator's account and process are made here."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from operator_process import Account, Operator, apply, kubectl

CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: varnish}
spec: {controllerName: varnish-software.com/gateway}
"""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Account:
    apply(CLASS)
    return Account.install(tmp_path_factory.mktemp("operator"))


@pytest.fixture
def begin(account: Account, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Starts operators, which end with the test."""
    begun: list[Operator] = []

    def begin(of: Account = account) -> Operator:
        operator = Operator(of, tmp_path / f"{len(begun)}.log", 18000 + len(begun))
        begun.append(operator)
        return operator

    yield begin
    for each in begun:
        each.stop()
        print(each.log.read_text())


@pytest.fixture(scope="module")
def operator(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One for all tests of a file."""
    found = Operator(account, tmp_path_factory.mktemp("operator") / "operator.log", 18100)
    yield found
    assert found.stop() == 0
    print(found.log.read_text())


@pytest.fixture
def namespace() -> Iterator[str]:
    """A new one."""
    name = f"test-{next(_numbers)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
