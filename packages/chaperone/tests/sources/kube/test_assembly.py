"""Views of single objects: what belongs together, and what is done without."""

import pytest

from certificate_authority import index
from kube_rig import BASE, POD, addresses, config_map, encoded, routing, secrets, slice_of, split
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.merge import parse_routing
from varnish_gateway_chaperone.sources.kube import objects
from varnish_gateway_chaperone.sources.kube.assembly import Assembly, Known
from varnish_gateway_chaperone.sources.kube.objects import Subject, read
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.kube.watch import Changed, Listed, Removed


class Rig:
    """An assembly, and what it is told."""

    def __init__(self) -> None:
        self.known = Known()
        self.assembly = Assembly(BASE, POD)

    def base(self, **documents: bytes | str) -> Inputs:
        return self.put(Subject("ConfigMap", BASE), **config_map(**documents))

    def put(self, subject: Subject, name: str = "", **content: object) -> Inputs:
        """An object of the subject, as if it had been listed alone or had changed since."""
        found = read(subject, content | {"metadata": {"name": name or subject.name, **content.get("metadata", {})}})  # type: ignore[dict-item]
        self.known.take(subject, Changed(found) if self.known.is_listed(subject) else Listed((found,)))
        return self.view()

    def slice(self, service: str, *ends: str, name: str = "", **how: bool) -> Inputs:
        return self.put(slices(service), name or f"{service}-1", **slice_of(service, *ends, **how))

    def view(self, *, is_patient: bool = True, in_effect: bytes | None = None) -> Inputs:
        running = parse_routing(in_effect) if in_effect else None
        return self.assembly.view(self.known, running, is_patient=is_patient)


def slices(service: str) -> Subject:
    return Subject("EndpointSlices", service.split("/")[0])


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_sockets_are_known_before_anything_else(rig: Rig) -> None:
    assert rig.view() == Inputs(pod=POD, is_complete=False)
    assert rig.assembly.wanted == {Subject("ConfigMap", BASE)}


def test_documents_before_endpoints(rig: Rig) -> None:
    view = rig.base(routing__json=routing("b/web"), main__vcl="vcl", main__last_good__vcl=b"x" * 99)
    assert (view.routing, view.vcl, view.is_complete) == (routing("b/web"), b"vcl", False)
    assert slices("b/web") in rig.assembly.wanted
    view = rig.slice("b/web", "10.0.0.1")
    assert (addresses(view), view.is_complete) == (["10.0.0.1"], True)


def test_the_last_good_vcl_of_the_gateway(rig: Rig) -> None:
    known = {"main.vcl": "new", "main.last-good.vcl": "old"}
    rig.put(Subject("ConfigMap", BASE), data=known)
    assert (rig.view().vcl, rig.view().last_good_vcl) == (b"new", b"old")


