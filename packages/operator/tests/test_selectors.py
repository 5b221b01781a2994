"""Label selectors."""

import pytest

from varnish_gateway_operator.resources.base import LabelSelector
from varnish_gateway_operator.translate.selectors import selects, unknown_operators

LABELS = {"team": "red", "tier": "1"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"team": "red"}}, True),
        ({"matchLabels": {"team": "red", "tier": "2"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue", "red"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["red"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "other", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Like", "values": ["r"]}]}, False),
    ],
)
def test_selects(selector: dict[str, object], expected: bool) -> None:
    assert selects(LabelSelector.model_validate(selector), LABELS) is expected


def test_no_selector_selects_nothing() -> None:
    assert not selects(None, LABELS)


def test_unknown_operators_are_named() -> None:
    selector = LabelSelector.model_validate({"matchExpressions": [{"key": "a", "operator": "Like"}]})
    assert unknown_operators(selector) == ("Like",)
