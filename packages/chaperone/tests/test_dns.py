"""Names: TTLs, bad answers, servers that are gone, /etc/hosts; and a real server over UDP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import dns.rrset
import pytest

from chaperone_rig import Lines, Until
from varnish_gateway_chaperone import dns as ours
from varnish_gateway_chaperone.dns import (
    Answer,
    DnsResolver,
    FakeResolver,
    NameWatch,
    OutwardResolver,
    ResolveError,
    clamped,
    hosts_of,
)
from varnish_gateway_chaperone.logs import Log

RECORDS = {
    ("out.test.", "A"): ("out.test. 7 IN A 10.0.0.2", "out.test. 7 IN A 10.0.0.1"),
    ("out.test.", "AAAA"): ("out.test. 3 IN AAAA 2001:db8::1",),
    ("alias.test.", "A"): ("alias.test. 2 IN CNAME out.test.", "out.test. 7 IN A 10.0.0.1"),
}


class Server(asyncio.DatagramProtocol):
    """Answers from RECORDS: a name without any is NXDOMAIN, `refused.test` is SERVFAIL."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        answer = dns.message.make_response(query)
        name = question.name.to_text()
        lines = RECORDS.get((name, question.rdtype.name), ())
        for line in lines:
            owner, ttl, _, kind, value = line.split()
            answer.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, value))
        if not any(known == name for known, _ in RECORDS):
            answer.set_rcode(dns.rcode.SERVFAIL if name == "refused.test." else dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def resolver(tmp_path: Path) -> AsyncIterator[DnsResolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost me # 10.0.0.9\n::1 localhost\nnonsense other\n\n10.0.0.3\tOut.Local\n")
    yield DnsResolver(hosts, transport.get_extra_info("sockname")[:2])
    transport.close()


async def test_both_families_and_the_shortest_ttl(resolver: DnsResolver) -> None:
    found = await resolver.resolve("out.test")
    assert sorted(found.addresses) == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
    assert found.ttl_seconds == 3


async def test_the_ttl_of_an_alias_counts(resolver: DnsResolver) -> None:
    assert await resolver.resolve("alias.test") == Answer(("10.0.0.1",), 2)


@pytest.mark.parametrize("name", ["no.test", "refused.test", "a..b", "x" * 64 + ".test"])
async def test_what_is_not_resolved(resolver: DnsResolver, name: str) -> None:
    with pytest.raises(ResolveError, match=name[:10]):
        await resolver.resolve(name)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [("localhost", ("127.0.0.1", "::1")), ("LOCALHOST.", ("127.0.0.1", "::1")), ("out.local", ("10.0.0.3",))],
)
async def test_hosts_come_first(resolver: DnsResolver, name: str, addresses: tuple[str, ...]) -> None:
    assert (await resolver.resolve(name)).addresses == addresses


async def test_an_address_stands_for_itself(resolver: DnsResolver) -> None:
    assert (await resolver.resolve("10.1.2.3")).addresses == ("10.1.2.3",)


def test_no_hosts_file(tmp_path: Path) -> None:
    assert hosts_of(tmp_path / "none") == {}


@pytest.mark.parametrize(("ttl", "wanted"), [(0, 1), (30, 30), (86400, 300)])
def test_ttls_are_clamped(ttl: float, wanted: float) -> None:
    assert clamped(ttl) == wanted


class Watched:
    """A watch of names from a table, with its changes counted."""

    def __init__(self, log: Log) -> None:
        self.fake = FakeResolver({"a.test": Answer(("10.0.0.2", "10.0.0.1"), 0.0)})
        self.changes = 0
        self.names = NameWatch(self.fake, self._changed, log)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> AsyncIterator[Watched]:
    monkeypatch.setattr(ours, "MIN_TTL_SECONDS", 0.01)
    found = Watched(lines.log)
    yield found
    found.names.want(())
    await asyncio.sleep(0)


async def test_a_name_is_asked_again_and_only_changes_are_news(watched: Watched, until: Until) -> None:
    watched.names.want({"a.test"})
    await until(lambda: len(watched.fake.asked) > 3)
    assert watched.names.addresses == {"a.test": ("10.0.0.1", "10.0.0.2")}
    assert watched.changes == 1
    watched.fake.answers["a.test"] = Answer(("10.0.0.3",), 0.0)
    await until(lambda: watched.names.addresses == {"a.test": ("10.0.0.3",)})
    assert watched.changes == 2


async def test_the_last_good_answer_outlives_its_server(watched: Watched, until: Until) -> None:
    watched.names.want({"a.test"})
    await until(lambda: watched.changes == 1)
    del watched.fake.answers["a.test"]
    asked = len(watched.fake.asked)
    await until(lambda: len(watched.fake.asked) > asked)
    assert watched.names.addresses == {"a.test": ("10.0.0.1", "10.0.0.2")}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1", "::ffff:169.254.1.1"]
)
async def test_in_a_cluster_no_name_leads_to_the_pod_itself(address: str) -> None:
    fake = FakeResolver({"a.test": Answer((address, "10.0.0.1"), 9)})
    outward = OutwardResolver(fake)
    assert await outward.resolve("a.test") == Answer(("10.0.0.1",), 9)
    fake.answers["a.test"] = Answer((address,), 9)
    with pytest.raises(ResolveError, match="no address but of this machine, its link or its provider"):
        await outward.resolve("a.test")


async def test_a_name_that_changes_its_mind_in_a_cluster(
    lines: Lines, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "MIN_TTL_SECONDS", 0.01)
    fake = FakeResolver({"a.test": Answer(("10.0.0.1",), 0.0)})
    names = NameWatch(OutwardResolver(fake), lambda: None, lines.log)
    names.want({"a.test"})
    await until(lambda: names.addresses)
    fake.answers["a.test"] = Answer(("127.0.0.1",), 0.0)
    await until(lambda: lines.said("no address but of this machine"))
    assert names.addresses == {"a.test": ("10.0.0.1",)}
    names.want(())
    await asyncio.sleep(0)


async def test_a_name_that_is_not_wanted_any_more_is_forgotten(watched: Watched, until: Until) -> None:
    watched.names.want({"a.test"})
    await until(lambda: watched.changes == 1)
    watched.names.want(())
    await asyncio.sleep(0.02)
    asked = len(watched.fake.asked)
    await asyncio.sleep(0.05)
    assert len(watched.fake.asked) == asked
    assert watched.names.addresses == {}
