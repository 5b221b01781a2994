"""Which certificate answers for which server name, and what is to be said of references that lead to none."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from varnish_gateway_common import certificates as documents
from varnish_gateway_common import names
from varnish_gateway_common.wording import named
from varnish_gateway_operator.resources.core import Secret
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.conditions import Condition, not_resolved, resolved_refs
from varnish_gateway_operator.translate.gateways import GatewayVerdict
from varnish_gateway_operator.translate.hostnames import covers
from varnish_gateway_operator.translate.listeners import ListenerVerdict
from varnish_gateway_operator.translate.problems import Problem
from varnish_gateway_operator.translate.references import Origin, References, Target
from varnish_gateway_operator.translate.tls import tls_options

if TYPE_CHECKING:  # at run time only where there is a certificate: what it needs takes a tenth of a second to load
    from varnish_gateway_operator.translate.pem import Pair

TLS_SECRET: Final = "kubernetes.io/tls"  # noqa: S105 - a type
NOTICE: Final = timedelta(days=14)
"""So long before a certificate expires this is told."""
LONGEST_NAME: Final = 200
"""A file's name has 255 bytes at most, and temporary ones are longer than ours."""


@dataclass(frozen=True, eq=False)
class KnownSecret:
    """What a Secret comes to."""

    secret: Secret
    pair: "Pair | None"
    """The newest good content: where the Secret is broken, what it was before."""
    problem: str | None = None


@dataclass
class CertificateMemory:
    """Every Secret that is referred to, with its last good content.

    `written` is what a former process wrote, by name: there a Secret that is broken now may have been good.
    """

    secrets: dict[Key, KnownSecret] = field(default_factory=dict)
    written: Mapping[str, bytes] = field(default_factory=dict)


class Served(NamedTuple):
    """A certificate of a listener."""

    name: str
    pair: "Pair"


@dataclass(frozen=True)
class ListenerCertificates:
    """An HTTPS listener's certificates, in the order of its references, and its ResolvedRefs."""

    verdict: ListenerVerdict
    served: tuple[Served, ...]
    resolved: Condition
    problems: tuple[Problem, ...] = ()
    """What is wrong with each reference."""
    notes: tuple[str, ...] = ()
    """What is served and yet not as it should be."""


@dataclass(frozen=True)
class GatewayCertificates:
    """certificates.json and its files, and what is to be said of the listeners."""

    document: documents.Certificates
    files: Mapping[str, bytes]
    """Name -> content."""
    listeners: Mapping[str, ListenerCertificates]
    """The HTTPS ones, by key."""
    changes_at: datetime | None = None
    """When the next certificate begins or ceases to be valid."""


def certificates_of(
    gateway: GatewayVerdict, snapshot: Snapshot, memory: CertificateMemory, now: datetime | None
) -> GatewayCertificates:
    """The certificates of a Gateway's HTTPS listeners."""
    https = [verdict for verdict in gateway.all_listeners if verdict.listener.protocol == "HTTPS"]
    references = References(snapshot)
    judged = [_judge(verdict, references, memory, now) for verdict in https]
    serving = [each for each in judged if each.verdict.is_accepted]
    served = {certificate.name: certificate.pair for each in serving for certificate in each.served}
    return GatewayCertificates(
        documents.Certificates(
            version=1,
            certificates=tuple(
                documents.Certificate(name=name, digest=pair.digest) for name, pair in sorted(served.items())
            ),
            sockets=tuple(_sockets(serving)),
        ),
        {name: pair.content for name, pair in served.items()},
        {each.verdict.key: each for each in judged},
        _next_change(served.values(), now) if now else None,
    )


def certificate_name(secret: Key) -> str:
    """`namespace.name`, which no other Secret has, for a namespace has no dot; a long one is cut, and its hash added
    behind an underscore, which no name has."""
    full = ".".join(secret)
    if len(full) <= LONGEST_NAME:
        return full
    return f"{full[: LONGEST_NAME - 65]}_{hashlib.sha256(full.encode()).hexdigest()}"


def ends_of(memory: CertificateMemory) -> Mapping[Key, float]:
    """When each certificate that is referred to ceases to be valid. A copy takes one step: another thread may write."""
    known = memory.secrets.copy()
    return {key: each.pair.not_after.timestamp() for key, each in known.items() if each.pair}


