"""What is known of the cluster: parsed once, one bad object at a time, and never older than before."""

import base64
import tracemalloc
from dataclasses import dataclass, field
from typing import Any

import pytest

from varnish_gateway_common.kube.api import Json
from varnish_gateway_common.kube.watch import Changed, Listed, Removed
from varnish_gateway_operator.kube.apply import covers
from varnish_gateway_operator.kube.kinds import OWN, Source, config_map_source, plural, secret_source, sources
from varnish_gateway_operator.kube.store import Known, Store, digested

KINDS = {(source.kind, source.labels): source for source in sources()}
ROUTES = KINDS["HTTPRoute", ""]
SERVICES = KINDS["Service", ""]
OWN_MAPS = KINDS["ConfigMap", OWN]
PODS = KINDS["Pod", OWN]
GATEWAYS = KINDS["Gateway", ""]


def content(source: Source, name: str, version: int, **fields: Any) -> Json:
    metadata = {"namespace": "default", "name": name, "resourceVersion": str(version)}
    return {"metadata": {**metadata, **fields.pop("metadata", {})}, **fields}


def route(name: str, version: int, **spec: Any) -> Json:
    return content(ROUTES, name, version, apiVersion="gateway.networking.k8s.io/v1", kind="HTTPRoute", spec=spec)


@dataclass
class Rig:
    store: Store = field(default_factory=Store)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store.on_problem = self.problems.append
        self.store.expect([ROUTES, SERVICES, OWN_MAPS, PODS, GATEWAYS])

    def listed(self, source: Source, *contents: Json) -> None:
        self.store.take(source, Listed(tuple(map(self.store.reader(source), contents))))

    def changed(self, source: Source, content: Json) -> None:
        self.store.take(source, Changed(self.store.reader(source)(content)))

    def removed(self, source: Source, content: Json) -> None:
        self.store.take(source, Removed(self.store.reader(source)(content)))

    @property
    def routes(self) -> list[str]:
        return [name for _, name in self.store.view().snapshot.http_routes]


def test_an_object_that_did_not_change_is_the_same_object() -> None:
    rig = Rig()
    rig.listed(ROUTES, route("a", 1), route("b", 2))
    before = rig.store.view().snapshot
    rig.listed(ROUTES, route("a", 1), route("b", 3))
    after = rig.store.view().snapshot
    assert after.http_routes["default", "a"] is before.http_routes["default", "a"]
    assert after.http_routes["default", "b"] is not before.http_routes["default", "b"]


def test_no_news_no_new_view() -> None:
    rig = Rig()
    told: list[None] = []
    rig.store.on_news = lambda: told.append(None)
    rig.changed(ROUTES, route("a", 1))
    view = rig.store.view()
    rig.changed(ROUTES, route("a", 1))
    assert rig.store.view() is view
    assert len(told) == 1


def test_what_a_list_does_not_have_is_gone() -> None:
    rig = Rig()
    rig.listed(ROUTES, route("a", 1), route("b", 2))
    rig.listed(ROUTES, route("b", 2))
    assert rig.routes == ["b"]


def test_the_view_is_complete_once_all_was_listed() -> None:
    rig = Rig()
    for source in (ROUTES, SERVICES, OWN_MAPS, GATEWAYS):
        rig.listed(source)
    assert list(rig.store.missing) == [f"Pod {OWN}"]
    rig.listed(PODS)
    assert not list(rig.store.missing)
    rig.store.expect([ROUTES, config_map_source("default", "vcl")])
    assert list(rig.store.missing) == ["ConfigMap default metadata.name=vcl"]


def test_unknown_fields_are_passed_over_and_managed_fields_are_not_kept() -> None:
    rig = Rig()
    found = route("a", 1, newField=True)
    found["metadata"]["managedFields"] = [{"manager": "x"}]
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"}
    rig.listed(ROUTES, found)
    metadata = rig.store.view().snapshot.http_routes["default", "a"].metadata
    assert metadata.managed_fields is None
    assert metadata.annotations == {"mine": "1"}


def test_items_of_a_list_need_not_name_their_kind() -> None:
    rig = Rig()
    rig.listed(SERVICES, content(SERVICES, "web", 1, spec={"ports": [{"port": 80}]}))
    assert rig.store.view().snapshot.services["default", "web"].kind == "Service"


def test_a_status_that_is_read_is_parsed_anew_whatever_the_generation_says() -> None:
    def service(version: int, ip: str) -> Json:
        status = {"loadBalancer": {"ingress": [{"ip": ip}]}}
        return content(SERVICES, "web", version, metadata={"generation": 1, "uid": "1"}, spec={}, status=status)

    rig = Rig()
    rig.listed(SERVICES, service(1, "10.0.0.1"))
    rig.changed(SERVICES, service(2, "10.0.0.2"))
    found = rig.store.view().snapshot.services["default", "web"]
    assert [each.ip for each in found.status.load_balancer.ingress] == ["10.0.0.2"]


