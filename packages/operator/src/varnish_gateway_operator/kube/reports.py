"""What the pods report, together with which pods there are: what a pod that is gone said counts no more."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from varnish_gateway_common import names
from varnish_gateway_common.kube.api import Json
from varnish_gateway_common.report import Report
from varnish_gateway_operator.resources.gateway import Gateway
from varnish_gateway_operator.snapshot import Key
from varnish_gateway_operator.translate import Reports
from varnish_gateway_operator.translate.gateways import age
from varnish_gateway_operator.translate.objects.shape import Identity

SUFFIX: Final = "-report"


def reports_of(own: Mapping[Identity, Json], gateways: Iterable[Gateway]) -> Reports:
    """By Gateway. A pod that is not ready serves nobody, whatever it says.

    Whose ConfigMap it is its name says: all the rest of it a pod may write.
    """
    found: dict[Key, tuple[Report, ...]] = {}
    for identity, gateway in _report_maps(gateways).items():
        data = own.get(identity, {}).get("data") or {}
        reports = (_report(pod, text, own.get(("Pod", gateway[0], pod))) for pod, text in sorted(data.items()))
        if identity in own:
            found[gateway] = tuple(report for report in reports if report)
    return found


def leftovers(own: Mapping[Identity, Json]) -> Iterator[tuple[Identity, str]]:
    """Report ConfigMaps, and names of pods therein that do not exist."""
    for identity, content in own.items():
        if _is_report_map(identity):
            yield from ((identity, pod) for pod in content.get("data") or {} if ("Pod", identity[1], pod) not in own)


def pod_essence(content: Json) -> Json:
    """The little that is read of a pod."""
    status = content.get("status") or {}
    ready = [each for each in status.get("conditions") or () if each.get("type") == "Ready"]
    return {**{key: content[key] for key in ("apiVersion", "kind", "metadata")}, "status": {"conditions": ready}}


def _report_maps(gateways: Iterable[Gateway]) -> Mapping[Identity, Key]:
    """Of two Gateways with one name for their objects the older has them."""
    return {
        ("ConfigMap", each.namespace, names.report_of(base_of(each))): each.key
        for each in sorted(gateways, key=age, reverse=True)
    }


def base_of(gateway: Gateway) -> str:
    return names.base(gateway.namespace, gateway.name, gateway.spec.gateway_class_name)


def _is_report_map(identity: Identity) -> bool:
    return identity[0] == "ConfigMap" and identity[2].endswith(SUFFIX)


def _report(pod: str, text: str, known: Json | None) -> Report | None:
    """None where the pod is gone, or what it says makes no sense."""
    if known is None:
        return None
    try:
        report = Report.from_json(text)
    except ValidationError:
        return None
    return report if report.pod == pod and _is_ready(known) else report.model_copy(update={"is_serving": False})


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(each.get("status") == "True" for each in pod["status"]["conditions"])