def forget_gone(memory: CertificateMemory, snapshot: Snapshot) -> None:
    """A Secret that is deleted is withdrawn: should it come back broken, nothing old is served."""
    gone = memory.secrets.keys() - snapshot.secrets.keys()
    for key in gone:
        del memory.secrets[key]
    if memory.written:
        kept = {certificate_name(key) for key in snapshot.secrets}
        memory.written = {name: content for name, content in memory.written.items() if name in kept}


def _judge(
    verdict: ListenerVerdict,
    references: References,
    memory: CertificateMemory,
    now: datetime | None,
) -> ListenerCertificates:
    """Every certificate that can be had; the first problem decides what is said, the others are told too."""
    refs = verdict.listener.tls.certificate_refs if verdict.listener.tls else ()
    served: dict[str, Served] = {}
    refused: list[Problem] = []
    notes: list[str] = []
    for index, ref in enumerate(refs):
        target = Target(ref.group, ref.kind, ref.namespace or verdict.owner.namespace, ref.name)
        found = _secret(target, verdict, references)
        if isinstance(found, Secret):
            known = _known(found, memory)
            if known.problem:
                kept = "; its last good content is kept" if known.pair else ""
                refused.append(
                    Problem("InvalidCertificateRef", "name", f"{target}: {known.problem}{kept}").within(
                        f"tls.certificateRefs[{index}]"
                    )
                )
            if known.pair:
                name = certificate_name(found.key)
                served.setdefault(name, Served(name, known.pair))
                notes += _validity(target, known.pair, now) if now else ()
        else:
            refused.append(found.within(f"tls.certificateRefs[{index}]"))
    notes += _other_host(verdict, served.values())
    if not refs:
        refused.append(
            Problem("InvalidCertificateRef", "tls.certificateRefs", "tls.certificateRefs names no certificate")
        )
    return ListenerCertificates(
        verdict, tuple(served.values()), _resolved(refused, notes), tuple(refused), tuple(notes)
    )


def _resolved(refused: Sequence[Problem], notes: Sequence[str]) -> Condition:
    if not refused:
        return resolved_refs("; ".join(notes))
    return not_resolved(refused[0].reason, "; ".join([*(each.message for each in refused), *notes]))


def _secret(target: Target, verdict: ListenerVerdict, references: References) -> Secret | Problem:
    found = references.resolve(Origin(verdict.owner.kind, verdict.owner.namespace), target, Secret)
    if isinstance(found, Secret):
        return found
    if found == "RefNotPermitted":
        message = f"no ReferenceGrant in {named(target.namespace)} permits {target}; add one there"
        return Problem(found, "namespace", message)
    if found == "InvalidKind":
        return Problem("InvalidCertificateRef", "kind", f"{target.kind_text} is not a Secret")
    return Problem("InvalidCertificateRef", "name", f"there is no {target} of type {TLS_SECRET}", target.identity)


def _known(secret: Secret, memory: CertificateMemory) -> KnownSecret:
    """What the Secret comes to, read only when it changed."""
    before = memory.secrets.get(secret.key)
    if before and before.secret is secret:
        return before
    found = _read(secret)
    if found.problem:
        last = before.pair if before else _written_pair(memory.written.get(certificate_name(secret.key)))
        found = KnownSecret(secret, last, found.problem)
    memory.secrets[secret.key] = found
    return found


def _read(secret: Secret) -> KnownSecret:
    if secret.type != TLS_SECRET:
        return KnownSecret(secret, None, f"its type is not {TLS_SECRET}")
    chain, key = secret.value("tls.crt"), secret.value("tls.key")
    if not chain or not key:
        return KnownSecret(secret, None, f"it has no {'tls.key' if chain else 'tls.crt'}")
    pair = _pair(chain, key)
    return KnownSecret(secret, None, pair) if isinstance(pair, str) else KnownSecret(secret, pair)


