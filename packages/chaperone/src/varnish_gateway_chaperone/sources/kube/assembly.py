"""From single objects, which change one after the other, to views that fit together (pure)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from varnish_gateway_chaperone.haproxy.certificates import parse_certificates
from varnish_gateway_chaperone.inputs import Inputs, Slice
from varnish_gateway_chaperone.merge import DocumentError, ParsedRouting, explained, parse_routing
from varnish_gateway_chaperone.sources.kube.objects import Item, Subject, inflated
from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.kube.watch import Changed, Listed, News, Removed
from varnish_gateway_common.parts import RoutingParts, Secrets

Values = Mapping[str, bytes]
Services = frozenset[tuple[str, str]]
"""namespace, name"""


@dataclass
class Known:
    """What was last seen of each subject; one that is not here was never listed."""

    troubles: dict[Subject, str] = field(default_factory=dict)
    """What is refused to us, and why."""
    _items: dict[Subject, dict[str, Item]] = field(default_factory=dict)

    def take(self, subject: Subject, news: News[Item]) -> None:
        match news:
            case Listed(items):
                self._items[subject] = {item.name: item for item in items}
            case Changed(item):
                self._items.setdefault(subject, {})[item.name] = item
            case Removed(item):
                self._items.setdefault(subject, {}).pop(item.name, None)

    def forget(self, subject: Subject) -> None:
        self._items.pop(subject, None)
        self.troubles.pop(subject, None)

    def is_listed(self, subject: Subject) -> bool:
        return subject in self._items

    def items(self, subject: Subject) -> tuple[Item, ...]:
        return tuple(self._items.get(subject, {}).values())

    def values(self, subject: Subject) -> Values:
        """Of an object by its name; nothing when it is not there."""
        return next((item.values for item in self.items(subject)), {})


class Assembly:
    """Views of what is known. Of what does not fit together yet the last that did stays, for as long as one waits."""

    def __init__(self, config_map: str, pod: bytes) -> None:
        self._base = Subject("ConfigMap", config_map)
        self._pod = pod
        self._routing: bytes | None = None
        self._parsed: ParsedRouting | None = None
        """The newest that names its Services, in effect or not."""
        self._joined: tuple[str, bytes] = ("", b"")
        self._certificates: tuple[bytes | None, Values] = (None, {})
        self._slices: tuple[Slice, ...] = ()
        self._is_complete = False
        self.wanted: frozenset[Subject] = frozenset({self._base})
        """What has to be followed."""
        self.awaited: tuple[str, ...] = ()
        """Why the view is not the newest."""

    def view(self, known: Known, in_effect: ParsedRouting | None = None, *, is_patient: bool = True) -> Inputs:
        """`in_effect`: what ghost runs, whose endpoints are wanted in any case. Not `is_patient`: what is still awaited
        is done without, as far as that goes."""
        values = known.values(self._base)
        mistakes = [mistake for item in known.items(self._base) for mistake in item.mistakes]
        parts, secrets = _parts(values, mistakes), _secrets(values, mistakes)
        awaited = self._take_routing(known, values, parts, is_patient=is_patient)
        if known.is_listed(self._base) and not (awaited and is_patient):
            self._is_complete = True
        awaited += self._take_certificates(known, values, secrets, is_patient=is_patient)
        services = self._parsed.sliced if self._parsed else frozenset()
        if in_effect and in_effect is not self._parsed:
            services |= in_effect.sliced
        slices = _namespaces(services)
        self.wanted = frozenset({self._base, *_subjects(parts), *secrets, *slices})
        self.awaited = tuple(awaited)
        mistakes += self._take_slices(known, services, slices)
        return Inputs(
            self._pod,
            self._routing,
            values.get(names.VCL),
            *self._certificates,
            slices=self._slices,
            mistakes=tuple(mistakes),
            is_complete=self._is_complete,
            last_good_vcl=values.get(names.LAST_GOOD_VCL),
        )

    def _take_routing(self, known: Known, values: Values, parts: RoutingParts | None, *, is_patient: bool) -> list[str]:
        """What the newest routing waits for: its parts, and the first list of its Services' endpoints."""
        content = values.get(names.ROUTING) or (self._join(known, parts) if parts else None)
        if content is None:
            return [f"the parts of {names.ROUTING} that its index names"] if parts else []
        try:
            self._parsed = parse_routing(content)
        except DocumentError:
            self._routing = content  # to be refused where all documents are
            return []
        missing = sorted(str(each) for each in _namespaces(self._parsed.sliced) if not known.is_listed(each))
        if not (missing and is_patient and self._routing):
            self._routing = content
        return missing

    def _join(self, known: Known, parts: RoutingParts) -> bytes | None:
        """routing.json from its parts; None while they are not the ones that the index names."""
        if self._joined[0] != parts.digest:
            contents = [known.values(subject).get(names.PART, b"") for subject in _subjects(parts)]
            if [digest(content) for content in contents] != [part.digest for part in parts.parts]:
                return None
            try:
                found = inflated(b"".join(contents))
            except DocumentError:
                return None
            self._joined = digest(found), found
        return self._joined[1] if self._joined[0] == parts.digest else None

    def _take_certificates(
        self, known: Known, values: Values, secrets: tuple[Subject, ...], *, is_patient: bool
    ) -> list[str]:
        """certificates.json with the Secrets that it was made with: which of them changes first is left to chance."""
        content = values.get(names.CERTIFICATES)
        before, files = self._certificates
        found = {key.removesuffix(names.PEM): pem for each in secrets for key, pem in known.values(each).items()}
        if content is None or (content == before and found == files):
            return []
        try:
            parse_certificates(content, found)
        except DocumentError as error:
            if not is_patient:
                self._certificates = content, found  # to be refused where all documents are
            return [str(error)]
        self._certificates = content, found
        return []

    def _take_slices(self, known: Known, services: Services, subjects: frozenset[Subject]) -> Iterator[str]:
        """The slices of these Services: the same object as long as none of them changed. What of them is refused."""
        found: list[Slice] = []
        for subject in sorted(subjects, key=str):
            if trouble := known.troubles.get(subject):
                yield f"{subject}: {trouble}"
            for item in known.items(subject):
                if item.slice and (item.slice.namespace, item.slice.service) in services:
                    found.append(item.slice)
                    yield from item.mistakes
        if found != list(self._slices):
            self._slices = tuple(found)


def _subjects(parts: RoutingParts | None) -> tuple[Subject, ...]:
    return tuple(Subject("ConfigMap", part.name) for part in parts.parts) if parts else ()


def _parts(values: Values, mistakes: list[str]) -> RoutingParts | None:
    content = values.get(names.ROUTING_PARTS)
    try:
        return RoutingParts.from_json(content) if content and names.ROUTING not in values else None
    except ValidationError as error:
        mistakes.append(f"{names.ROUTING_PARTS}: {explained(error)}")
        return None


def _secrets(values: Values, mistakes: list[str]) -> tuple[Subject, ...]:
    content = values.get(names.SECRETS)
    try:
        return tuple(Subject("Secret", name) for name in Secrets.from_json(content).secrets) if content else ()
    except ValidationError as error:
        mistakes.append(f"{names.SECRETS}: {explained(error)}")
        return ()


def _namespaces(services: Services) -> frozenset[Subject]:
    return frozenset(Subject("EndpointSlices", namespace) for namespace in {namespace for namespace, _ in services})
