"""Which certificate answers for which name, what stays when a Secret breaks, and what does not."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from certificate_rig import NOW, Pair, gateway, grant, listener, pair, secret
from operator_rig import OPTIONS, condition, report
from varnish_gateway_common.document import digest
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.parse import InvalidObjectError, kind_of, parse
from varnish_gateway_operator.snapshot import snapshot_of
from varnish_gateway_operator.translate import CertificateMemory, Memory, Plan, translate
from varnish_gateway_operator.translate.certificates import LONGEST_NAME, certificate_name, ends_of

GATEWAY = ("default", "gw")
A, B = pair("a.test"), pair("b.test")
BROKEN: Pair = (A[0], B[1])


def resources(contents: Iterable[dict[str, Any]]) -> list[Resource]:
    found = []
    for content in contents:
        kind = kind_of(content)
        assert kind
        found.append(parse(kind, content, unknown_fields="forbid"))
    return found


def plan(*contents: dict[str, Any], memory: Memory | None = None, now: datetime = NOW, **fields: Any) -> Plan:
    reports = {GATEWAY: (report(**fields),)} if fields else {}
    return translate(snapshot_of(resources(contents)), reports, OPTIONS, memory or Memory(), now)


def entries(found: Plan) -> list[tuple[str, tuple[str, ...]]]:
    (socket,) = found.gateways[GATEWAY].certificates.sockets
    return [(entry.certificate.removeprefix("default."), entry.server_names) for entry in socket.entries]


def served(found: Plan) -> dict[str, str]:
    """Name -> digest, of files that are what the index says."""
    own = found.gateways[GATEWAY]
    index = {each.name: each.digest for each in own.certificates.certificates}
    assert index == {name: digest(content) for name, content in own.certificate_files.items()}
    assert {entry.certificate for socket in own.certificates.sockets for entry in socket.entries} == index.keys()
    return index


def resolved(found: Plan, name: str = "a") -> tuple[str, str, str]:
    own = condition(found, "Gateway", "gw", "ResolvedRefs", part=name)
    assert own
    return own["status"], own["reason"], own["message"]


def test_a_certificate_answers_for_its_names_that_are_its_listeners() -> None:
    wide = pair("any.test", "a.test", "x.wild.test", "*.wild.test", "*.other.test")
    found = plan(
        *gateway(listener("any", "", "wide"), listener("a", "a.test", "a"), listener("wild", "*.wild.test", "b")),
        *(secret(name, content) for name, content in (("wide", wide), ("a", A), ("b", B))),
    )
    assert entries(found) == [
        ("wide", ("any.test",)),
        ("a", ("a.test",)),
        ("wide", ("*.other.test",)),
        ("b", ("*.wild.test",)),
        ("wide", ()),
    ]


def test_one_that_has_the_name_comes_before_the_first_that_has_not() -> None:
    found = plan(*gateway(listener("a", "a.test", "b", "a")), secret("a", A), secret("b", B))
    assert entries(found) == [("a", ("a.test",)), ("b", ("a.test",))]


def test_a_certificates_wildcard_covers_one_label() -> None:
    wild = secret("wild", pair("*.a.test"))
    deep = plan(*gateway(listener("a", "x.y.a.test", "other", "wild")), secret("other", B), wild)
    assert entries(deep) == [("other", ("x.y.a.test",))]
    near = plan(*gateway(listener("a", "x.a.test", "other", "wild")), secret("other", B), wild)
    assert entries(near) == [("wild", ("x.a.test",)), ("other", ("x.a.test",))]


def test_names_of_files_are_safe_and_no_two_secrets_share_one() -> None:
    long = "a" * 250
    keys = [("a", "b.c"), ("a-b", "c"), ("a", "b-c"), ("n" * 63, long + "aaa"), ("n" * 63, long + "aab")]
    found = {certificate_name(key) for key in keys}
    assert len(found) == len(keys)
    assert all(len(name) <= LONGEST_NAME for name in found)
    assert certificate_name(("a", "b.c")) == "a.b.c"


def test_a_broken_rotation_keeps_the_last_good_certificate() -> None:
    memory = Memory()
    objects = gateway(listener("a", "", "a"))
    before = served(plan(*objects, secret("a", A), memory=memory))
    broken = plan(*objects, secret("a", BROKEN), memory=memory)
    assert served(broken) == before
    status, reason, message = resolved(broken)
    assert (status, reason) == ("False", "InvalidCertificateRef")
    assert message.endswith("does not belong to the first certificate of tls.crt; its last good content is kept")
    after = plan(*objects, secret("a", B), memory=memory)
    assert served(after).keys() == before.keys(), "a rotation keeps the name"
    assert served(after) != before
    assert resolved(after) == ("True", "ResolvedRefs", "")


def test_a_restart_keeps_it_too() -> None:
    objects = gateway(listener("a", "", "a"))
    files = plan(*objects, secret("a", A)).gateways[GATEWAY].certificate_files
    memory = Memory(certificates=CertificateMemory(written={**files, "default.junk": b"junk"}))
    assert plan(*objects, secret("a", BROKEN), memory=memory).gateways[GATEWAY].certificate_files == files
    junk = plan(*gateway(listener("a", "", "junk")), secret("junk", BROKEN), memory=memory)
    assert not served(junk)


def test_a_secret_that_is_deleted_is_withdrawn_for_good() -> None:
    memory = Memory()
    objects = gateway(listener("a", "", "a"))
    assert served(plan(*objects, secret("a", A), memory=memory))
    assert not served(plan(*objects, memory=memory))
    assert not served(plan(*objects, secret("a", BROKEN), memory=memory)), "nothing old comes back"


def test_a_revoked_grant_withdraws_it() -> None:
    memory = Memory()
    objects = [*gateway(listener("a", "", "far/a")), secret("a", A, namespace="far")]
    assert served(plan(*objects, grant("far"), memory=memory))
    revoked = plan(*objects, memory=memory)
    assert not served(revoked)
    assert resolved(revoked)[:2] == ("False", "RefNotPermitted")
    programmed = condition(revoked, "Gateway", "gw", "Programmed", part="a")
    assert programmed
    assert (programmed["status"], programmed["reason"]) == ("False", "Invalid")


def test_the_time_is_told_when_it_matters() -> None:
    objects = [*gateway(listener("a", "", "a")), secret("a", pair("a.test", start=2024, end=2027))]
    moments = [datetime(year, 6, 1, tzinfo=NOW.tzinfo) for year in (2023, 2025, 2028)]
    found = [plan(*objects, now=moment) for moment in moments]
    assert [resolved(each)[0] for each in found] == ["True"] * 3
    assert ["not valid before 2024" in resolved(each)[2] for each in found] == [True, False, False]
    assert ["expired on 2027" in resolved(each)[2] for each in found] == [False, False, True]
    assert [each.changes_at and each.changes_at.year for each in found] == [2024, 2026, None]
    assert all(served(one) == served(other) for one, other in pairwise(found))


def test_fourteen_days_before_the_end_are_time_to_act() -> None:
    objects = [*gateway(listener("a", "", "a")), secret("a", pair("a.test", end=2027))]
    end = datetime(2027, 1, 1, tzinfo=NOW.tzinfo)
    early, late = end - timedelta(days=14, seconds=1), end - timedelta(days=14)
    before, after = plan(*objects, now=early), plan(*objects, now=late)
    assert resolved(before) == ("True", "ResolvedRefs", "")
    assert before.changes_at == late
    assert resolved(after) == ("True", "ResolvedRefs", "Secret default/a: expires on 2027-01-01T00:00:00Z")
    assert after.changes_at == end


@pytest.mark.parametrize(
    ("hostname", "names", "message"),
    [
        ("", ("b.test",), ""),
        ("a.test", ("a.test",), ""),
        ("a.test", ("b.test", "*.test"), ""),
        ("*.a.test", ("x.a.test",), ""),
        ("*.a.test", ("*.a.test",), ""),
        ("x.y.a.test", ("*.a.test",), "no certificate is for x.y.a.test: what is served is for *.a.test"),
        ("a.test", ("b.test",), "no certificate is for a.test: what is served is for b.test"),
        ("a.test", (), "no certificate is for a.test: what is served is without a name"),
        (
            "a.test",
            ("b.test", "c.test", "d.test", "e.test"),
            "no certificate is for a.test: what is served is for b.test, c.test, d.test and 1 more",
        ),
    ],
)
def test_a_certificate_for_another_host_is_told(hostname: str, names: tuple[str, ...], message: str) -> None:
    found = plan(*gateway(listener("a", hostname, "a")), secret("a", pair(*names)))
    assert resolved(found) == ("True", "ResolvedRefs", message)
    assert served(found)


def test_one_that_fits_is_enough() -> None:
    found = plan(*gateway(listener("a", "a.test", "b", "a")), secret("a", A), secret("b", B))
    assert resolved(found) == ("True", "ResolvedRefs", "")


def test_the_ends_of_certificates_are_known() -> None:
    memory = Memory()
    plan(*gateway(listener("a", "", "a")), secret("a", pair("a.test", end=2027)), secret("unused", B), memory=memory)
    end = datetime(2027, 1, 1, tzinfo=NOW.tzinfo)
    assert ends_of(memory.certificates) == {("default", "a"): end.timestamp()}


def test_programmed_needs_the_certificates() -> None:
    objects = [*gateway(listener("a", "", "a")), secret("a", A)]
    first = plan(*objects).gateways[GATEWAY]
    assert first.pod
    assert first.vcl
    running: dict[str, Any] = {
        "is_serving": True,
        "routing_digest": digest(first.routing),
        "vcl_digest": digest(first.vcl.encode()),
        "pod_digest": digest(first.pod.to_json()),
    }
    wanted = digest(first.certificates.to_json())
    refusal = {"input": "certificates", "digest": wanted, "message": "bad end line"}

    def programmed(**fields: Any) -> tuple[str, str, str]:
        own = condition(plan(*objects, **running, **fields), "Gateway", "gw", "Programmed", part="a")
        assert own
        return own["status"], own["reason"], own["message"]

    assert programmed(certificates_digest=wanted)[0] == "True"
    assert programmed()[1:] == ("Pending", "the newest certificates are not in effect yet")
    message = "the newest certificates are refused, what was good before serves: bad end line"
    assert programmed(refusals=(refusal,))[1:] == ("Invalid", message)


NEVER = ["-----BEGIN PRIVATE KEY----- secret", ["secret"], 7654321, {"tls.crt": 7654321}, {"tls.crt": ["secret"]}]
NOT_BASE64 = [{"tls.key": "secret!"}, {"tls.key": "s"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("stringData", value) for value in NEVER),
        *(("data", value) for value in (*NEVER, *NOT_BASE64)),
        ("data", {"tls.key": "A" * 3_000_000}),
    ],
)
def test_what_is_no_secret_is_refused_without_telling_it(field: str, value: Any) -> None:
    with pytest.raises(InvalidObjectError) as error:
        resources([{**secret("a", A), field: value}])
    assert str(error.value).startswith(field)
    assert not any(word in str(error.value) for word in ("secret", "7654321", "AAAA", "'s'"))


def test_string_data_counts_first() -> None:
    content = {**secret("a", BROKEN), "stringData": {"tls.crt": A[0].decode(), "tls.key": A[1].decode()}}
    assert served(plan(*gateway(listener("a", "", "a")), content))
