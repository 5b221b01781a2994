"""What the program that logs requests is told."""

import pytest

from varnish_gateway_chaperone.varnish.request_log import without_own_requests

OWN = 'not ReqStart[3] eq "ghost"'


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), ["-q", OWN]),
        (("-F", "%h"), ["-F", "%h", "-q", OWN]),
        (("-q", "RespStatus >= 500"), ["-q", f"{OWN} and ((RespStatus >= 500))"]),
        (("-qA", "-g", "request", "-q", "B or C"), ["-g", "request", "-q", f"{OWN} and ((A) or (B or C))"]),
    ],
)
def test_own_requests_are_left_out_whatever_is_asked(arguments: tuple[str, ...], wanted: list[str]) -> None:
    assert without_own_requests(arguments) == wanted
