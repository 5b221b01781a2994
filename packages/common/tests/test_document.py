"""Documents: closed, frozen, canonical."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from varnish_gateway_common.document import digest
from varnish_gateway_common.ghost import Endpoint, Ghost, splice
from varnish_gateway_common.routing import Forward, Rule

DOCUMENTS = Path(__file__).parents[2] / "ghost-vmod" / "schema" / "documents"


def names(kind: str) -> list[Path]:
    return sorted((DOCUMENTS / kind).glob("*.json"))


@pytest.mark.parametrize("file", names("accepted"), ids=lambda file: file.stem)
def test_accepted_documents_survive_a_round_trip(file: Path) -> None:
    document = Ghost.from_json(file.read_bytes())
    assert Ghost.from_json(document.to_json()) == document
    assert Ghost.from_json(document.to_pretty_json()) == document


@pytest.mark.parametrize("file", names("refused"), ids=lambda file: file.stem)
def test_refused_documents_are_refused(file: Path) -> None:
    with pytest.raises(ValidationError):
        Ghost.from_json(file.read_bytes())


def test_there_are_documents_of_both_kinds() -> None:
    assert len(names("accepted")) >= 3
    assert len(names("refused")) >= 20


def test_a_document_cannot_be_changed() -> None:
    endpoint = Endpoint(address="192.0.2.1", port=80)
    with pytest.raises(ValidationError):
        endpoint.port = 81


def test_json_is_canonical() -> None:
    rule = Rule(route="default/r", action=Forward(type="Forward"))
    assert rule.to_json() == b'{"route":"default/r","action":{"type":"Forward"}}'


def test_spliced_parts_are_the_whole_document() -> None:
    document = Ghost.from_json((DOCUMENTS / "accepted" / "everything.json").read_bytes())
    endpoints = json.dumps(json.loads(document.to_json())["endpoints"], separators=(",", ":")).encode()
    assert splice(document.routing.to_json(), endpoints) == document.to_json()


def test_digest_is_sha256() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
