"""ReferenceGrant (gateway.networking.k8s.io)."""

from typing import Annotated

from pydantic import Field

from varnish_gateway_operator.resources.base import Namespace, Part, Resource


class GrantFrom(Part):
    group: str
    kind: str
    namespace: Namespace


class GrantTo(Part):
    group: str
    kind: str
    name: str | None = None


class GrantSpec(Part):
    from_: Annotated[tuple[GrantFrom, ...], Field(alias="from", min_length=1)]
    to: Annotated[tuple[GrantTo, ...], Field(min_length=1)]


class ReferenceGrant(Resource):
    spec: GrantSpec
