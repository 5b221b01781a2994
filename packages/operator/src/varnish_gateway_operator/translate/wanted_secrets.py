"""The Secrets that listeners of our Gateways refer to and may refer to: no others are read."""

from collections.abc import Iterable, Iterator

from varnish_gateway_operator.resources.core import Secret
from varnish_gateway_operator.resources.gateway import Gateway, Listener, ListenerSet
from varnish_gateway_operator.snapshot import Key, Snapshot
from varnish_gateway_operator.translate.classes import judge_classes
from varnish_gateway_operator.translate.references import Origin, References, Target


def wanted_secrets(snapshot: Snapshot) -> frozenset[Key]:
    """Namespace and name of each."""
    references = References(snapshot)
    return frozenset(
        (target.namespace, target.name)
        for owner in _owners(snapshot)
        for target in _targets(owner.spec.listeners, owner.namespace)
        if references.resolve(Origin(owner.kind, owner.namespace), target, Secret)
        not in ("InvalidKind", "RefNotPermitted")
    )


def _owners(snapshot: Snapshot) -> Iterator[Gateway | ListenerSet]:
    classes = judge_classes(snapshot)
    ours = {key: each for key, each in snapshot.gateways.items() if each.spec.gateway_class_name in classes}
    yield from ours.values()
    for each in snapshot.listener_sets.values():
        gateway = ours.get(each.gateway)
        if gateway and gateway.spec.allowed_listeners.namespaces.from_ != "None":
            yield each


def _targets(listeners: Iterable[Listener], namespace: str) -> Iterator[Target]:
    for listener in listeners:
        for ref in listener.tls.certificate_refs if listener.tls else ():
            yield Target(ref.group, ref.kind, ref.namespace or namespace, ref.name)
