"""Names of objects: labels, whatever the Gateway is called, and never two for one."""

import re

import pytest

from varnish_gateway_common.names import base

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,56}[a-z0-9])?")


def test_a_short_name_is_kept() -> None:
    assert base("default", "web", "varnish") == "web-varnish"


def test_a_name_is_cut_at_48_characters() -> None:
    assert base("default", "a" * 40, "varnish") == f"{'a' * 40}-varnish"
    assert base("default", "a" * 41, "varnish").startswith(f"{'a' * 41}-varnis-")


@pytest.mark.parametrize("gateway", ["a.b", "a" * 253, f"{'a' * 47}.b", "1st", "0", "a" * 46 + "-" * 6 + "b"])
def test_every_name_becomes_a_label(gateway: str) -> None:
    assert LABEL.fullmatch(base("default", gateway, "varnish.example"))


def test_what_is_changed_is_told_apart() -> None:
    assert base("default", "a.b", "c") != base("default", "a-b", "c")
    assert base("one", "a" * 253, "c") != base("two", "a" * 253, "c")
    assert base("default", "a" * 252, "c") != base("default", "a" * 253, "c")
