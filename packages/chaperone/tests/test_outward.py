"""What leads inward is refused however it is written, in names and in slices; the rest of the world is not."""

from pathlib import Path
from typing import Any

import pytest

from varnish_gateway_chaperone.dns import Answer, FakeResolver, OutwardResolver, ResolveError, own_addresses
from varnish_gateway_chaperone.outward import is_outward
from varnish_gateway_chaperone.sources.kube.objects import Subject, read

INWARD = [
    "127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "224.0.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::",
    "::1",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:100.100.100.200",
    "::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a83f:8110",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1:a9:fe:a9fe::",
    "64:ff9b:1:1:a9:fea9:fe00:0",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "2001:0:a9fe:a9fe:0:0:0:0",
]
OUTWARD = [
    "10.0.0.1",
    "192.168.1.1",
    "100.100.100.201",
    "168.63.129.17",
    "1.1.1.1",
    "fd00:ec2::1",
    "2606:4700::1111",
    "::ffff:10.0.0.1",
    "64:ff9b::1.1.1.1",
    "2002:101:101::1",
]


@pytest.mark.parametrize("address", INWARD)
async def test_what_leads_inward_is_refused(address: str) -> None:
    assert not is_outward(address)
    with pytest.raises(ResolveError):
        await OutwardResolver(FakeResolver({"a.test": Answer((address,), 9)})).resolve("a.test")


@pytest.mark.parametrize("address", OUTWARD)
def test_others_are_not(address: str) -> None:
    assert is_outward(address)


async def test_a_pods_own_addresses_are_refused_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "gw-1")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.2.3.4 gw-1\nfd01::4 gw-1\n")
    own = own_addresses(hosts)
    assert own == {"10.2.3.4", "fd01::4"}
    answers = ("10.2.3.4", "::ffff:10.2.3.4", "64:ff9b::10.2.3.4", "fd01::4", "10.2.3.5")
    fake = FakeResolver({"a.test": Answer(answers, 9)})
    assert (await OutwardResolver(fake, own).resolve("a.test")).addresses == ("10.2.3.5",)


@pytest.mark.parametrize(("family", "address"), [("IPv4", "169.254.169.254"), ("IPv6", "::ffff:127.0.0.1")])
def test_slices_of_users_lead_nowhere_inward_either(family: str, address: str) -> None:
    content: dict[str, Any] = {
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": family,
        "ports": [{"name": "http", "port": 9180}],
        "endpoints": [{"addresses": [address]}],
    }
    item = read(Subject("EndpointSlices", "default"), content)
    assert item.slice is not None
    assert item.slice.endpoints == ()
    assert len(item.mistakes) == 1
    assert item.mistakes[0].endswith("is of this machine, its link or its provider")
