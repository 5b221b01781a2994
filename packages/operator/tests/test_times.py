"""When lastTransitionTime moves."""

from typing import Any

from varnish_gateway_operator.times import stamped


def status(value: str, **fields: str) -> dict[str, Any]:
    condition = {"type": "Accepted", "status": value, **fields}
    entry = {"parentRef": {"name": "gw"}, "controllerName": "us", "conditions": [condition]}
    return {"conditions": [condition], "listeners": [{"name": "a", "conditions": [condition]}], "parents": [entry]}


def times(found: dict[str, Any]) -> set[str]:
    places = [found, *found["listeners"], *found["parents"]]
    return {condition["lastTransitionTime"] for place in places for condition in place["conditions"]}


def test_a_new_condition_has_the_time_of_now() -> None:
    assert times(stamped(status("True"), {}, "now")) == {"now"}


def test_the_same_status_keeps_its_time_whatever_else_changes() -> None:
    before = stamped(status("True", reason="A"), {}, "then")
    assert times(stamped(status("True", reason="B"), before, "now")) == {"then"}


def test_another_status_moves_it() -> None:
    before = stamped(status("True"), {}, "then")
    assert times(stamped(status("False"), before, "now")) == {"now"}


def test_what_others_wrote_keeps_theirs() -> None:
    assert times(stamped(status("True", lastTransitionTime="theirs"), status("False"), "now")) == {"theirs"}


def test_the_same_name_elsewhere_is_another_one() -> None:
    before = stamped(status("True"), {}, "then")
    found = status("True")
    found["listeners"][0]["name"] = "b"
    found["parents"][0]["controllerName"] = "them"
    stamps = stamped(found, before, "now")
    assert stamps["conditions"][0]["lastTransitionTime"] == "then"
    assert stamps["listeners"][0]["conditions"][0]["lastTransitionTime"] == "now"
    assert stamps["parents"][0]["conditions"][0]["lastTransitionTime"] == "now"


def test_garbage_from_before_does_not_matter() -> None:
    before = {"conditions": ["x", None], "listeners": "y", "parents": [1]}
    assert times(stamped(status("True"), before, "now")) == {"now"}
