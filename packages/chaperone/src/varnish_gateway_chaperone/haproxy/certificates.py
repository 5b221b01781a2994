"""Certificates: what shall be served, and how to get there from what is served (pure)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from varnish_gateway_chaperone.haproxy.configuration import ConfigurationError, check_name, check_server_name
from varnish_gateway_chaperone.merge import DocumentError, explained
from varnish_gateway_common.certificates import Certificates, Entry
from varnish_gateway_common.document import digest

MAX_STEPS: Final = 200
"""More of them one by one take longer than a reload."""


@dataclass(frozen=True)
class ParsedCertificates:
    """A good certificates.json with the content of the files that it names."""

    content: bytes
    digest: str
    index: Certificates
    pems: Mapping[str, bytes]


@dataclass(frozen=True)
class Tls:
    """What HAProxy has, or shall have."""

    pems: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Name -> content, of certificates in use."""
    entries: Mapping[str, tuple[Entry, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Socket -> its list."""

    @property
    def with_default(self) -> frozenset[str]:
        """Sockets that answer any server name."""
        has_default = (socket for socket, lines in self.entries.items() if any(not one.server_names for one in lines))
        return frozenset(has_default)


@dataclass(frozen=True)
class Add:
    """A certificate that was not there."""

    name: str


@dataclass(frozen=True)
class Replace:
    """A certificate with another content."""

    name: str


@dataclass(frozen=True)
class Attach:
    """A line more in a socket's list."""

    socket: str
    entry: Entry


@dataclass(frozen=True)
class Detach:
    """A line less."""

    socket: str
    name: str


@dataclass(frozen=True)
class Drop:
    """A certificate that no list has any more."""

    name: str


Step = Add | Replace | Attach | Detach | Drop


def parse_certificates(content: bytes, pems: Mapping[str, bytes]) -> ParsedCertificates:
    """Raises DocumentError: a document that is not as it should be, or files that are not the ones it names."""
    try:
        index = Certificates.from_json(content)
    except ValidationError as error:
        raise DocumentError(explained(error)) from None
    _check(index)
    for certificate in index.certificates:
        if certificate.name not in pems:
            raise DocumentError(f"certificates/{certificate.name}.pem is not there")
        if digest(pems[certificate.name]) != certificate.digest:
            raise DocumentError(f"certificates/{certificate.name}.pem is not the file that certificates.json names")
    found = {certificate.name: pems[certificate.name] for certificate in index.certificates}
    return ParsedCertificates(content, digest(content), index, found)


def _check(index: Certificates) -> None:
    names = {certificate.name for certificate in index.certificates}
    try:
        for name in names:
            check_name(name)
        for socket in index.sockets:
            check_name(socket.name)
            for entry in socket.entries:
                _check_entry(entry, names)
    except ConfigurationError as error:
        raise DocumentError(str(error)) from None


def _check_entry(entry: Entry, names: set[str]) -> None:
    if entry.certificate not in names:
        raise DocumentError(f"{entry.certificate!r} is named by a socket and not among the certificates")
    for name in entry.server_names:
        check_server_name(name)


def wanted(certificates: ParsedCertificates | None, sockets: tuple[str, ...], pems: Mapping[str, bytes]) -> Tls:
    """What these sockets serve with the certificates that can be used; an entry without one is left out."""
    listed = {socket.name: socket.entries for socket in certificates.index.sockets} if certificates else {}
    entries = {
        socket: tuple(entry for entry in listed.get(socket, ()) if entry.certificate in pems) for socket in sockets
    }
    used = {entry.certificate for lines in entries.values() for entry in lines}
    return Tls({name: pem for name, pem in pems.items() if name in used}, entries)


def steps(running: Tls, target: Tls) -> tuple[Step, ...] | None:
    """From the one to the other without a reload; None when that cannot be said in steps."""
    if running.entries.keys() != target.entries.keys():
        return None
    attach: list[Step] = []
    detach: list[Step] = []
    for socket, entries in target.entries.items():
        if not _is_stepwise(running.entries[socket], entries):
            return None
        before, after = {*running.entries[socket]}, {*entries}
        attach += [Attach(socket, entry) for entry in entries if entry not in before]
        detach += [Detach(socket, entry.certificate) for entry in running.entries[socket] if entry not in after]
    add: list[Step] = [Add(name) for name in target.pems if name not in running.pems]
    replace: list[Step] = [Replace(name) for name, pem in target.pems.items() if running.pems.get(name, pem) != pem]
    drop: list[Step] = [Drop(name) for name in running.pems if name not in target.pems]
    found = (*add, *replace, *attach, *detach, *drop)
    return found if len(found) <= MAX_STEPS else None


def _is_stepwise(before: tuple[Entry, ...], after: tuple[Entry, ...]) -> bool:
    """Lines are added at the end and taken away by their certificate: neither may touch another line's effect."""
    if before == after:
        return True
    old, new = {*before}, {*after}
    kept = [entry for entry in before if entry in new]
    added = [entry for entry in after if entry not in old]
    removed = {entry.certificate for entry in old - new}
    counts = Counter(entry.certificate for entry in before)
    if any(counts[name] > 1 for name in removed) or any(entry.certificate in removed for entry in added):
        return False
    if any(not entry.server_names for entry in old ^ new):
        return False  # HAProxy chooses the certificate for unknown names when it reads its files
    return _by_name(kept + added) == _by_name(after)


def _by_name(entries: list[Entry] | tuple[Entry, ...]) -> dict[str, list[Entry]]:
    """Server name -> the entries for it, the first one answers."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in entry.server_names or ("",):
            found.setdefault(name, []).append(entry)
    return found
