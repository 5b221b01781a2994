"""Rounds: when the next one is due."""

from datetime import UTC, datetime

from fake_kube import FakeKube
from operator_rig import GATEWAY, contents_of
from varnish_gateway_common.kube.api import ForbiddenError
from varnish_gateway_operator.cluster import options
from varnish_gateway_operator.kube.apply import Applier
from varnish_gateway_operator.kube.kinds import sources
from varnish_gateway_operator.kube.statuses import StatusWriter
from varnish_gateway_operator.kube.store import Store
from varnish_gateway_operator.reconcilers.gateway import GatewayReconciler
from varnish_gateway_operator.reconcilers.httproute import HttpRouteReconciler
from varnish_gateway_operator.reconcilers.round import Rounds
from varnish_gateway_operator.translate.objects.shape import ClusterOptions
from varnish_gateway_operator.translate.patience import PATIENCE

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAY_PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/gw"


class Rig:
    def __init__(self) -> None:
        self.kube, self.store, self.now = FakeKube(), Store(), BEGAN
        self.store.expect(sources())
        applier, statuses = Applier(self.kube, self.store), StatusWriter(self.kube, self.store)
        self.rounds = Rounds(
            HttpRouteReconciler(applier, statuses),
            GatewayReconciler(applier, statuses),
            options(ClusterOptions("gateway:1")),
            clock=lambda: self.now,
        )
        for content in contents_of(GATEWAY + "{apiVersion: v1, kind: Namespace, metadata: {name: default}}"):
            if content["kind"] not in ("GatewayClass", "Namespace"):
                content["metadata"]["namespace"] = "default"
            self.store.accept(self.kube.put(content))

    async def round(self) -> str:
        while (state := await self.rounds.run(self.store.view())) == "more":
            pass
        return state

    def due(self) -> datetime | None:
        return self.rounds.changes_at

    @property
    def programmed(self) -> str:
        """The message."""
        conditions = self.kube.objects[GATEWAY_PATH]["status"]["conditions"]
        return next(str(each["message"]) for each in conditions if each["type"] == "Programmed")


async def test_missing_rights_are_told_of_at_the_moment_at_which_patience_ends() -> None:
    rig = Rig()
    rig.kube.refuse = lambda verb, path: (
        ForbiddenError("not yours", status=403) if verb == "apply" and "/deployments/" in path else None
    )
    assert await rig.round() == "stuck"
    assert rig.due() == BEGAN + PATIENCE
    assert "not yours" not in rig.programmed
    rig.now = BEGAN + PATIENCE
    assert await rig.round() == "stuck"
    assert "Deployment gw-varnish: not yours" in rig.programmed
    assert rig.due() is None, "it is tried again now and then, and not at once for ever"
    rig.kube.refuse = lambda *_: None
    assert await rig.round() == "done"
    assert rig.due() is None
