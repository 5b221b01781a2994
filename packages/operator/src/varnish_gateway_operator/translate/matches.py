"""HTTPRouteMatch -> Match, and what makes a match impossible."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from varnish_gateway_common.routing import Match, PathMatch, ValueMatch

from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.translate.problems import Problem, unsupported

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

_PATH: Final = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_FORBIDDEN: Final = ("//", "/./", "/../", "%2f", "%2F")

ValueType = Literal["Exact", "RegularExpression"]


def match_of(match: httproute.RouteMatch) -> Match | Problem:
    """The match, or why there is none; fields are named relative to it."""
    path = _path(match.path)
    if isinstance(path, Problem):
        return path
    if match.method is not None and match.method not in METHODS:
        return unsupported("method", f"{match.method!r} is not a method that can be matched")
    headers = _values("headers", ((header.name.lower(), header.type, header.value) for header in match.headers))
    if isinstance(headers, Problem):
        return headers
    query = _values("queryParams", ((item.name, item.type, item.value) for item in match.query_params))
    if isinstance(query, Problem):
        return query
    return Match(path=path, method=match.method, headers=headers, query_parameters=query)


def _path(path: httproute.PathMatch) -> PathMatch | Problem:
    if path.type == "RegularExpression":
        return PathMatch(type="RegularExpression", value=path.value)
    if path.type not in ("Exact", "PathPrefix"):
        return unsupported("path.type", f"{path.type!r} is not a known type of match")
    if problem := _path_problem(path.value):
        return unsupported("path.value", problem)
    if path.type == "Exact":
        return PathMatch(type="Exact", value=path.value)
    return PathMatch(type="PathPrefix", value=path.value.rstrip("/") or "/")  # a slash at its end is no element


def _path_problem(value: str) -> str | None:
    """The rules that the CRD has for paths that are matched byte for byte."""
    if not value.startswith("/"):
        return f"{value!r} must start with '/'"
    for part in _FORBIDDEN:
        if part in value:
            return f"{value!r} must not contain {part!r}"
    if value.endswith(("/..", "/.")):
        return f"{value!r} must not end with a dot segment"
    if not _PATH.fullmatch(value):
        return f"{value!r} has characters that no path has"
    return None


def _values(field: str, wanted: Iterable[tuple[str, str, str]]) -> tuple[ValueMatch, ...] | Problem:
    """"If multiple entries specify equivalent [...] names, only the first entry with an equivalent name MUST be
    considered for a match."""
    found: dict[str, ValueMatch] = {}
    for index, (name, type_, value) in enumerate(wanted):
        known = _value_type(type_)
        if known is None:
            return unsupported(f"{field}[{index}].type", f"{type_!r} is not a known type of match")
        found.setdefault(name, ValueMatch(name=name, type=known, value=value))
    return tuple(found.values())


def _value_type(name: str) -> ValueType | None:
    if name == "Exact":
        return "Exact"
    return "RegularExpression" if name == "RegularExpression" else None