def test_a_newer_routing_waits_for_the_first_list_of_its_endpoints(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    rig.slice("b/web", "10.0.0.1")
    view = rig.base(routing__json=routing("b/web", "c/web"))
    assert (view.routing, view.is_complete) == (routing("b/web"), True)
    assert rig.assembly.awaited == ("EndpointSlices of c",)
    view = rig.slice("b/web", "10.0.0.2")
    assert addresses(view) == ["10.0.0.2"], "others' endpoints do not wait"
    view = rig.slice("c/web", "10.0.0.3")
    assert view.routing == routing("b/web", "c/web")
    assert not rig.assembly.awaited


def test_a_namespace_that_is_not_ours_to_read_holds_nothing_up_for_ever(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    rig.slice("b/web", "10.0.0.1")
    rig.base(routing__json=routing("b/web", "c/web"))
    rig.known.troubles[slices("c/web")] = "forbidden"
    view = rig.view(is_patient=False)
    assert view.routing == routing("b/web", "c/web")
    assert view.mistakes == ("EndpointSlices of c: forbidden",)
    assert (addresses(view), view.is_complete) == (["10.0.0.1"], True)


def test_at_the_start_neither(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web", "c/web"))
    rig.slice("b/web", "10.0.0.1")
    assert not rig.view().is_complete
    assert rig.view(is_patient=False).is_complete


def test_slices_of_other_services_change_nothing(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    before = rig.slice("b/web", "10.0.0.1")
    after = rig.slice("b/other", "10.0.0.9")
    assert after == before
    assert after.slices is before.slices


def test_slices_add_up_by_name_and_go(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    rig.slice("b/web", "10.0.0.1", name="one")
    rig.slice("b/web", "10.0.0.2", name="two")
    assert addresses(rig.slice("b/web", "10.0.0.3", name="one")) == ["10.0.0.3", "10.0.0.2"]
    view = rig.put(slices("b/web"), "six", **slice_of("b/web", "fd00::1"))
    assert addresses(view)[-1] == "fd00::1"
    view = rig.slice("b/web", "10.0.0.4", name="two", ready=False, serving=True, terminating=True)
    assert [end.state for found in view.slices for end in found.endpoints] == ["ready", "draining", "ready"]
    rig.known.take(slices("b/web"), Removed(read(slices("b/web"), {"metadata": {"name": "one"}})))
    assert addresses(rig.view()) == ["10.0.0.4", "fd00::1"]


def test_what_ghost_runs_keeps_its_endpoints_though_a_newer_routing_is_refused(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    rig.slice("b/web", "10.0.0.1")
    rig.slice("c/web", "10.0.0.2")
    rig.base(routing__json=routing("c/web"))
    assert addresses(rig.view(in_effect=routing("b/web"))) == ["10.0.0.1", "10.0.0.2"]
    assert {slices("b/web"), slices("c/web")} <= rig.assembly.wanted
    assert addresses(rig.view(in_effect=routing("c/web"))) == ["10.0.0.2"]
    assert slices("b/web") not in rig.assembly.wanted


def test_a_routing_that_is_no_routing_is_passed_on_to_be_refused(rig: Rig) -> None:
    rig.base(routing__json=routing("b/web"))
    rig.slice("b/web", "10.0.0.1")
    view = rig.base(routing__json="{")
    assert view.routing == b"{"
    assert addresses(view) == ["10.0.0.1"]


def test_names_outside_the_cluster_have_no_slices(rig: Rig) -> None:
    assert rig.base(routing__json=routing(external="out.test")).is_complete
    assert rig.assembly.wanted == {Subject("ConfigMap", BASE)}


def test_parts_are_joined_once_all_of_them_are_those_that_the_index_names(rig: Rig) -> None:
    first, second = (
        routing(*(f"b/s{number}" for number in range(300))),
        routing(*(f"b/t{number}" for number in range(300))),
    )
    rig.known.take(slices("b/"), Listed(()))
    index, maps = split(first, 300)
    assert len(maps) > 2
    assert rig.base(routing__parts__json=index).routing is None
    for name, content in maps.items():
        assert Subject("ConfigMap", name) in rig.assembly.wanted
        view = rig.put(Subject("ConfigMap", name), **content)
    assert (view.routing, view.is_complete) == (first, True)
    index, maps = split(second, 300)
    changes = [*((Subject("ConfigMap", name), content) for name, content in maps.items())]
    assert rig.put(*changes[0][:1], **changes[0][1]).routing == first, "it is not even looked at"
    assert rig.base(routing__parts__json=index).routing == first
    assert rig.assembly.awaited
    for subject, content in changes:
        view = rig.put(subject, **content)
    assert view.routing == second
    assert rig.view(is_patient=False).routing == second


def test_parts_that_never_fit_leave_the_last_good_routing(rig: Rig) -> None:
    rig.base(routing__json=routing())
    index, _ = split(routing("b/web"), 300)
    rig.base(routing__parts__json=index)
    rig.put(Subject("ConfigMap", f"{BASE}-routing-0"), binaryData={"part": encoded(b"garbage")})
    assert rig.view(is_patient=False).routing == routing()


ENTRY = (Entry(certificate="a", server_names=("a.test",)),)


def certificates(rig: Rig, pem: bytes) -> Inputs:
    document = index({"a": pem}, ENTRY).decode()
    return rig.base(certificates__json=document, secrets__json=secrets("tls", "tls-2"))


def test_certificates_and_their_files_arrive_in_any_order(rig: Rig) -> None:
    tls, more = Subject("Secret", "tls"), Subject("Secret", "tls-2")
    assert certificates(rig, b"one").certificates is None
    assert rig.assembly.awaited
    rig.put(more, data={"b.pem": encoded(b"other")})
    view = rig.put(tls, data={"a.pem": encoded(b"one")})
    assert (view.certificates, view.pems) == (index({"a": b"one"}, ENTRY), {"a": b"one", "b": b"other"})
    view = rig.put(tls, data={"a.pem": encoded(b"two")})
    assert view.pems["a"] == b"one", "the document that goes with it is still to come"
    assert rig.assembly.awaited
    view = certificates(rig, b"two")
    assert (view.certificates, view.pems["a"]) == (index({"a": b"two"}, ENTRY), b"two")
    assert certificates(rig, b"three").pems["a"] == b"two"
    assert rig.view(is_patient=False).certificates == index({"a": b"three"}, ENTRY), "to be refused, and reported"
    assert rig.put(tls, data={"a.pem": encoded(b"three")}).pems["a"] == b"three"


def test_mistakes_in_what_the_operator_wrote_are_told(rig: Rig) -> None:
    view = rig.base(secrets__json="{", routing__parts__json="[")
    assert [mistake.split(":")[0] for mistake in view.mistakes] == ["routing.parts.json", "secrets.json"]
    view = rig.put(Subject("ConfigMap", BASE), binaryData={"routing.json": encoded(b"\x1f\x8bgarbage")})
    assert view.mistakes[0].startswith(f"ConfigMap {BASE}: routing.json: not compressed by gzip")


def test_a_bomb_is_not_unpacked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_DOCUMENT_BYTES", 1000)
    view = rig.base(main__vcl=b"x" * 1001)
    assert (view.vcl, view.mistakes) == (None, (f"ConfigMap {BASE}: main.vcl: cut short, or too large",))
    assert rig.base(main__vcl=b"x" * 1000).vcl == b"x" * 1000


def test_an_object_that_is_gone_takes_its_documents_along(rig: Rig) -> None:
    rig.base(routing__json=routing(), main__vcl="vcl")
    base = Subject("ConfigMap", BASE)
    rig.known.take(base, Removed(read(base, {"metadata": {"name": BASE}})))
    assert rig.view().vcl is None
