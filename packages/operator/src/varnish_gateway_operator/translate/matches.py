"""HTTPRouteMatch -> Match, and what makes a match impossible."""

import re
import string
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from varnish_gateway_common.routing import Match, PathMatch, ValueMatch
from varnish_gateway_common.wording import quoted
from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.translate.precedence import MatchRank, match_rank
from varnish_gateway_operator.translate.problems import Problem, unsupported

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

_PATH: Final = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_ESCAPE: Final = re.compile("%([0-9a-fA-F]{2})")
_UNRESERVED: Final = frozenset("-._~" + string.ascii_letters + string.digits)
_FORBIDDEN: Final = ("//", "/./", "/../", "%2f", "%2F")

Values = tuple[ValueMatch, ...]
ValueType = Literal["Exact", "RegularExpression"]


class CompiledMatch(NamedTuple):
    """A match: its canonical bytes, and where it stands among others."""

    json: bytes
    rank: MatchRank


def match_of(match: httproute.RouteMatch) -> CompiledMatch | Problem:
    """The match, or why there is none; fields are named relative to it."""
    if not match.headers and not match.query_params:
        return _plain_match(match.path.type, match.path.value, match.method)
    headers = _values("headers", ((header.name.lower(), header.type, header.value) for header in match.headers))
    query = _values("queryParams", ((item.name, item.type, item.value) for item in match.query_params))
    return _match(match.path.type, match.path.value, match.method, headers, query)


def has_expressions(match: httproute.RouteMatch) -> bool:
    types = (match.path.type, *(each.type for each in match.headers), *(each.type for each in match.query_params))
    return "RegularExpression" in types


@lru_cache(maxsize=10_000)
def _plain_match(path_type: str, path: str, method: str | None) -> CompiledMatch | Problem:
    """Many rules have the same."""
    return _match(path_type, path, method, (), ())


def _match(
    path_type: str, path: str, method: str | None, headers: Values | Problem, query: Values | Problem
) -> CompiledMatch | Problem:
    found = _path(path_type, path)
    if isinstance(found, Problem):
        return found
    if method == "CONNECT":
        return unsupported("method", "CONNECT asks for a tunnel, which no gateway here makes")
    if method is not None and method not in METHODS:
        return unsupported("method", f"{quoted(method)} is not a method that can be matched")
    if isinstance(headers, Problem):
        return headers
    if isinstance(query, Problem):
        return query
    match = Match(path=found, method=method, headers=headers, query_parameters=query)
    return CompiledMatch(match.to_json(), match_rank(match))


def _path(type_: str, value: str) -> PathMatch | Problem:
    if type_ == "RegularExpression":
        return PathMatch(type="RegularExpression", value=value)
    if type_ not in ("Exact", "PathPrefix"):
        return unsupported("path.type", f"{quoted(type_)} is not a known type of match")
    normal = _normalised(value)
    if problem := _path_problem(value) or _path_problem(normal):
        return unsupported("path.value", problem)
    if type_ == "Exact":
        return PathMatch(type="Exact", value=normal)
    return PathMatch(type="PathPrefix", value=normal.rstrip("/") or "/")  # a slash at its end is no element


def _normalised(value: str) -> str:
    """As ghost has the paths of requests: unreserved characters are not escaped, the digits of other escapes are in
    upper case (RFC 3986, 6.2.2)."""

    def normal(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16))
        return character if character in _UNRESERVED else escape[0].upper()

    return _ESCAPE.sub(normal, value)


def _path_problem(value: str) -> str | None:
    """The rules that the CRD has for paths that are matched byte for byte."""
    if not value.startswith("/"):
        return f"{quoted(value)} must start with '/'"
    for part in _FORBIDDEN:
        if part in value:
            return f"{quoted(value)} must not contain {quoted(part)}"
    if value.endswith(("/..", "/.")):
        return f"{quoted(value)} must not end with a dot segment"
    if not _PATH.fullmatch(value):
        return f"{quoted(value)} has characters that no path has"
    return None


def _values(field: str, wanted: Iterable[tuple[str, str, str]]) -> Values | Problem:
    """ "If multiple entries specify equivalent [...] names, only the first entry with an equivalent name MUST be
    considered for a match."""
    found: dict[str, ValueMatch] = {}
    for index, (name, type_, value) in enumerate(wanted):
        known = _value_type(type_)
        if known is None:
            return unsupported(f"{field}[{index}].type", f"{quoted(type_)} is not a known type of match")
        found.setdefault(name, ValueMatch(name=name, type=known, value=value))
    return tuple(found.values())


def _value_type(name: str) -> ValueType | None:
    if name == "Exact":
        return "Exact"
    return "RegularExpression" if name == "RegularExpression" else None
