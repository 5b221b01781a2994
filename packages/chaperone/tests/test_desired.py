"""The newest good of everything; what is refused leaves the last good one."""

from certificate_authority import index
from varnish_gateway_chaperone.desired import Desired
from varnish_gateway_chaperone.endpoints import Names
from varnish_gateway_chaperone.inputs import Inputs, Slice, SliceEndpoint, SlicePort
from varnish_gateway_chaperone.merge import Merged
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.document import digest
from varnish_gateway_common.routing import ExternalName, Routing, Service

POD = b'{"version":1,"gateway":"default/gw"}'


def routing(name: str = "web") -> bytes:
    service = Service(namespace="default", name=name, port_name="http")
    return Routing(version=1, gateway="default/gw", services={f"default/{name}:80": service}).to_json()


SLICE = Slice("default", "web-1", "web", (SlicePort("http", 80),), (SliceEndpoint("10.0.0.1", "ready"),))


def merged_of(desired: Desired, names: Names | None = None) -> Merged | None:
    assert desired.routing.good
    return desired.merged(desired.routing.good, names or {})


def test_nothing_before_the_first_complete_view() -> None:
    desired = Desired()
    desired.take(Inputs(pod=POD, routing=routing(), is_complete=False))
    assert desired.pod.good
    assert merged_of(desired) is None
    desired.take(Inputs(pod=POD, routing=routing(), slices=(SLICE,)))
    merged = merged_of(desired)
    assert merged
    assert len(merged.endpoints["default/web:80"]) == 1


def test_a_refused_document_is_reported_until_a_good_one_comes() -> None:
    desired = Desired()
    desired.take(Inputs(pod=POD, routing=routing()))
    desired.take(Inputs(pod=b"{", routing=b"]"))
    assert [refusal.input for refusal in desired.refusals] == ["pod", "routing"]
    assert desired.refusals[1].digest == digest(b"]")
    merged = merged_of(desired)
    assert merged
    assert merged.routing.digest == digest(routing())
    desired.take(Inputs(pod=POD, routing=routing("other")))
    assert not desired.refusals


def test_a_good_document_that_returns_after_a_refused_one_clears_the_refusal() -> None:
    desired = Desired()
    for content in (routing(), b"]", routing()):
        desired.take(Inputs(routing=content))
    assert not desired.refusals


def test_documents_that_are_gone_change_nothing() -> None:
    desired = Desired()
    desired.take(Inputs(pod=POD, routing=routing(), vcl=b"vcl"))
    before = merged_of(desired)
    desired.take(Inputs())
    assert desired.pod.good
    assert desired.vcl == b"vcl"
    merged = merged_of(desired)
    assert before
    assert merged
    assert merged.digest == before.digest


def test_the_same_inputs_are_merged_once() -> None:
    desired = Desired()
    inputs = Inputs(routing=routing(), slices=(SLICE,))
    desired.take(inputs)
    first = merged_of(desired)
    desired.take(inputs)
    assert merged_of(desired) is first


def test_new_addresses_of_a_name_are_a_new_merge() -> None:
    out = Service(namespace="default", name="out", external_name=ExternalName(hostname="out.test", port=80))
    content = Routing(version=1, gateway="default/gw", services={"default/out:80": out}).to_json()
    desired = Desired()
    desired.take(Inputs(routing=content))
    assert desired.routing.good
    assert desired.routing.good.hostnames == {"out.test"}
    names = {"out.test": ("10.0.0.1",)}
    merged = merged_of(desired, names)
    assert merged
    names["out.test"] = ("10.0.0.2",)
    again = merged_of(desired, names)
    assert again
    assert again.digest != merged.digest


def test_mistakes_in_slices_are_reported() -> None:
    desired = Desired()
    desired.take(Inputs(mistakes=("a.yaml:1: bad",)))
    assert [(refusal.input, refusal.message) for refusal in desired.refusals] == [("endpoints", "a.yaml:1: bad")]


def test_certificates_wait_for_the_files_that_they_name() -> None:
    desired = Desired()
    entry = Entry(certificate="a", server_names=("a.test",))
    first, second = index({"a": b"1"}, (entry,)), index({"a": b"2"}, (entry,))
    desired.take(Inputs(certificates=first, pems={}))
    assert [refusal.input for refusal in desired.refusals] == ["certificates"]
    desired.take(Inputs(certificates=first, pems={"a": b"1"}))
    assert not desired.refusals
    good = desired.certificates.good
    desired.take(Inputs(certificates=first, pems={"a": b"2"}))
    assert (desired.refusals, desired.certificates.good) == ((), good), "the file is written before the document"
    desired.take(Inputs(certificates=second, pems={"a": b"2"}))
    assert desired.certificates.good
    assert desired.certificates.good.pems == {"a": b"2"}
    desired.take(Inputs(certificates=b"{", pems={"a": b"2"}))
    assert desired.certificates.good.pems == {"a": b"2"}
    assert [refusal.input for refusal in desired.refusals] == ["certificates"]
    desired.take(Inputs(certificates=second, pems={"a": b"2"}))
    assert not desired.refusals