def test_a_bad_object_costs_itself_and_its_last_good_version_stays() -> None:
    rig = Rig()
    rig.listed(ROUTES, route("bad", 1, rules="nonsense"), route("good", 2))
    assert rig.routes == ["good"]
    assert rig.store.broken == 1
    rig.changed(ROUTES, route("good", 3, hostnames=["UPPER"]))
    assert rig.routes == ["good"]
    assert rig.store.view().snapshot.http_routes["default", "good"].metadata.resource_version == "2"
    rig.changed(ROUTES, route("good", 4))
    assert [text.partition(": ")[0] for text in rig.problems] == [
        "HTTPRoute/default/bad",
        "HTTPRoute/default/good",
        "mended",
    ]


def test_an_answer_counts_before_its_event_and_an_older_event_no_more() -> None:
    rig = Rig()
    rig.listed(ROUTES, route("a", 1))
    rig.store.accept({**route("a", 9), "status": {"parents": []}})
    rig.changed(ROUTES, route("a", 5))
    assert rig.store.view().snapshot.http_routes["default", "a"].status == {"parents": []}


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_event_of_a_status_that_is_being_written_is_no_news(is_ours: bool) -> None:
    def version(number: int, generation: int = 1, **status: Any) -> Json:
        found = route("a", number, hostnames=["a.test"])
        return {**found, "metadata": {**found["metadata"], "generation": generation}, "status": status}

    rig, news = Rig(), []
    rig.listed(ROUTES, version(1))
    before = rig.store.view().snapshot.http_routes["default", "a"]
    rig.store.on_news = lambda: news.append(1)
    with rig.store.writing(("HTTPRoute", "default", "a"), {"parents": []}):
        rig.changed(ROUTES, version(2, parents=[] if is_ours else ["theirs"]))
    after = rig.store.view().snapshot.http_routes["default", "a"]
    assert bool(news) is not is_ours
    assert after.metadata.resource_version == "2"
    assert after.spec is before.spec, "it is not read again"
    rig.changed(ROUTES, version(3, parents=[]))
    assert news, "nobody here writes that"
    rig.changed(ROUTES, version(4, generation=2, parents=[]))
    assert rig.store.view().snapshot.http_routes["default", "a"].spec is not before.spec


def test_an_object_without_a_status_that_nobody_writes_has_news() -> None:
    """Its version is another: a status that was on its way to the one before is refused, and has to be sent anew."""

    def version(number: int, **metadata: Any) -> Json:
        found = route("a", number)
        return {**found, "metadata": {**found["metadata"], "generation": 1, **metadata}}

    rig, news = Rig(), []
    rig.listed(ROUTES, version(1))
    rig.store.on_news = lambda: news.append(1)
    rig.changed(ROUTES, version(2, annotations={"a": "1"}))
    assert len(news) == 1
    rig.changed(ROUTES, version(3, finalizers=["x/y"]))
    assert len(news) == 2


def test_an_answer_after_the_deletion_brings_nothing_back() -> None:
    rig = Rig()
    rig.listed(ROUTES, route("a", 1))
    rig.removed(ROUTES, route("a", 12))
    rig.store.accept(route("a", 9))
    assert rig.routes == []
    rig.changed(ROUTES, route("a", 13))
    assert rig.routes == ["a"]


def own(name: str, version: int, **fields: Any) -> Json:
    labels = {"app.kubernetes.io/managed-by": "varnish-gateway"}
    owner = {"kind": "Gateway", "name": "gw", "uid": "1"}
    return content(OWN_MAPS, name, version, metadata={"labels": labels, "ownerReferences": [owner]}, **fields)


def test_objects_of_ours_are_kept_whole_wherever_they_are_seen() -> None:
    rig = Rig()
    rig.listed(OWN_MAPS, own("gw-varnish", 1, data={"main.vcl": "vcl"}))
    rig.listed(SERVICES, own("gw-varnish", 2), content(SERVICES, "other", 3))
    found = rig.store.view()
    assert sorted(found.own) == [("ConfigMap", "default", "gw-varnish"), ("Service", "default", "gw-varnish")]
    assert found.snapshot.config_maps["default", "gw-varnish"].data == {"main.vcl": "vcl"}
    rig.changed(SERVICES, content(SERVICES, "gw-varnish", 4))
    rig.removed(OWN_MAPS, own("gw-varnish", 5))
    assert not rig.store.view().own


def gateway(name: str, version: int) -> Json:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    spec = {"gatewayClassName": "varnish", "listeners": listeners}
    return content(GATEWAYS, name, version, apiVersion="gateway.networking.k8s.io/v1", kind="Gateway", spec=spec)


