"""varnishd's arguments: a golden list, and what must not be got wrong."""

import json
from pathlib import Path

import pytest

from varnish_gateway_chaperone.varnish.arguments import (
    PARAMETERS,
    Paths,
    head_parameters,
    listen_address,
    too_long,
    varnishd_arguments,
    varnishd_environment,
)
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket

PATHS = Paths(Path("/run/g"))


def pod(**values: object) -> Pod:
    return Pod.model_validate({"version": 1, "gateway": "default/gw"} | values)


def test_all_of_them_in_order() -> None:
    found = varnishd_arguments(pod(sockets=[{"name": "http-80", "port": 80}]), PATHS, "10.0.0.1", vmod_path="/a:/b")
    values = PARAMETERS | head_parameters(HeadLimits())
    parameters = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
    assert found == [
        *("-F", "-f", "", "-n", "/run/g/varnish", "-j", "none", "-T", "127.0.0.1:0", "-S", "/run/g/secret"),
        *("-a", "http-80=10.0.0.1:80", "-a", "ghost=/run/g/ghost.sock,mode=600", "-s", "malloc,256m"),
        *parameters,
        *("-p", "vmod_path=/a:/b", "-p", "feature=-http2", "-p", "vcc_feature=-unsafe_path"),
        *("-p", "http_range_support=off", "-p", "vcl_path=/run/g/vcl"),
    ]


@pytest.mark.parametrize(
    ("wished", "last"),
    [("feature=+http2", "feature=-http2"), ("http_range_support=on", "http_range_support=off")],
)
def test_what_passes_and_draining_need_stays_off_whatever_a_user_adds(wished: str, last: str) -> None:
    found = varnishd_arguments(pod(varnishd_arguments=["-p", wished]), PATHS, "::1")
    assert found.index(wished) < found.index(last)


def test_files_outside_of_the_path_of_vcls_stay_closed_whatever_a_user_adds() -> None:
    found = varnishd_arguments(pod(varnishd_arguments=["-p", "vcc_feature=default"]), PATHS, "::1")
    assert found.index("vcc_feature=default") < found.index("vcc_feature=-unsafe_path")


def test_vcls_are_included_from_where_the_class_says() -> None:
    found = varnishd_arguments(pod(varnishd_arguments=["-p", "vcl_path=/etc/shared:/b"]), PATHS, "::1")
    assert found[-1] == "vcl_path=/run/g/vcl:/etc/shared:/b"


def test_a_users_parameter_comes_after_the_defaults() -> None:
    found = varnishd_arguments(pod(varnishd_arguments=["-p", "timeout_idle=5"]), PATHS, "::1")
    assert found.index("timeout_idle=10") < found.index("timeout_idle=5")


def test_a_socket_that_speaks_tls_is_not_opened_in_the_clear() -> None:
    found = varnishd_arguments(
        pod(sockets=[{"name": "https-443", "port": 443, "protocol": "HTTPS", "front": "proxy"}]), PATHS, "::1"
    )
    assert [word for word in found if "443" in word] == ["https-443=/run/g/https-443.sock,PROXY,mode=600"]


def test_a_load_balancer_before_varnishd_says_who_the_client_is() -> None:
    found = varnishd_arguments(
        pod(sockets=[{"name": "http-80", "port": 80, "accepts_proxy_protocol": True}]), PATHS, "::1"
    )
    assert "http-80=[::1]:80,PROXY" in found


def test_a_path_that_the_kernel_would_not_take() -> None:
    sockets = [{"name": "https-443", "port": 443, "protocol": "HTTPS", "front": "proxy"}]
    assert too_long(pod(sockets=sockets), PATHS) is None
    assert too_long(pod(sockets=sockets), Paths(Path("/" + "x" * 94))) == Path("/" + "x" * 94 + "/https-443.sock")


@pytest.mark.parametrize(("address", "wanted"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_addresses(address: str, wanted: str) -> None:
    assert listen_address(address, 80) == wanted


def test_ghost_is_told_its_folder_and_all_limits_of_heads() -> None:
    found = varnishd_environment(pod(head_limits={"request_header_fields": 100}), PATHS, {"PATH": "/bin"})
    limits = json.loads(found.pop("VARNISH_GATEWAY_GHOST_HEAD_LIMITS"))
    assert found == {"PATH": "/bin", "VARNISH_GATEWAY_GHOST_FOLDER": "/run/g"}
    assert limits == {
        "request_line_bytes": 8192,
        "request_header_bytes": 32_768,
        "request_header_fields": 100,
        "response_header_bytes": 65_536,
        "response_header_fields": 128,
    }


@pytest.mark.parametrize("limits", [{}, {"request_header_bytes": 262_144, "request_header_fields": 1000}])
def test_varnishd_reads_more_than_is_allowed_so_that_ghost_can_answer(limits: dict[str, int]) -> None:
    allowed = HeadLimits.model_validate(limits)
    found = {name: int(value) for name, value in head_parameters(allowed).items()}
    assert found["http_req_size"] > allowed.request_line_bytes + allowed.request_header_bytes
    assert found["http_req_hdr_len"] == found["http_req_size"] < found["workspace_client"]
    # A client's fields, what filters and the gateway add, and the request line, which counts as five.
    assert found["http_max_hdr"] >= 5 + allowed.request_header_fields + 64 + 10
    assert found["http_max_hdr"] >= 5 + allowed.response_header_fields + 64 + 10


def test_sockets_keep_their_order() -> None:
    sockets = (PodSocket(name="http-81", port=81), PodSocket(name="http-80", port=80))
    found = varnishd_arguments(pod(sockets=sockets), PATHS, "::1")
    assert found.index("http-81=[::1]:81") < found.index("http-80=[::1]:80")


def test_what_nobody_reads_is_not_held_back() -> None:
    """As a parameter it holds kept bodies, synthetic answers and packed includes, too: they waited for ever."""
    assert "transit_buffer" not in PARAMETERS
