"""haproxy.cfg: golden files (BLESS=1 accepts), and what must never get into it."""

import os
import resource
from pathlib import Path

import pytest

from varnish_gateway_chaperone.haproxy.configuration import (
    ConfigurationError,
    FrontPaths,
    Limits,
    certificate_list,
    configuration,
)
from varnish_gateway_chaperone.haproxy.daemon import limits
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.heads import HeadLimits
from varnish_gateway_common.pod import Pod, PodSocket

PATHS = FrontPaths(Path("/run/g"))
GOLDEN = Path(__file__).parent / "golden"
HTTPS = PodSocket(name="https-443", port=443, protocol="HTTPS", front="proxy")
H2C = PodSocket(name="http-80", port=80, front="proxy", accepts_proxy_protocol=True)
DIRECT = PodSocket(name="http-81", port=81)


def pod(*sockets: PodSocket) -> Pod:
    return Pod(version=1, gateway="default/gw", sockets=sockets)


def check(name: str, found: str) -> None:
    golden = GOLDEN / name
    if os.environ.get("BLESS"):
        write_if_changed(golden, found.encode())
    assert found == golden.read_text()


@pytest.mark.parametrize(
    ("name", "sockets", "address"),
    [("https.cfg", (HTTPS,), "10.0.0.1"), ("all.cfg", (HTTPS, H2C, DIRECT), "::1"), ("everywhere.cfg", (HTTPS,), "")],
)
def test_golden(name: str, sockets: tuple[PodSocket, ...], address: str) -> None:
    with_default = {"https-443"} if name == "all.cfg" else ()
    check(name, configuration(pod(*sockets), PATHS, address, Limits(), with_default=with_default))


@pytest.mark.parametrize(
    ("has_it", "curves"), [(False, "X25519:P-256:P-384"), (True, "X25519MLKEM768:X25519:P-256:P-384")]
)
def test_the_hybrid_group_comes_first_where_there_is_one(*, has_it: bool, curves: str) -> None:
    text = configuration(pod(HTTPS), PATHS, "", Limits(has_hybrid_groups=has_it))
    assert f"\n    ssl-default-bind-curves {curves}\n" in text


def test_heads_that_ghost_allows_fit_into_a_buffer() -> None:
    limits = HeadLimits(request_header_bytes=131_072, response_header_bytes=200_000, request_header_fields=300)
    text = configuration(pod(HTTPS).model_copy(update={"head_limits": limits}), PATHS, "", Limits())
    assert f"\n    tune.bufsize {200_000 + 24 * 1024}\n" in text
    assert f"\n    tune.http.maxhdr {300 + 121}\n" in text


def test_a_kernel_without_ipv6() -> None:
    assert "bind [::]" not in configuration(pod(HTTPS), PATHS, "", Limits(has_ipv6=False))


def test_golden_list() -> None:
    entries = (
        Entry(certificate="web-tls", server_names=("a.test", "b.test")),
        Entry(certificate="new-tls", server_names=("*.c.test",), min_version="TLSv1.3", alpn=("http/1.1",)),
        Entry(certificate="web-tls"),
    )
    check("https-443.list", certificate_list(entries, PATHS))


HOSTILE = ["a.test\nb", "a b", "a.test [", "!a.test", "../a", "", "a\x00", '"a"', "a;b", "*", "*.*", "a" * 256, "#a"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_name(name: str) -> None:
    with pytest.raises(ConfigurationError):
        certificate_list((Entry(certificate="a", server_names=(name,)),), PATHS)


@pytest.mark.parametrize("name", ["../a", "a b", "a\nb", "", ".a", "a/b"])
def test_a_hostile_name_of_a_file_or_socket(name: str) -> None:
    with pytest.raises(ConfigurationError):
        certificate_list((Entry(certificate=name),), PATHS)
    with pytest.raises(ConfigurationError):
        configuration(pod(HTTPS.model_copy(update={"name": name})), PATHS, "::1", Limits())


@pytest.mark.parametrize("run", ["/run/with space", "/run/'", "/" + "x" * 100])
def test_a_run_directory_that_does_not_do(run: str) -> None:
    with pytest.raises(ConfigurationError):
        configuration(pod(HTTPS), FrontPaths(Path(run)), "::1", Limits())


@pytest.mark.parametrize("files", [1_024, 20_000, 1_048_576, resource.RLIM_INFINITY])
def test_what_may_be_open_bounds_clients_and_sockets(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    found = limits(30)
    assert found.connections <= 20_000
    assert 2 * found.connections <= found.sockets
    assert files < 0 or found.sockets <= files - 500
    assert 100 <= found.requests <= 4_000
    assert files < 0 or 4 * found.requests <= files
