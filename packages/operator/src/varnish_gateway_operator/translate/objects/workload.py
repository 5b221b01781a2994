"""What runs the pods, and how many: Deployment, PodDisruptionBudget, HorizontalPodAutoscaler."""

from collections.abc import Iterator
from typing import Final

from varnish_gateway_common.pod import Pod
from varnish_gateway_operator.resources.parameters import Autoscaling, Disruption, ParametersSpec
from varnish_gateway_operator.translate.objects.pod import pod_template
from varnish_gateway_operator.translate.objects.shape import Json, Wanted

REPLICAS: Final = 2


def workload(wanted: Wanted, pod: Pod, spec: ParametersSpec) -> Iterator[Json]:
    yield _deployment(wanted, pod, spec)
    if spec.pod_disruption_budget:
        yield _budget(wanted, spec.pod_disruption_budget)
    if spec.autoscaling:
        yield _autoscaler(wanted, spec.autoscaling)


def _deployment(wanted: Wanted, pod: Pod, spec: ParametersSpec) -> Json:
    """A new pod is ready before an old one goes. With an autoscaler the number is the autoscaler's alone."""
    replicas = {} if spec.autoscaling else {"replicas": REPLICAS if spec.replicas is None else spec.replicas}
    return {
        **wanted.manifest("apps/v1", "Deployment"),
        "spec": {
            **replicas,
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "selector": {"matchLabels": wanted.selector},
            "template": pod_template(wanted, pod, spec),
        },
    }


def _budget(wanted: Wanted, asked: Disruption) -> Json:
    return {
        **wanted.manifest("policy/v1", "PodDisruptionBudget"),
        "spec": {
            "selector": {"matchLabels": wanted.selector},
            **asked.model_dump(by_alias=True, exclude_none=True),
        },
    }


def _autoscaler(wanted: Wanted, asked: Autoscaling) -> Json:
    cpu = {
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": asked.target_cpu_utilization_percentage},
        },
    }
    return {
        **wanted.manifest("autoscaling/v2", "HorizontalPodAutoscaler"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": wanted.base},
            "minReplicas": asked.min_replicas,
            "maxReplicas": asked.max_replicas,
            "metrics": list(asked.metrics) or [cpu],
            **({"behavior": asked.behavior} if asked.behavior else {}),
        },
    }
