"""Programmed: what the reports of the running processes say about what was written for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from varnish_gateway_common.report import Report
from varnish_gateway_common.wording import named
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate.conditions import (
    Condition,
    Subject,
    not_programmed,
    programmed,
    programmed_unknown,
)
from varnish_gateway_operator.translate.problems import Problem
from varnish_gateway_operator.translate.vcl_messages import UserVcl, told

Reports = Mapping[Key, Sequence[Report]]
"""By Gateway."""

BrokenRules = tuple[tuple[Key, int, Problem], ...]
"""Of a route: the Gateway whose pod says so, the rule's index, and what is wrong."""

Broken = Mapping[str, BrokenRules]
"""Route's full name -> rules that do not compile."""

Warnings = tuple[tuple[Key, str], ...]
"""Of a route: a Gateway, and what its pods say of a Service that the route refers to."""

Unserved = Mapping[Key, Mapping[str, str]]
"""Gateway -> Service that is routed to and has no ready endpoint, by its key -> why."""

MOST_REASON: Final = 200
"""Characters of a pod's word on one rule."""
MOST_REFUSAL: Final = 4000
"""The same on a document: what the VCL compiler says takes a page."""


@dataclass(frozen=True)
class Written:
    """Digests of what was written for a Gateway."""

    routing: str
    vcl: str
    pod: str
    user_vcl: UserVcl | None = None
    certificates: str | None = None
    """None: no listener has any."""


def programmed_by(reports: Sequence[Report], written: Written) -> Condition:
    """True only when a process serves with exactly what was written."""
    if not reports:
        return programmed_unknown("no process of this gateway has reported yet")
    if any(_runs(report, written) for report in reports):
        return programmed()
    for report in reports:
        for refusal in report.refusals:
            if refusal.digest in (written.routing, written.vcl, written.pod, written.certificates):
                text = said(refusal.message, MOST_REFUSAL)
                return _refused(refusal.input, text, written, is_serving=report.is_serving)
    return not_programmed("Pending", _pending(reports[-1], written))


def broken_rules(reports: Reports) -> Broken:
    """Rules that ghost could not compile, as problems of their routes: a pod speaks for its own Gateway only."""
    found: dict[str, dict[tuple[Key, int], Problem]] = {}
    for gateway, each in reports.items():
        for report in each:
            for rule in report.broken_rules:
                message = f"does not compile, says a pod of Gateway {'/'.join(gateway)}: {said(rule.reason)}"
                problem = Problem("UnsupportedValue", f"spec.rules[{rule.index}]", message)
                found.setdefault(rule.route, {})[gateway, rule.index] = problem
    return {
        route: tuple((gateway, index, rules[gateway, index]) for gateway, index in sorted(rules))
        for route, rules in found.items()
    }


def unserved_services(reports: Reports) -> Unserved:
    """What pods say of Services without a ready endpoint; of several pods the first one speaks."""
    found: dict[Key, dict[str, str]] = {}
    for gateway, each in reports.items():
        for report in each:
            for one in report.unserved:
                found.setdefault(gateway, {}).setdefault(one.service, said(one.reason))
    return found


def said(text: str, most: int = MOST_REASON) -> str:
    """A pod's words: no more of them than that, and nothing that a terminal would obey."""
    shown = "".join(character if character.isprintable() or character == "\n" else "?" for character in text[:most])
    return f"{shown} ..." if len(text) > most else shown


def _runs(report: Report, written: Written) -> bool:
    running = (report.routing_digest, report.vcl_digest, report.pod_digest)
    has_certificates = written.certificates in (None, report.certificates_digest)
    return report.is_serving and has_certificates and running == (written.routing, written.vcl, written.pod)


WHAT: Final = {
    "certificates": "the newest certificates are refused",
    "pod": "varnishd does not start with these listeners, arguments and storage",
    "routing": "the newest routing is refused",
}


def _refused(what: str, message: str, written: Written, *, is_serving: bool) -> Condition:
    kept = "what was good before serves" if is_serving else "nothing serves"
    if what != "vcl":
        return not_programmed("Invalid", f"{WHAT.get(what, what)}, {kept}: {message}")
    found, user = told(message, written.user_vcl), written.user_vcl
    if user is None:
        return not_programmed("Invalid", f"main.vcl does not compile, {kept}: {found.fact}")
    where = found.within(named(user.key))
    place = (found.line, found.column) if found.line else None
    subject = Subject(user.identity, ("data", user.key), where, text_place=place)
    name = "/".join(map(named, user.identity[1:]))
    return not_programmed("Invalid", f"ConfigMap {name} does not compile, {kept}: {where}", subject=subject)


def _pending(report: Report, written: Written) -> str:
    if report.pod_digest != written.pod:
        return "the sockets are being changed"
    if report.routing_digest != written.routing:
        return "the newest routing is not in effect yet"
    if report.vcl_digest != written.vcl:
        return "the newest VCL is not in effect yet"
    if written.certificates not in (None, report.certificates_digest):
        return "the newest certificates are not in effect yet"
    return "draining" if report.is_draining else "not serving yet"
