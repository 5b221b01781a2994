"""Objects of ours: applied where they are not what they should be, removed where they should not be.

Which manifest was applied last is written down in the object itself, as a digest in an annotation of the manager's own.
So a new process knows that an object needs no write when the digest is the manifest's and everything in the manifest is
in the object: nobody edited it, and nothing that was applied once is left over.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.kube.api import Json, NotFoundError, path_of
from varnish_gateway_operator.kube.api import Kube
from varnish_gateway_operator.kube.kinds import plural
from varnish_gateway_operator.kube.quantities import is_same_quantity
from varnish_gateway_operator.kube.store import Store, digested
from varnish_gateway_operator.translate.objects.shape import GATEWAY_UID, Identity, Manager, Owned

QUANTITIES: Final = frozenset({"limits", "requests", "sizeLimit", "divisor", "target"})
"""Fields in which the API server spells numbers in its own way."""


class ForeignObjectError(Exception):
    """There is an object of that name which is somebody else's."""


@dataclass(frozen=True)
class _Applied:
    """What is known to be in effect."""

    manifest: Json
    marked: Json
    """The same with its digest."""
    version: str = ""
    """The object's resourceVersion at which that was so."""


@dataclass
class Applier:
    """Writes through `kube`, and tells the store what came of it."""

    kube: Kube
    store: Store
    _applied: dict[tuple[Manager, Identity], _Applied] = field(default_factory=dict)

    async def bring(self, owned: Owned, live: Json | None) -> bool:
        """True when something had to be written. Raises KubeError, ForeignObjectError."""
        identity = identity_of(owned.manifest)
        known = self._applied.get((owned.manager, identity))
        if known is None or known.manifest != owned.manifest:
            known = _Applied(owned.manifest, marked(owned))
        version = live["metadata"]["resourceVersion"] if live else ""
        is_settled = live is not None and (version == known.version or covers(live, digested(known.marked)))
        if not is_settled:
            if live is None:
                await self._check_owner(owned.manifest)
            manager = f"{names.MANAGED_BY}-{owned.manager}"
            answer = await self.kube.apply(path_to(owned.manifest), known.marked, manager)
            self.store.accept(answer)
            version = answer["metadata"]["resourceVersion"]
        self._applied[owned.manager, identity] = _Applied(known.manifest, known.marked, version)
        return not is_settled

    async def remove(self, live: Json) -> None:
        """The object, unless it is another one by now. Raises KubeError."""
        with suppress(NotFoundError):
            await self.kube.delete(path_to(live), live["metadata"]["uid"])

    def forget(self, wanted: Iterable[Identity]) -> None:
        """What was applied once and is not wanted any more."""
        kept = set(wanted)
        self._applied = {key: known for key, known in self._applied.items() if key[1] in kept}

    async def _check_owner(self, manifest: Json) -> None:
        """An object that the store does not know may be there all the same: what is not ours has not our label."""
        try:
            found = await self.kube.get(path_to(manifest))
        except NotFoundError:
            return
        if not (owner_uids(found) & owner_uids(manifest)) and not is_ours(found):
            raise ForeignObjectError("it is there already, and somebody else's")


def surplus(
    own: Mapping[Identity, Json], kept: Collection[Identity], gateways: Collection[str], unread: Collection[str] = ()
) -> list[Json]:
    """Objects of ours that nothing wants any more. `gateways`: the uids of those that exist; `unread`: of those
    of which it is not known what they want.

    What belongs to a Gateway that is gone is left to Kubernetes, which knows owners; but in other namespaces there are
    none.
    """
    found = []
    for identity, live in own.items():
        if identity in kept or identity[0] == "Pod" or live["metadata"].get("deletionTimestamp"):
            continue
        is_owned = any(uid in gateways for uid in owner_uids(live))
        elsewhere = live["metadata"]["labels"].get(GATEWAY_UID)
        if is_owned or (elsewhere and elsewhere not in unread):
            found.append(live)
    return found


def identity_of(content: Json) -> Identity:
    metadata = content["metadata"]
    return content["kind"], metadata.get("namespace", ""), metadata["name"]


def path_to(content: Json, part: str = "") -> str:
    kind, namespace, name = identity_of(content)
    return path_of(content["apiVersion"], plural(kind), namespace=namespace, name=name, part=part)


def owner_uids(content: Json) -> set[str]:
    return {each["uid"] for each in content["metadata"].get("ownerReferences") or () if "uid" in each}


def is_ours(content: Json) -> bool:
    labels = content["metadata"].get("labels") or {}
    return bool(labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY)


def marked(owned: Owned) -> Json:
    """The manifest with its own digest."""
    metadata = owned.manifest["metadata"]
    own = digest(json.dumps(owned.manifest, sort_keys=True).encode())
    annotations = {**(metadata.get("annotations") or {}), f"varnish.io/applied-{owned.manager}": own}
    return {**owned.manifest, "metadata": {**metadata, "annotations": annotations}}


def covers(live: Any, wanted: Any, *, has_quantities: bool = False) -> bool:
    """Whether everything wanted is there; what others added, and defaults, do not matter. An item of a list that has a
    name is looked for under that name; `has_quantities`: other spellings of numbers are the same."""
    if live is None and wanted in ("", [], {}, False):
        return True  # the API server leaves out what is empty
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            covers(live.get(key), value, has_quantities=has_quantities or key in QUANTITIES)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) < len(wanted):
            return False
        return all(
            covers(_counterpart(live, index, item), item, has_quantities=has_quantities)
            for index, item in enumerate(wanted)
        )
    return bool(live == wanted) or (has_quantities and is_same_quantity(live, wanted))


def _counterpart(live: list[Any], index: int, item: Any) -> Any:
    if isinstance(item, dict) and "name" in item:
        return next((each for each in live if isinstance(each, dict) and each.get("name") == item["name"]), None)
    return live[index]