def _written_pair(content: bytes | None) -> "Pair | None":
    """Of a file that holds both."""
    pair = _pair(*_split(content)) if content else None
    return None if isinstance(pair, str) else pair


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Before and from the key on."""
    chain, mark, key = content.partition(b"-----BEGIN PRIVATE KEY-----")
    return chain, mark + key


def _pair(chain: bytes, key: bytes) -> "Pair | str":
    from varnish_gateway_operator.translate import pem  # see above

    try:
        return pem.read_pair(chain, key)
    except pem.InvalidCertificateError as error:
        return str(error)


def _validity(target: Target, pair: "Pair", now: datetime) -> Iterator[str]:
    """Clients are the ones who judge: to refuse every handshake would take from them what some of them accept."""
    if now >= pair.not_after:
        yield f"{target}: expired on {pair.not_after:%Y-%m-%dT%H:%M:%SZ}; it is served all the same"
    elif now < pair.not_before:
        yield f"{target}: not valid before {pair.not_before:%Y-%m-%dT%H:%M:%SZ}; it is served all the same"
    elif now >= pair.not_after - NOTICE:
        yield f"{target}: expires on {pair.not_after:%Y-%m-%dT%H:%M:%SZ}"


def _other_host(verdict: ListenerVerdict, served: Iterable[Served]) -> Iterator[str]:
    """Of certificates none of which is for the listener's host: clients refuse them."""
    names_of = {each.name: each.pair.names for each in served}
    if not verdict.hostname or not names_of:
        return
    if not any(_narrowed(name, verdict.hostname) for names in names_of.values() for name in names):
        found = [name for names in names_of.values() for name in names]
        theirs = f"for {', '.join(map(named, found[:3]))}" if found else "without a name"
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        yield f"no certificate is for {named(verdict.hostname)}: what is served is {theirs}{more}"


def _next_change(pairs: Iterable["Pair"], now: datetime) -> datetime | None:
    moments = (moment for pair in pairs for moment in (pair.not_before, pair.not_after - NOTICE, pair.not_after))
    return min((moment for moment in moments if moment > now), default=None)


class _Place(NamedTuple):
    """A server name of a certificate, in the order in which places are tried."""

    rank: tuple[int, int]
    is_fallback: bool
    listener: int
    certificate: int
    server_name: str


def _sockets(serving: Sequence[ListenerCertificates]) -> Iterator[documents.TlsSocket]:
    def port(each: ListenerCertificates) -> int:
        return each.verdict.listener.port

    for number, listeners in groupby(sorted(serving, key=port), key=port):
        yield documents.TlsSocket(name=names.socket_name("HTTPS", number), entries=tuple(_entries(list(listeners))))


def _entries(listeners: Sequence[ListenerCertificates]) -> Iterator[documents.Entry]:
    """Of one socket: exact names, wildcards from the longest to the shortest, then what answers for any name."""
    places = sorted(place for index in range(len(listeners)) for place in _places(index, listeners))
    for (_, _, listener, certificate), group in groupby(places, key=lambda place: place[:4]):
        tls = listeners[listener].verdict.listener.tls
        options = tls_options(tls.options if tls else {})
        yield documents.Entry(
            certificate=listeners[listener].served[certificate].name,
            server_names=tuple(place.server_name for place in group if place.server_name),
            min_version=options.min_version,
            alpn=options.alpn,
        )


def _places(index: int, listeners: Sequence[ListenerCertificates]) -> Iterator[_Place]:
    """The names of a listener's certificates that are the listener's to answer for; and for whatever else is, its
    first certificate."""
    hostname = listeners[index].verdict.hostname
    others = {each.verdict.hostname for each in listeners} - {hostname}
    for number, certificate in enumerate(listeners[index].served):
        fitting = dict.fromkeys(_narrowed(name, hostname) for name in certificate.pair.names)
        for name in fitting:
            if name and not any(covers(hostname, other) and covers(other, name) for other in others):
                yield _Place(_rank(name), False, index, number, name)
        if number == 0 and hostname not in fitting:
            yield _Place(_rank(hostname), True, index, number, hostname)


def _narrowed(name: str, hostname: str) -> str:
    """What a certificate's name and a listener's hostname have in common; empty where that is nothing.

    A wildcard of a certificate covers one label, and not several as a listener's does.
    """
    if covers(hostname, name):
        return name
    return hostname if name.startswith("*.") and hostname.partition(".")[2] == name[2:] else ""


def _rank(name: str) -> tuple[int, int]:
    if not name:
        return 2, 0
    return (1, -name.count(".")) if name.startswith("*.") else (0, 0)
