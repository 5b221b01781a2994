"""Every golden case through a real varnishd: the same requests, the same answers."""

import pytest

from case import Case, all_cases
from live_rig import LiveGateway

pytestmark = pytest.mark.live

SERVED = "http:"
"""Nothing stands in front of varnishd for HTTPS yet: those claims are checked by ghost's core alone."""


@pytest.mark.parametrize("case", [case for case in all_cases() if case.claims], ids=lambda case: case.folder.name)
def test_case(case: Case, gateway: LiveGateway) -> None:
    wrong: list[str] = []
    for name in case.gateways:
        gateway.load(case, name)
        for claim in case.claims:
            if case.gateway_of(claim) == name and claim["get"].startswith(SERVED):
                wrong += case.check(claim, gateway.address)
    assert not wrong, "\n".join(wrong)


def test_there_are_cases() -> None:
    assert all_cases()


def test_claims_have_no_unknown_keys() -> None:
    known = {"claim", "get", "gateway", "method", "headers", "repeat", "vcl", "sni", "expect"}
    claims = [(case.folder.name, claim) for case in all_cases() for claim in case.claims]
    assert {name: set(claim) - known for name, claim in claims if set(claim) - known} == {}
