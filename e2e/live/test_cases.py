"""Every golden case through a real varnishd, with HAProxy before it where that is due."""

import pytest

from case import Case, all_cases
from live_rig import LiveGateways
from varnish_gateway_operator.resources.parameters import Passes

pytestmark = pytest.mark.live


@pytest.mark.parametrize("case", [case for case in all_cases() if case.has_claims], ids=lambda case: case.folder.name)
@pytest.mark.parametrize("passes", ["Direct", "Fetch"])
def test_case(case: Case, passes: Passes, gateways: LiveGateways) -> None:
    """However passes go, the answers are the same; a user's VCL goes its one way.

    One way after the other: the VCL is compiled for each, and not for every case.
    """
    wrong: list[str] = []
    for name, translated in case.gateways.items():
        if translated.has_user_vcl and passes != "Direct":
            continue
        documents = translated if translated.has_user_vcl else translated.passing(passes)
        claims = [claim for claim in case.claims if case.gateway_of(claim) == name]
        if claims:
            gateway = gateways.serving(documents, case.ghost(name))
            wrong += [line for claim in claims for line in case.check(claim, gateway.address)]
    assert not wrong, "\n".join(wrong)


def test_there_are_cases() -> None:
    assert all_cases()


def test_claims_have_no_unknown_keys() -> None:
    known = {"claim", "get", "gateway", "method", "headers", "repeat", "vcl", "sni", "expect"}
    claims = [(case.folder.name, claim) for case in all_cases() for claim in case.claims]
    assert {name: set(claim) - known for name, claim in claims if set(claim) - known} == {}
