"""Label selectors, as Kubernetes understands them."""

from collections.abc import Callable, Mapping
from typing import Final

from varnish_gateway_operator.resources.base import LabelSelector, LabelSelectorRequirement

Labels = Mapping[str, str]

OPERATORS: Final[Mapping[str, Callable[[LabelSelectorRequirement, Labels], bool]]] = {
    "In": lambda rule, labels: labels.get(rule.key) in rule.values,
    "NotIn": lambda rule, labels: labels.get(rule.key) not in rule.values,
    "Exists": lambda rule, labels: rule.key in labels,
    "DoesNotExist": lambda rule, labels: rule.key not in labels,
}


def selects(selector: LabelSelector | None, labels: Labels) -> bool:
    """Whether all of the selector's requirements hold; an empty selector selects all, none at all selects nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(_holds(rule, labels) for rule in selector.match_expressions)


def unknown_operators(selector: LabelSelector) -> tuple[str, ...]:
    return tuple(rule.operator for rule in selector.match_expressions if rule.operator not in OPERATORS)


def _holds(rule: LabelSelectorRequirement, labels: Labels) -> bool:
    operator = OPERATORS.get(rule.operator)
    return operator is not None and operator(rule, labels)