def test_a_report_speaks_for_the_gateway_that_its_name_is_made_of() -> None:
    rig = Rig()
    rig.listed(GATEWAYS, gateway("gw", 1), gateway("other", 2))
    words = {"p": '{"version":1,"pod":"p"}'}
    forged = own("other-varnish-report", 3, data=words)
    assert forged["metadata"]["ownerReferences"][0]["name"] == "gw"
    rig.listed(OWN_MAPS, forged, own("any-report", 4, data=words))
    rig.listed(PODS, own("p", 5))
    assert {key: len(found) for key, found in rig.store.view().reports.items()} == {("default", "other"): 1}


def test_a_report_counts_while_its_pod_is_there_and_serves_while_it_is_ready() -> None:
    rig = Rig()
    rig.listed(GATEWAYS, gateway("gw", 1))
    rig.listed(OWN_MAPS, own("gw-varnish-report", 1, data={"p": '{"version":1,"pod":"p","is_serving":true}', "q": "{"}))

    def reports() -> list[bool]:
        return [report.is_serving for report in rig.store.view().reports["default", "gw"]]

    assert reports() == []

    def pod(version: int, ready: str) -> Json:
        status = {"conditions": [{"type": "Ready", "status": ready}, {"type": "Other", "status": "True"}]}
        return own("p", version, spec={"large": True}, status=status)

    rig.listed(PODS, pod(2, "False"))
    assert reports() == [False]
    rig.changed(PODS, pod(3, "True"))
    assert reports() == [True]
    assert "spec" not in rig.store.view().own["Pod", "default", "p"]
    garbage = {"p": '{"version":"of a later chaperone"}'}
    rig.changed(OWN_MAPS, own("gw-varnish-report", 4, data=garbage))
    assert reports() == []
    rig.changed(OWN_MAPS, own("gw-varnish-report", 5, data={"p": '{"version":1,"pod":"p","is_serving":true}'}))
    assert reports() == [True]
    rig.removed(PODS, pod(6, "True"))
    assert reports() == []


def test_of_secrets_only_what_can_be_served_is_kept() -> None:
    """100 of 1 MB each, of which a listener can serve some bytes."""
    rig = Rig()
    wanted = [secret_source("default", f"tls-{number}") for number in range(100)]
    rig.store.expect(wanted)
    tracemalloc.start()
    for number, source in enumerate(wanted):
        data = {"tls.crt": "QUJD", "tls.key": "REVG", "junk": "A" * 700_000, "ca.crt": "B" * 300_000}
        head = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
        rig.listed(source, content(source, f"tls-{number}", number + 1, **head, data=data))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    secrets = rig.store.view().snapshot.secrets
    assert len(secrets) == 100
    assert {name: secrets["default", "tls-7"].value(name) for name in ("tls.crt", "tls.key", "junk")} == {
        "tls.crt": b"ABC",
        "tls.key": b"DEF",
        "junk": None,
    }
    assert kept < 2_000_000


def test_of_our_own_secrets_only_digests_are_kept_and_an_edit_is_seen() -> None:
    rig = Rig()
    source = KINDS["Secret", OWN]
    rig.store.expect([source])
    labels = {"app.kubernetes.io/managed-by": "varnish-gateway"}
    data = {"a.pem": base64.b64encode(b"key").decode()}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gw-tls", "labels": labels}, "data": data}

    def is_as_wanted(version: int, data: Json) -> bool:
        rig.listed(source, content(source, "gw-tls", version, metadata={"labels": labels}, data=data))
        live = rig.store.view().own["Secret", "default", "gw-tls"]
        assert "a2V5" not in str(live)
        return covers(live, digested(manifest))

    assert is_as_wanted(1, data)
    assert not is_as_wanted(2, {"a.pem": "b3RoZXI="})
    assert not is_as_wanted(3, {})


def test_what_is_no_longer_followed_is_forgotten() -> None:
    rig = Rig()
    one = config_map_source("default", "vcl")
    rig.store.expect([ROUTES, one])
    rig.listed(one, content(one, "vcl", 1))
    assert rig.store.view().snapshot.config_maps
    known: Changed[Known] = Changed(rig.store.reader(one)(content(one, "vcl", 2)))
    rig.store.expect([ROUTES])
    rig.store.take(one, known)
    assert not rig.store.view().snapshot.config_maps


def test_plurals() -> None:
    wanted = {
        "Gateway": "gateways",
        "HTTPRoute": "httproutes",
        "GatewayClass": "gatewayclasses",
        "GatewayClassParameters": "gatewayclassparameters",
        "VarnishCachePolicy": "varnishcachepolicies",
    }
    assert {kind: plural(kind) for kind in wanted} == wanted
