"""The exported JSON Schemas: up to date, and without what other languages misread."""

import json
from pathlib import Path
from typing import Any

import pytest

from varnish_gateway_common.schema import EXPORTED, exported, main

FOLDER = Path(__file__).parents[2] / "ghost-vmod" / "schema"


@pytest.mark.parametrize("name", EXPORTED)
def test_the_exported_schema_is_not_stale(name: str) -> None:
    assert (FOLDER / name).read_text() == exported()[name], "run: nox -s schema"


def keys(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node) | {key for value in node.values() for key in keys(value)}
    return {key for value in node for key in keys(value)} if isinstance(node, list) else set()


@pytest.mark.parametrize("name", EXPORTED)
def test_nothing_that_generators_misread(name: str) -> None:
    assert not keys(json.loads(exported()[name])) & {"const", "title"}


@pytest.mark.parametrize("name", EXPORTED)
def test_every_object_is_closed(name: str) -> None:
    schema = json.loads(exported()[name])
    for model in (schema, *schema["$defs"].values()):
        assert model["type"] != "object" or model["additionalProperties"] is False


def test_main_writes_every_schema(tmp_path: Path) -> None:
    main(tmp_path / "schema")
    assert {file.name for file in (tmp_path / "schema").iterdir()} == set(EXPORTED)
