"""Texts of manifests: values as kubectl has them, positions, and what costs more than it may."""

import json

import pytest

from varnish_gateway_common import manifest_text
from varnish_gateway_common.manifest_text import TEMPLATE, Places, Written, Wrong, documents

OBJECT = b"""\
kind: A
spec:
  rules:
  - name: one
    value: &a {x: 1}
  - {name: two, value: *a}
"""


def values(text: bytes, *, is_json: bool = False) -> list[object]:
    found = list(documents(text, is_json=is_json))
    assert all(isinstance(each, Written) for each in found), found
    return [each.value for each in found if isinstance(each, Written)]


def wrong(text: bytes, *, is_json: bool = False) -> Wrong:
    (found,) = (each for each in documents(text, is_json=is_json) if isinstance(each, Wrong))
    return found


def test_values_are_those_of_json() -> None:
    (found,) = values(b"{a: 1, b: yes, c: null, d: 1.5, e: x, f: [~], 1: y, g: 2026-01-01, h: '1', i: !!str 1}")
    assert found == {
        **{"a": 1, "b": True, "c": None, "d": 1.5, "e": "x", "f": [None]},
        **{"1": "y", "g": "2026-01-01", "h": "1", "i": "1"},
    }


def test_merged_mappings_count_after_what_is_written() -> None:
    text = b"base: &b {x: 1, y: 1}\nother: &o {y: 2, z: 2}\na: {<<: *b, x: 3}\nb: {<<: [*o, *b]}\n"
    (found,) = values(text)
    assert isinstance(found, dict)
    assert found["a"] == {"x": 3, "y": 1}
    assert found["b"] == {"x": 1, "y": 2, "z": 2}


@pytest.mark.parametrize(
    ("trail", "is_key", "place"),
    [
        (("kind",), False, (1, 7)),
        (("spec", "rules", 0, "name"), False, (4, 11)),
        (("spec", "rules", 0, "name"), True, (4, 5)),
        (("spec", "rules", 1, "name"), False, (6, 12)),
        (("spec", "rules", 1), False, (6, 5)),
        (("spec", "rules", 0, "missing"), False, (4, 5)),
        (("spec", "nothing", 3), True, (3, 3)),
        ((), False, (1, 1)),
    ],
)
def test_a_value_is_found_in_yaml_and_in_json(
    trail: tuple[str | int, ...], is_key: bool, place: tuple[int, int]
) -> None:
    assert Places.of(OBJECT).find(0, trail, is_key=is_key) == place


def test_a_value_is_found_in_json_with_tabs_and_in_a_later_object() -> None:
    text = b'{"a": 1}\n{\n\t"b": {"c": [1,\t2]}\n} {"d": "\\ud83d\\ude00"}'
    assert values(text, is_json=True) == [{"a": 1}, {"b": {"c": [1, 2]}}, {"d": "😀"}]
    places = Places.of(text, is_json=True)
    assert places.find(1, ("b", "c", 1)) == (3, 17)
    assert places.find(2, ("d",)) in ((4, 8), None)  # YAML knows no surrogates: the object is named without a column


def test_a_line_of_a_text_is_found() -> None:
    text = b"data:\n  a.vcl: |\n    one\n\n    three\n  b.vcl: 'one'\n"
    places = Places.of(text)
    assert places.text_line(0, ("data", "a.vcl"), 3) == (5, 5)
    assert places.text_line(0, ("data", "b.vcl"), 1) is None
    assert places.text_line(0, ("data", "c.vcl"), 1) is None


@pytest.mark.parametrize(
    ("text", "line", "column"), [(b"a: 1\nb: {c: 1,\n    c: 2}\n", 3, 5), (b"a: 1\nb: 1\na: 2\n", 3, 1)]
)
def test_a_key_that_stands_twice_is_a_mistake(text: bytes, line: int, column: int) -> None:
    found = wrong(text)
    assert (found.line, found.column) == (line, column)
    assert "stands twice" in found.message


def test_a_key_that_stands_twice_in_json_is_a_mistake() -> None:
    assert "twice" in wrong(b'{"a": {"b": 1, "b": 2}}', is_json=True).message


@pytest.mark.parametrize(
    "text",
    [
        b"a: {{ .Values.x }}\n",
        b"{{- if .Values.x }}\na: 1\n{{- end }}\n",
        b"a: 1\n{% if x %}\n",
        b"a:\n  b: {{ .V }}-{{ .W }}\n",
        b'a: {{ include "x" . | nindent 4 }}\n',
    ],
)
def test_a_template_is_told_as_one(text: bytes) -> None:
    assert wrong(text).message == TEMPLATE


def test_braces_within_a_text_are_no_template() -> None:
    assert values(b"a: '{{ x }}'\n") == [{"a": "{{ x }}"}]
    assert wrong(b"a: '{{ x }}'\nb: [\nc: 1\n").message != TEMPLATE


def test_a_short_file_of_many_aliases_costs_little() -> None:
    """10,000 times 10,000 values in 245 KB, as one level of aliases to a wide list."""
    wide = b"a: &a [" + b",".join([b"x"] * 60_000) + b"]\nb: [" + b",".join([b"*a"] * 30_000) + b"]\n"
    assert "aliases (*) stand for more than" in wrong(wide).message


@pytest.mark.parametrize("join", [b"[*a%d, *a%d]", b"{<<: [*a%d, *a%d]}", b"{x: *a%d, y: *a%d}"])
def test_aliases_that_double_cost_little(join: bytes) -> None:
    text = b"a0: &a0 {k: v}\n" + b"".join(
        b"a%d: &a%d " % (level, level) + join % (level - 1, level - 1) + b"\n" for level in range(1, 60)
    )
    assert "aliases (*) stand for more than" in wrong(text).message


@pytest.mark.parametrize("text", [b"a: &a [*a]", b"a: &a {b: *a}", b"&a {<<: *a}"])
def test_an_alias_to_what_it_stands_in_has_an_end(text: bytes) -> None:
    assert "nested deeper than" in wrong(text).message


def test_aliases_that_are_used_as_they_are_meant_are_read() -> None:
    text = b"a: &a {x: [1, 2]}\nb: [" + b", ".join([b"*a"] * 1000) + b"]\n"
    (found,) = values(text)
    assert isinstance(found, dict)
    assert found["b"] == [{"x": [1, 2]}] * 1000


def test_more_values_than_memory_has_room_for_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_text, "MAX_SEPARATORS", 10)
    assert "has more than about 10 values" in wrong(b"- a\n" * 6).message
    assert values(b"- a\n" * 4) == [["a"] * 4]


def test_json_that_is_none() -> None:
    assert (found := wrong(b'{"a": 1,\n "b" 2}', is_json=True)).line == 2
    assert "not valid JSON" in found.message
    for text in (b'{"a": ' * 100_000, b'{"a": "\xff"}', b'{"a": ' + b"9" * 5000 + b"}"):
        assert wrong(text, is_json=True)
    assert values(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode(), is_json=True) == [{"a": 1}]


def test_what_stands_before_a_mistake_is_read() -> None:
    good, bad = documents(b'{"a": 1} {"b"}', is_json=True)
    assert isinstance(good, Written)
    assert isinstance(bad, Wrong)
