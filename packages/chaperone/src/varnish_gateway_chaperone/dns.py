"""Names outside the cluster to addresses, asked again when their TTL ends; the last good answer outlives its server."""

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from varnish_gateway_chaperone.endpoints import address_of
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.outward import is_outward
from varnish_gateway_chaperone.supervisor.tree import Backoff

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.resolver

MIN_TTL_SECONDS: Final = 1.0
MAX_TTL_SECONDS: Final = 300.0
HOSTS_TTL_SECONDS: Final = 5.0
QUERY_SECONDS: Final = 5.0
HOSTS: Final = Path("/etc/hosts")


class ResolveError(Exception):
    """No addresses: no such name, or nobody who knows."""


@dataclass(frozen=True)
class Answer:
    """The addresses of a name, and for how long they hold."""

    addresses: tuple[str, ...]
    ttl_seconds: float


class Resolver(Protocol):
    """The boundary to DNS."""

    async def resolve(self, hostname: str) -> Answer:
        """Raises ResolveError."""
        ...


class DnsResolver:
    """/etc/hosts first, as everywhere on this machine; then A and AAAA of the name as it is, without search domains."""

    def __init__(self, hosts: Path = HOSTS, nameserver: tuple[str, int] | None = None) -> None:
        self._hosts = hosts
        self._nameserver = nameserver

    async def resolve(self, hostname: str) -> Answer:
        address = _literal(hostname)
        if address:
            return Answer((address,), MAX_TTL_SECONDS)
        known = hosts_of(self._hosts).get(hostname.lower().rstrip("."))
        if known:
            return Answer(known, HOSTS_TTL_SECONDS)
        return await self._ask(hostname)

    async def _ask(self, hostname: str) -> Answer:
        import dns.asyncresolver  # costs 0.1 s, and few gateways need it
        import dns.exception
        import dns.name

        try:
            resolver = self._resolver()
            name = dns.name.from_text(hostname)  # absolute
            asked = (_records(resolver, name, kind) for kind in ("A", "AAAA"))
            results = await asyncio.gather(*asked, return_exceptions=True)
            # Many a resolver fails for AAAA where it knows an A: one family that answers is enough.
            answers = [result for result in results if not isinstance(result, BaseException)]
            texts = [record.address for answer in answers for record in answer.rrset or ()]
            addresses = tuple(filter(None, map(_literal, texts)))
            if failed := [result for result in results if isinstance(result, BaseException) and not addresses]:
                raise failed[0]
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise ResolveError(f"{hostname}: {error}") from error
        if not addresses:
            raise ResolveError(f"{hostname}: no A and no AAAA record")
        return Answer(addresses, min(answer.chaining_result.minimum_ttl for answer in answers if answer.rrset))

    def _resolver(self) -> "dns.asyncresolver.Resolver":
        """Read anew each time: /etc/resolv.conf changes as networks do."""
        import dns.asyncresolver

        resolver = dns.asyncresolver.Resolver(configure=self._nameserver is None)
        if self._nameserver:
            resolver.nameservers = [self._nameserver[0]]
            resolver.port = self._nameserver[1]
        return resolver


class OutwardResolver:
    """Another's answers without this machine and its link: in a cluster names are users', and what listens on loopback
    or describes the node's cloud is not for them, at the first answer or at a later one."""

    def __init__(self, resolver: Resolver, own: Collection[str] = ()) -> None:
        self._resolver = resolver
        self._own = own

    async def resolve(self, hostname: str) -> Answer:
        answer = await self._resolver.resolve(hostname)
        outward = tuple(each for each in answer.addresses if is_outward(each, self._own))
        if not outward:
            raise ResolveError(f"{hostname}: no address but of this machine, its link or its provider")
        return Answer(outward, answer.ttl_seconds)


class NameWatch:
    """The addresses of the names that are wanted, each kept fresh by a task of its own."""

    def __init__(self, resolver: Resolver, on_change: Callable[[], None], log: Log) -> None:
        self._resolver = resolver
        self._on_change = on_change
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.addresses: dict[str, tuple[str, ...]] = {}

    def want(self, hostnames: Iterable[str]) -> None:
        """From now on these names and no others."""
        wanted = set(hostnames)
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
            self.addresses.pop(gone, None)
        for new in sorted(wanted - self._tasks.keys()):
            self._tasks[new] = asyncio.create_task(self._follow(new), name=f"addresses of {new}")

    async def _follow(self, hostname: str) -> None:
        backoff = Backoff(first_seconds=1.0, cap_seconds=60.0)
        while True:
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    answer = await self._resolver.resolve(hostname)
            except (ResolveError, TimeoutError) as error:
                self._log.warning("a name is not resolved", name=hostname, reason=str(error) or "no answer in time")
                await asyncio.sleep(backoff.after(0))
                continue
            except Exception:
                self._log.exception("a name is not resolved", name=hostname)
                await asyncio.sleep(backoff.after(0))
                continue
            backoff.reset()
            self._take(hostname, answer)
            await asyncio.sleep(clamped(answer.ttl_seconds))

    def _take(self, hostname: str, answer: Answer) -> None:
        addresses = tuple(sorted(set(answer.addresses)))
        if self.addresses.get(hostname) != addresses:
            self.addresses[hostname] = addresses
            self._log.info("a name has addresses", name=hostname, addresses=list(addresses))
            self._on_change()


def clamped(ttl_seconds: float) -> float:
    """No name is asked for more often than every second, or less often than every five minutes."""
    return min(max(ttl_seconds, MIN_TTL_SECONDS), MAX_TTL_SECONDS)


def hosts_of(file: Path) -> dict[str, tuple[str, ...]]:
    """Name -> addresses, by a file like /etc/hosts; lines that are none are passed over."""
    found: dict[str, tuple[str, ...]] = {}
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        address, *hostnames = line.split("#", 1)[0].split() or [""]
        if _literal(address):
            for hostname in hostnames:
                known = found.get(hostname.lower(), ())
                found[hostname.lower()] = known if address in known else (*known, address)
    return found


def own_addresses(hosts: Path = HOSTS) -> frozenset[str]:
    """Of the pod that we run in: Kubernetes writes them beside its name."""
    return frozenset(hosts_of(hosts).get(socket.gethostname().lower(), ()))


def _literal(text: str) -> str | None:
    """The canonical text of an address that a request may be sent to, as for EndpointSlices."""
    return address_of(text, "IPv4") or address_of(text, "IPv6")


async def _records(resolver: "dns.asyncresolver.Resolver", name: object, kind: str) -> "dns.resolver.Answer":
    return await resolver.resolve(name, kind, raise_on_no_answer=False, lifetime=QUERY_SECONDS - 1)  # type: ignore[arg-type]


class FakeResolver:
    """Answers from a table, for tests; what is not in it is not resolved."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(self, hostname: str) -> Answer:
        self.asked.append(hostname)
        if hostname not in self.answers:
            raise ResolveError(f"{hostname}: no such name")
        return self.answers[hostname]
