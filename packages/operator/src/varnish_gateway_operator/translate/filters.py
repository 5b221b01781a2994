"""Filters of a rule or of a backendRef: what can be given, and what is wrong with the rest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from varnish_gateway_common.routing import Filters, Header, HeaderEdit, PathRewrite, Redirect, UrlRewrite
from varnish_gateway_common.wording import named, quoted
from varnish_gateway_operator.resources import httproute
from varnish_gateway_operator.translate.problems import Problem, incompatible, not_built, unsupported

FIELDS: Final = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "RequestMirror": "request_mirror",
    "CORS": "cors",
    "ExternalAuth": "external_auth",
    "ExtensionRef": "extension_ref",
}
"""Type of a filter -> its field in our model."""

NOT_BUILT: Final = frozenset({"RequestMirror", "CORS", "ExternalAuth", "ExtensionRef"})

FRAMING: Final = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Fields that say where a message ends or belong to one connection: to edit them is to break the framing."""

OURS: Final = "x-gateway-"
"""What the names of the gateway's own fields begin with."""

MAX_NAME_BYTES: Final = 126
"""varnishd counts a name and its colon in a signed byte."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET: Final = re.compile(r"[\x21-\x22\x24-\x3e\x40-\x7e]*")
"""What a path in a request line may be written with: visible ASCII, without `#` and `?`."""

REDIRECTS: Final = (301, 302, 303, 307, 308)


NO_FILTERS: Final = Filters()


class Filtering(NamedTuple):
    """What a list of filters comes to."""

    filters: Filters
    redirect: Redirect | None = None
    problems: tuple[Problem, ...] = ()


NOTHING: Final = Filtering(NO_FILTERS)


@dataclass
class _Draft:
    is_prefix: bool
    can_redirect: bool
    request_headers: HeaderEdit | None = None
    response_headers: HeaderEdit | None = None
    url_rewrite: UrlRewrite | None = None
    redirect: Redirect | None = None
    problems: list[Problem] = field(default_factory=list)


def filtering(wanted: Sequence[httproute.Filter], *, is_prefix: bool, can_redirect: bool) -> Filtering:
    """`is_prefix`: every match of the rule is a PathPrefix. `can_redirect`: this is a rule, not a backendRef."""
    if not wanted:
        return NOTHING
    draft = _Draft(is_prefix, can_redirect)
    if len(wanted) > 1:
        draft.problems.extend(_combination_problems(wanted))
    for index, each in enumerate(wanted):
        problem = _shape_problem(each)
        found = [problem] if problem else _take(each, draft)
        draft.problems.extend(problem.within(f"filters[{index}]") for problem in found)
    filters = Filters(
        request_headers=draft.request_headers, response_headers=draft.response_headers, url_rewrite=draft.url_rewrite
    )
    return Filtering(filters, draft.redirect, tuple(draft.problems))


def _combination_problems(wanted: Sequence[httproute.Filter]) -> list[Problem]:
    types = [each.type for each in wanted]
    problems = [
        incompatible("filters", f"has {types.count(name)} filters of type {name}; one is allowed")
        for name in dict.fromkeys(types)
        if types.count(name) > 1 and name in FIELDS and name not in ("RequestMirror", "ExtensionRef")
    ]
    if "RequestRedirect" in types and "URLRewrite" in types:
        problems.append(incompatible("filters", "has both RequestRedirect and URLRewrite"))
    return problems


def _shape_problem(each: httproute.Filter) -> Problem | None:
    """A filter has its type's field and no other."""
    if each.type not in FIELDS:
        return unsupported("type", f"{quoted(each.type)} is not a known type of filter")
    for name, attribute in FIELDS.items():
        is_set = getattr(each, attribute) is not None
        if is_set != (name == each.type):
            return unsupported(_camel(attribute), f"must {'not ' if is_set else ''}be set for type {named(each.type)}")
    return not_built(_camel(FIELDS[each.type])) if each.type in NOT_BUILT else None


def _take(each: httproute.Filter, draft: _Draft) -> list[Problem]:
    """Put a well-shaped filter into the draft."""
    problems: list[Problem] = []
    if each.request_header_modifier is not None:
        draft.request_headers = _edit(each.request_header_modifier, "requestHeaderModifier", problems)
    if each.response_header_modifier is not None:
        draft.response_headers = _edit(each.response_header_modifier, "responseHeaderModifier", problems)
    if each.url_rewrite is not None:
        draft.url_rewrite = _rewrite(each.url_rewrite, draft.is_prefix, problems)
    if each.request_redirect is not None and not draft.can_redirect:
        problems.append(unsupported("requestRedirect", "is not possible on a backendRef"))
    elif each.request_redirect is not None:
        draft.redirect = _redirect(each.request_redirect, draft.is_prefix, problems)
    return problems


