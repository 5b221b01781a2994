"""Log lines: whatever users put into their objects, a line is a line."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from varnish_gateway_chaperone.logs import configure
from varnish_gateway_common.terminal import readable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_where_nobody_watches() -> None:
    out = io.StringIO()
    configure(is_verbose=False, stream=out).info("reloaded", route='a"\n\x1b[31m')
    assert json.loads(out.getvalue())["route"] == 'a"\n\x1b[31m'
    assert out.getvalue().count("\n") == 1


def test_readable_on_a_terminal() -> None:
    out = Terminal()
    log = configure(is_verbose=False, stream=out).bind(gateway="default/gw")
    log.warning("a rule is broken", rule=3, message="first\nsecond\x1b[2J")
    head, first, second, end = out.getvalue().split("\n")
    assert head.endswith("warning default/gw: a rule is broken  rule=3")
    assert (first, second, end) == ("    first", "    second\\u001b[2J", "")


def test_verbose_says_more() -> None:
    for is_verbose in (False, True):
        out = io.StringIO()
        configure(is_verbose=is_verbose, stream=out).debug("detail")
        assert bool(out.getvalue()) == is_verbose


def test_long_values_are_cut() -> None:
    out = io.StringIO()
    configure(is_verbose=False, stream=out).info("x", value="y" * 100_000)
    assert json.loads(out.getvalue())["value"].endswith("... (100000 characters)")


@given(st.text(), st.text())
def test_no_string_starts_a_line_or_moves_a_cursor(said: str, value: str) -> None:
    line = readable(None, "", {"timestamp": "12:00:00", "level": "info", "event": said, "key": value})
    assert line.isprintable()
