"""`python -m varnish_gateway_operator.crds FOLDER` writes the CustomResourceDefinitions of our own kinds."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from varnish_gateway_common import names
from varnish_gateway_common.document import PortableSchema
from varnish_gateway_operator.resources.base import Resource
from varnish_gateway_operator.resources.cache import (
    CacheInvalidationSpec,
    CacheInvalidationStatus,
    CachePolicySpec,
    CachePolicyStatus,
    VarnishCacheInvalidation,
    VarnishCachePolicy,
)
from varnish_gateway_operator.resources.parameters import GatewayClassParameters, ParametersSpec

Json = dict[str, Any]

ACCEPTED: Final = '.status.ancestors[*].conditions[?(@.type=="Accepted")]'
OPEN: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Definition:
    """A kind of our own."""

    kind: type[Resource]
    plural: str
    short_name: str
    scope: str
    spec: type[BaseModel]
    status: type[BaseModel] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """Title -> path, for `kubectl get`."""
    requires_spec: bool = True

    @property
    def file(self) -> str:
        return f"{names.API_GROUP}_{self.plural}.yaml"


DEFINITIONS: Final = (
    Definition(
        GatewayClassParameters,
        "gatewayclassparameters",
        "gcp",
        "Cluster",
        ParametersSpec,
        columns={
            "Service": ".spec.service.type",
            "Replicas": ".spec.replicas",
            "Storage": ".spec.storage.size",
            "User VCL": ".spec.userVCLConfigMapRef.name",
            "Image": ".spec.image",
        },
        requires_spec=False,
    ),
    Definition(
        VarnishCachePolicy,
        "varnishcachepolicies",
        "vcp",
        "Namespaced",
        CachePolicySpec,
        CachePolicyStatus,
        {
            "Target Kind": ".spec.targetRef.kind",
            "Target Name": ".spec.targetRef.name",
            "Accepted": f"{ACCEPTED}.status",
            "Reason": f"{ACCEPTED}.reason",
        },
    ),
    Definition(
        VarnishCacheInvalidation,
        "varnishcacheinvalidations",
        "vcinv",
        "Namespaced",
        CacheInvalidationSpec,
        CacheInvalidationStatus,
        {
            "Type": ".spec.type",
            "Gateway": ".spec.gatewayRef.name",
            "Hostname": ".spec.hostname",
            "Status": ".status.phase",
            "Message": ".status.message",
        },
    ),
)


def definition(wanted: Definition) -> Json:
    """The CustomResourceDefinition."""
    kind = wanted.kind.__name__
    columns = [{"name": name, "type": "string", "jsonPath": path} for name, path in wanted.columns.items()]
    version: Json = {
        "name": names.API_VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(wanted)},
        "additionalPrinterColumns": [
            *columns,
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        **({"subresources": {"status": {}}} if wanted.status else {}),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{wanted.plural}.{names.API_GROUP}"},
        "spec": {
            "group": names.API_GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": wanted.plural,
                "singular": kind.lower(),
                "shortNames": [wanted.short_name],
            },
            "scope": wanted.scope,
            "versions": [version],
        },
    }


def _object(wanted: Definition) -> Json:
    properties: Json = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": structural(wanted.spec),
    }
    if wanted.status:
        properties["status"] = structural(wanted.status)
    schema: Json = {"type": "object", "description": wanted.kind.__doc__, "properties": properties}
    return {**schema, "required": ["spec"]} if wanted.requires_spec else schema


def structural(model: type[BaseModel]) -> Json:
    """The schema in the form that Kubernetes wants: no references, no null, no defaults, a type for everything."""
    schema = model.model_json_schema(schema_generator=PortableSchema)
    found: Json = _expanded(schema, schema.get("$defs", {}))
    return found


def _expanded(node: Any, known: Json) -> Any:
    if isinstance(node, list):  # of required fields, say
        return [_expanded(each, known) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: value for key, value in node.items() if key not in ("$defs", "default")}
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].split())
    if "$ref" in node:
        node = {**known[node.pop("$ref").rpartition("/")[2]], **node}
        return _expanded(node, known)
    if "anyOf" in node:
        return _expanded(_without_null(node), known)
    found = {
        key: _properties(value, known) if key == "properties" else _expanded(value, known)
        for key, value in node.items()
    }
    return found if found.keys() - {"description"} else {**OPEN, **found}


def _properties(node: Json, known: Json) -> Json:
    """Names of fields are no keywords."""
    return {name: _expanded(value, known) for name, value in node.items()}


def _without_null(node: Json) -> Json:
    """What may be left out need not be null; what else may be one of several is the first, and no more."""
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    choices: Iterator[Json] = (each for each in node["anyOf"] if each.get("type") != "null")
    return {**next(choices), **rest}


def exported() -> dict[str, str]:
    """File name -> its content."""
    return {
        each.file: yaml.safe_dump(definition(each), sort_keys=False, allow_unicode=True, width=120)
        for each in DEFINITIONS
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in exported().items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