def _edit(wanted: httproute.HeaderFilter, where: str, problems: list[Problem]) -> HeaderEdit:
    is_request = where.startswith("request")
    named = [("remove", index, name, "") for index, name in enumerate(wanted.remove)]
    named += [("set", index, header.name, header.value) for index, header in enumerate(wanted.set)]
    named += [("add", index, header.name, header.value) for index, header in enumerate(wanted.add)]
    for action, index, name, value in named:
        problem = _name_problem(name, action, is_request) or _value_problem(value)
        if problem:
            problems.append(unsupported(f"{where}.{action}[{index}]", problem))
    return HeaderEdit(remove=wanted.remove, set=_first_of_each(wanted.set), add=_first_of_each(wanted.add))


def _first_of_each(headers: Sequence[httproute.Header]) -> tuple[Header, ...]:
    """ "If multiple entries specify equivalent header names, the first entry with an equivalent name MUST be considered
    for a match. Subsequent entries with an equivalent header name MUST be ignored."""
    found: dict[str, Header] = {}
    for header in headers:
        found.setdefault(header.name.lower(), Header(name=header.name, value=header.value))
    return tuple(found.values())


def _name_problem(name: str, action: str, is_request: bool) -> str | None:
    if not _TOKEN.fullmatch(name):
        return f"{quoted(name)} is not the name of a header"
    if name.lower() in FRAMING:
        return f"{named(name)} belongs to the connection and cannot be edited"
    if len(name) > MAX_NAME_BYTES:
        return f"{named(name)} is longer than {MAX_NAME_BYTES} bytes"
    if name.lower().startswith(OURS):
        return f"{named(name)} is the gateway's own"
    if is_request and action != "set" and name.lower() == "host":
        return f"{named(name)} is one field: it can be set, and nothing else"
    return None


def _value_problem(value: str) -> str | None:
    return "the value has control characters" if _CONTROL.search(value) else None


def _rewrite(wanted: httproute.UrlRewrite, is_prefix: bool, problems: list[Problem]) -> UrlRewrite:
    return UrlRewrite(hostname=wanted.hostname, path=_path(wanted.path, "urlRewrite.path", is_prefix, problems))


def _redirect(wanted: httproute.RequestRedirect, is_prefix: bool, problems: list[Problem]) -> Redirect:
    if wanted.scheme not in (None, "http", "https"):
        problems.append(unsupported("requestRedirect.scheme", f"{quoted(wanted.scheme)} is neither http nor https"))
    if wanted.status_code not in REDIRECTS:
        problems.append(unsupported("requestRedirect.statusCode", f"{wanted.status_code} is none of {REDIRECTS}"))
    return Redirect(
        type="Redirect",
        status=_status(wanted.status_code),
        scheme=_scheme(wanted.scheme),
        hostname=wanted.hostname,
        port=wanted.port,
        path=_path(wanted.path, "requestRedirect.path", is_prefix, problems),
    )


def _status(code: int) -> Literal[301, 302, 303, 307, 308]:
    known: dict[int, Literal[301, 302, 303, 307, 308]] = {301: 301, 303: 303, 307: 307, 308: 308}
    return known.get(code, 302)


def _scheme(name: str | None) -> Literal["http", "https"] | None:
    known: dict[str | None, Literal["http", "https"]] = {"http": "http", "https": "https"}
    return known.get(name)


def _path(
    wanted: httproute.PathModifier | None, where: str, is_prefix: bool, problems: list[Problem]
) -> PathRewrite | None:
    if wanted is None:
        return None
    if wanted.type == "ReplaceFullPath":
        return _full_path(wanted, where, problems)
    if wanted.type == "ReplacePrefixMatch":
        if not is_prefix:
            problems.append(unsupported(f"{where}.type", "ReplacePrefixMatch needs matches of type PathPrefix"))
        return _prefix(wanted, where, problems)
    problems.append(unsupported(f"{where}.type", f"{quoted(wanted.type)} is not a known type of path modifier"))
    return None


def _full_path(wanted: httproute.PathModifier, where: str, problems: list[Problem]) -> PathRewrite | None:
    value = wanted.replace_full_path
    if value is None or wanted.replace_prefix_match is not None:
        problems.append(unsupported(where, "must have replaceFullPath alone for type ReplaceFullPath"))
        return None
    if problem := _target_problem(value) or (None if value.startswith("/") else f"{quoted(value)} must start with '/'"):
        problems.append(unsupported(f"{where}.replaceFullPath", problem))
    return PathRewrite(type="ReplaceFullPath", value=value)


def _prefix(wanted: httproute.PathModifier, where: str, problems: list[Problem]) -> PathRewrite | None:
    value = wanted.replace_prefix_match
    if value is None or wanted.replace_full_path is not None:
        problems.append(unsupported(where, "must have replacePrefixMatch alone for type ReplacePrefixMatch"))
        return None
    is_path = value[:1] in ("", "/")
    if problem := _target_problem(value) or (None if is_path else f"{quoted(value)} must start with '/'"):
        problems.append(unsupported(f"{where}.replacePrefixMatch", problem))
    return PathRewrite(type="ReplacePrefixMatch", value=value)


def _target_problem(value: str) -> str | None:
    return None if _TARGET.fullmatch(value) else f"{quoted(value)} has characters that no path has"


def _camel(attribute: str) -> str:
    head, *tail = attribute.split("_")
    return head + "".join(part.title() for part in tail)
