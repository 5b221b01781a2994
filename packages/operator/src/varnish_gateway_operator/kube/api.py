"""All that the operator asks of the API server; `client` does it, and in tests a fake."""

from typing import Protocol

from varnish_gateway_common.kube.api import Json, Reader


class Kube(Reader, Protocol):
    """Every method raises KubeError. Paths are those of `path_of`; an answer is the object as it is then."""

    async def get(self, path: str) -> Json: ...

    async def create(self, path: str, content: Json) -> Json:
        """`path` is the collection's."""
        ...

    async def replace(self, path: str, content: Json) -> Json:
        """Only if it still has the resourceVersion that `content` names."""
        ...

    async def merge(self, path: str, patch: Json) -> Json:
        """A merge patch: null removes. With a resourceVersion in it, only if that is still the object's."""
        ...

    async def apply(self, path: str, manifest: Json, manager: str) -> Json:
        """Server-side apply, forced: what `manager` applied before and does not now is removed."""
        ...

    async def delete(self, path: str, uid: str) -> None:
        """Only the object with this uid, not one that took its name."""
        ...
