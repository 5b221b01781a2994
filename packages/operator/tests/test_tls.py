"""tls.options: known keys and values, and that nothing unknown is passed over."""

import pytest

from varnish_gateway_operator.translate.tls import ALPN, MIN_VERSION, TlsOptions, tls_options


def test_defaults() -> None:
    assert tls_options({}) == TlsOptions("TLSv1.2", ("h2", "http/1.1"))


def test_known_options() -> None:
    assert tls_options({MIN_VERSION: "1.3", ALPN: "http/1.1"}) == TlsOptions("TLSv1.3", ("http/1.1",))


@pytest.mark.parametrize(
    ("key", "value"), [(MIN_VERSION, "1.1"), (MIN_VERSION, ""), (ALPN, "h2"), ("min-version", "1.3"), ("", "")]
)
def test_what_is_not_known_is_a_problem_that_names_it(key: str, value: str) -> None:
    (problem,) = tls_options({key: value}).problems
    assert problem.field == "tls.options"
    assert key in str(problem)
