"""What shall run: of each document the newest good one (pure). A refused one leaves the last good one in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from varnish_gateway_chaperone.endpoints import EndpointTables, Names
from varnish_gateway_chaperone.haproxy.certificates import ParsedCertificates, parse_certificates
from varnish_gateway_chaperone.inputs import Inputs, Slice
from varnish_gateway_chaperone.merge import (
    DocumentError,
    Merged,
    ParsedPod,
    ParsedRouting,
    merge,
    parse_pod,
    parse_routing,
)
from varnish_gateway_common.document import digest
from varnish_gateway_common.report import Refusal

T = TypeVar("T")


@dataclass
class Slot(Generic[T]):
    """A document that comes again and again: it is parsed when its bytes change."""

    input: Literal["routing", "pod"]
    parse: Callable[[bytes], T]
    good: T | None = None
    refusal: Refusal | None = None
    _seen: bytes | None = None

    def take(self, content: bytes | None) -> None:
        """A document that is gone changes nothing."""
        if content is None or content == self._seen:
            return
        self._seen = content
        try:
            self.good = self.parse(content)
            self.refusal = None
        except DocumentError as error:
            self.refusal = Refusal(input=self.input, digest=digest(content), message=str(error))


class CertificatesSlot:
    """certificates.json with the files that it names."""

    def __init__(self) -> None:
        self.good: ParsedCertificates | None = None
        self.refusal: Refusal | None = None
        self._seen: tuple[bytes, Mapping[str, bytes]] | None = None

    def take(self, content: bytes | None, pems: Mapping[str, bytes]) -> None:
        """Files are written before the document: one that is taken already does not mind that they change."""
        if content is None or (self.good and content == self.good.content and not self.refusal):
            return
        if self._seen and self._seen[0] == content and self._seen[1] is pems:
            return
        self._seen = (content, pems)
        if self.good and content == self.good.content:
            self.refusal = None
            return
        try:
            self.good = parse_certificates(content, pems)
            self.refusal = None
        except DocumentError as error:
            self.refusal = Refusal(input="certificates", digest=digest(content), message=str(error))


class Desired:
    """The newest good of everything."""

    def __init__(self) -> None:
        self.pod: Slot[ParsedPod] = Slot("pod", parse_pod)
        self.routing: Slot[ParsedRouting] = Slot("routing", parse_routing)
        self.certificates = CertificatesSlot()
        self.vcl: bytes | None = None
        self.last_good_vcl: bytes | None = None
        self._slices: tuple[Slice, ...] | None = None
        self._mistakes: tuple[str, ...] = ()
        self._tables = EndpointTables()
        self._merged: tuple[ParsedRouting, tuple[Slice, ...], Names, Merged] | None = None

    def take(self, inputs: Inputs) -> None:
        """Newer inputs."""
        self.pod.take(inputs.pod)
        self.routing.take(inputs.routing)
        self.certificates.take(inputs.certificates, inputs.pems)
        self.vcl = inputs.vcl or self.vcl
        self.last_good_vcl = inputs.last_good_vcl or self.last_good_vcl
        if inputs.is_complete:
            self._slices = inputs.slices
            self._mistakes = inputs.mistakes

    @property
    def slices(self) -> tuple[Slice, ...] | None:
        """None before the first complete view."""
        return self._slices

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What was not taken, and why."""
        found = tuple(slot.refusal for slot in (self.pod, self.routing, self.certificates) if slot.refusal)
        return found + tuple(Refusal(input="endpoints", digest="", message=message) for message in self._mistakes)

    def merged(self, routing: ParsedRouting, names: Names) -> Merged | None:
        """ghost.json of this routing with the newest endpoints and these addresses of names.

        None before the first complete view.
        """
        slices = self._slices
        if slices is None:
            return None
        last = self._merged
        if last and last[0] is routing and last[1] is slices and last[2] == names:
            return last[3]
        found = merge(routing, self._tables.table(routing.services, slices, names))
        self._merged = (routing, slices, dict(names), found)
        return found
