"""From the certificates that run to those that are wanted: steps that end there, or None for a reload."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate_authority import index
from varnish_gateway_chaperone.haproxy.certificates import (
    Add,
    Attach,
    Detach,
    Drop,
    Replace,
    Tls,
    parse_certificates,
    steps,
)
from varnish_gateway_chaperone.merge import DocumentError
from varnish_gateway_common.certificates import Entry

A, B = Entry(certificate="a", server_names=("a.test",)), Entry(certificate="b", server_names=("b.test",))


def tls(*entries: Entry, **pems: bytes) -> Tls:
    return Tls({name: pems.get(name, b"1") for name in {entry.certificate for entry in entries}}, {"s": entries})


def test_a_rotation_touches_one_certificate() -> None:
    assert steps(tls(A, B), tls(A, B, b=b"2")) == (Replace("b"),)


def test_one_more_and_one_less() -> None:
    assert steps(tls(A), tls(A, B)) == (Add("b"), Attach("s", B))
    assert steps(tls(A, B), tls(B)) == (Detach("s", "a"), Drop("a"))
    assert steps(tls(A), tls(A)) == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((A,), (A.model_copy(update={"server_names": ("c.test",)}),)),
        ((A, A.model_copy(update={"server_names": ("c.test",)})), (A,)),
        ((A,), (B.model_copy(update={"server_names": ("a.test",)}), A)),
    ],
    ids=["other names", "two lines of one certificate", "a new one before an old one"],
)
def test_what_only_a_reload_can(before: tuple[Entry, ...], after: tuple[Entry, ...]) -> None:
    assert steps(tls(*before), tls(*after)) is None


ENTRY = st.builds(
    lambda name, hosts: Entry(certificate=name, server_names=hosts),
    st.sampled_from("abc"),
    st.lists(st.sampled_from(["a.test", "b.test", "c.test"]), max_size=2, unique=True).map(tuple),
)
TLS = st.builds(
    lambda entries, marks: tls(*entries, **marks),
    st.lists(ENTRY, max_size=4, unique=True),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([b"1", b"2"])),
)


def first_for(entries: tuple[Entry, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry.server_names or ("",):
            found.setdefault(name, []).append(entry.certificate)
    return found


@given(TLS, TLS)
def test_steps_end_where_they_should(before: Tls, after: Tls) -> None:
    plan = steps(before, after)
    if plan is None:
        return
    pems, entries = dict(before.pems), list(before.entries["s"])
    for step in plan:
        match step:
            case Add(name) | Replace(name):
                pems[name] = after.pems[name]
            case Attach(_, entry):
                assert entry.certificate in pems
                entries.append(entry)
            case Detach(_, name):
                assert [entry.certificate for entry in entries].count(name) == 1
                entries = [entry for entry in entries if entry.certificate != name]
            case Drop(name):
                assert all(entry.certificate != name for entry in entries)
                del pems[name]
    assert pems == after.pems
    assert first_for(tuple(entries)) == first_for(after.entries["s"])


def test_files_that_are_not_the_ones_named() -> None:
    content = index({"a": b"1"}, (A,))
    assert parse_certificates(content, {"a": b"1", "other": b"2"}).pems == {"a": b"1"}
    with pytest.raises(DocumentError, match=r"certificates/a\.pem is not there"):
        parse_certificates(content, {})
    with pytest.raises(DocumentError, match=r"a\.pem is not the file that"):
        parse_certificates(content, {"a": b"2"})
    with pytest.raises(DocumentError, match="'b' is named by a socket"):
        parse_certificates(index({"a": b"1"}, (B,)), {"a": b"1"})
    with pytest.raises(DocumentError, match="is not a name"):
        parse_certificates(index({"../a": b"1"}, ()), {"../a": b"1"})
    with pytest.raises(DocumentError, match="is not a server name"):
        parse_certificates(index({"a": b"1"}, (A.model_copy(update={"server_names": ("a b",)}),)), {"a": b"1"})
