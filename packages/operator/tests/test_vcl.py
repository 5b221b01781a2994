"""main.vcl: what stands around the user's part, and how passes go beside it."""

import pytest

from operator_rig import OPTIONS, snapshot
from varnish_gateway_common import names
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.resources.parameters import Passes
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.vcl import main_vcl, passes_of

MANIFESTS = """
apiVersion: gateway.varnish-software.com/v1alpha1
kind: GatewayClassParameters
metadata: {name: class}
spec: {userVCLConfigMapRef: {name: vcl, namespace: default}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: vcl, namespace: default}
data: {user.vcl: ""}
"""
HARMLESS = """
import std;
backend own { .host = "127.0.0.1"; }
acl friends { "10.0.0.0"/8; }
sub mine { set req.http.X-Mine = "1"; }
sub vcl_recv { call mine; if (req.url ~ "^/keep") { return (hash); } }
sub vcl_hash { hash_data(req.http.Cookie); }
sub vcl_hit { set req.http.X-Hit = "1"; }
sub vcl_pipe { set bereq.http.X-Pipe = "1"; }
"""


def test_passes_are_direct_beside_what_they_do_not_skip() -> None:
    assert passes_of("") == "Direct"
    assert passes_of(HARMLESS) == "Direct"


@pytest.mark.parametrize(
    "text",
    [
        "sub vcl_backend_fetch { }",
        "sub vcl_backend_response { set beresp.ttl = 1m; }",
        "sub vcl_backend_error { }",
        "sub\tvcl_deliver\n{ }",
        "sub /* */ vcl_synth { }",
        "sub vcl_pass { }",
        'include "more.vcl";',
        "C{ }C",
        "# vcl_deliver is only spoken of",
    ],
)
def test_passes_are_fetched_where_something_might_be_skipped(text: str) -> None:
    assert passes_of(HARMLESS + text) == "Fetch"


@pytest.mark.parametrize(
    ("passes", "user", "is_direct"),
    [
        ("Auto", HARMLESS, True),
        ("Auto", "sub vcl_deliver { }", False),
        ("Direct", "sub vcl_deliver { }", True),
        ("Fetch", HARMLESS, False),
    ],
)
def test_the_class_may_decide(passes: Passes, user: str, *, is_direct: bool) -> None:
    found = snapshot(MANIFESTS)
    given = found.parameters["", "class"]
    parameters = given.model_copy(update={"spec": given.spec.model_copy(update={"passes": passes})})
    config_map = found.config_maps["default", "vcl"].model_copy(update={"data": {"user.vcl": user}})
    vcl = main_vcl(parameters, Snapshot(config_maps={("default", "vcl"): config_map}), OPTIONS.vcl)
    assert vcl.text is not None
    assert (OPTIONS.vcl.direct in vcl.text) is is_direct
    assert vcl.user
    assert vcl.text.splitlines()[vcl.user.first_line - 1] == user.splitlines()[0]


def test_the_direct_part_is_of_subroutines_that_hide_no_users() -> None:
    """What it defines is what makes a user's VCL refuse it."""
    assert names.PASS_DIRECTLY in vcl_parts().direct.encode()
    subroutines = [line.split()[1] for line in vcl_parts().direct.splitlines() if line.startswith("sub ")]
    assert {passes_of(f"sub {name} {{ }}") for name in subroutines if name != "vcl_init"} == {"Fetch"}
