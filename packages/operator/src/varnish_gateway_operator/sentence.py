"""What a round did, in one sentence for the log."""

from collections.abc import Sequence

from varnish_gateway_common.terminal import counted
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.translate.plan import Plan


def sentence(snapshot: Snapshot, plan: Plan, done: Sequence[str]) -> str:
    """`translated 3 routes onto 1 gateway: ...`"""
    routes, gateways = len(snapshot.http_routes), len(plan.gateways)
    what = f"translated {counted(routes, 'route')} onto {counted(gateways, 'gateway')}"
    return f"{what}: {', '.join(done)}" if done else f"{what}: nothing to write"
