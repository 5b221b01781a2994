"""Statuses of ListenerSets."""

from collections.abc import Mapping
from typing import Final

from varnish_gateway_operator.translate.conditions import Condition, accepted, not_accepted, not_programmed
from varnish_gateway_operator.translate.gateways import SetVerdict
from varnish_gateway_operator.translate.listeners import ListenerVerdict
from varnish_gateway_operator.translate.status import (
    Certificates,
    ObjectStatus,
    known_status,
    listener_statuses,
    merged,
)

CONDITIONS: Final = frozenset({"Accepted", "Programmed"})


def set_accepted(verdict: SetVerdict, certificates: Certificates, gateway: Condition) -> Condition:
    """Whether the set is attached. `gateway`: whether the Gateway is accepted."""
    if verdict.problem:
        return verdict.problem
    if gateway.status != "True":
        return not_accepted("ParentNotAccepted", "the Gateway is not accepted", is_consequence=True)
    refused = [each.listener.name for each in verdict.listeners if not _is_valid(each, certificates)]
    if len(refused) == len(verdict.listeners):
        return not_accepted("ListenersNotValid", f"no listener is valid: {', '.join(refused)}")
    if refused:
        return accepted(f"listeners that are not valid: {', '.join(refused)}", reason="ListenersNotValid")
    return accepted()


def set_status(
    verdict: SetVerdict,
    certificates: Certificates,
    *,
    accepted: Condition,
    programmed: Condition,
    attached: Mapping[str, int],
) -> ObjectStatus:
    """`programmed`: of the Gateway; `attached`: the number of routes by listener."""
    found = verdict.listener_set
    status = known_status(found.status)
    own = _programmed(accepted, programmed)
    return ObjectStatus(
        found,
        {
            "conditions": merged((accepted, own), found, CONDITIONS, status),
            "listeners": listener_statuses(verdict.listeners, certificates, own, attached, status),
        },
    )


def _is_valid(verdict: ListenerVerdict, certificates: Certificates) -> bool:
    """One without a certificate has nothing to serve, and a set of only such ones nothing to attach."""
    own = certificates.get(verdict.key)
    return verdict.is_accepted and (own is None or bool(own.served))


def _programmed(accepted: Condition, gateway: Condition) -> Condition:
    if accepted.status != "True":
        return not_programmed(accepted.reason, accepted.message)
    if gateway.status == "False":
        return not_programmed("ParentNotProgrammed", gateway.message)
    return gateway
