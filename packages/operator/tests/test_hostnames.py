"""Where hostnames meet."""

import pytest

from varnish_gateway_operator.translate.hostnames import covers, intersects, of_route_on


@pytest.mark.parametrize(
    ("pattern", "hostname", "expected"),
    [
        ("", "a.test", True),
        ("", "*.a.test", True),
        ("a.test", "a.test", True),
        ("a.test", "b.test", False),
        ("a.test", "", False),
        ("*.test", "a.test", True),
        ("*.test", "a.b.test", True),
        ("*.test", "*.b.test", True),
        ("*.test", "test", False),
        ("*.test", "atest", False),
        ("*.b.test", "*.test", False),
        ("a.test", "*.test", False),
    ],
)
def test_covers(pattern: str, hostname: str, expected: bool) -> None:
    assert covers(pattern, hostname) is expected


def test_patterns_meet_where_one_covers_the_other() -> None:
    assert intersects("*.a.test", "*.test")
    assert intersects("*.test", "*.a.test")
    assert not intersects("*.a.test", "*.b.test")


def test_a_route_keeps_its_own_hostnames() -> None:
    assert of_route_on("a.test", ("*.test", "b.test", "a.test", "*.test")) == ("*.test", "a.test")


def test_a_route_without_hostnames_stands_under_any() -> None:
    assert of_route_on("a.test", ()) == ("",)
