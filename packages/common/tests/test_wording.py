"""What messages say of values, and how much of them."""

from typing import Any

import pytest

from varnish_gateway_common.wording import MAX_QUOTED, discreet, named, near, quoted, trail_text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "'a'"),
        ("a" * MAX_QUOTED, f"'{'a' * MAX_QUOTED}'"),
        ("a" * (MAX_QUOTED + 1), f"'{'a' * MAX_QUOTED}'…"),
        ("a\nb", "'a\\nb'"),
        (80, "80"),
        (10**30, "1000000000000000000000000000000"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"a": "secret"}, "a mapping"),
        (["secret"], "a list"),
        (b"secret", "something else"),
    ],
)
def test_a_value_is_quoted_up_to_its_bound(value: Any, said: str) -> None:
    assert quoted(value) == said


def test_a_huge_number_is_not_written_out() -> None:
    assert quoted(10**5000) == "a huge number"


def test_a_name_is_cut_and_moves_no_cursor() -> None:
    assert named("a" * MAX_QUOTED) == "a" * MAX_QUOTED
    assert named("a" * 100) == "a" * MAX_QUOTED + "…"
    assert named("\x1b[2J\n") == "\\x1b[2J\\n"


def test_the_last_gate_cuts_what_is_too_long_for_a_word() -> None:
    assert discreet(f"x {'A' * 41} y") == f"x {'A' * 40}… y"
    assert discreet(f"x {'A' * 40} {'b' * 40}") == f"x {'A' * 40} {'b' * 40}"
    path = "spec.rules[0].backendRefs[0].filters[0].requestHeaderModifier.set[0] is wrong"
    assert discreet(path) == path


def test_a_trail_is_a_path_and_says_only_what_it_may() -> None:
    assert trail_text(("spec", "rules", 0, "name")) == "spec.rules[0].name"
    assert trail_text(("data", "secret", 0), {"data"}) == "data[…][0]"


def test_what_is_near_is_offered() -> None:
    assert near("backendRef", ["backendRefs", "matches"]) == "backendRefs"
    assert near("x", ["backendRefs", "matches"]) is None
