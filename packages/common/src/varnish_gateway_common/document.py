"""What every document is: closed, frozen, canonical."""

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema


class Document(BaseModel):
    """A closed and frozen model: an unknown field is refused, a value is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> bytes:
        """Canonical JSON: fields in their declared order, defaults left out, no white space, UTF-8."""
        return self.model_dump_json(exclude_defaults=True).encode()

    def to_pretty_json(self) -> str:
        """The same for people and diffs, with a final newline."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Parse; raises pydantic.ValidationError, which names the field."""
        return cls.model_validate_json(text)


def digest(content: bytes) -> str:
    """The identity of a document's bytes: SHA-256, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class PortableSchema(GenerateJsonSchema):
    """JSON Schema without what other languages' generators misread.

    `const` is widely unenforced, so a single value is an `enum` of one; equal `title`s collide, so there are none.
    """

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        found = super().literal_schema(schema)
        if "const" in found:
            found["enum"] = [found.pop("const")]
        return found

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        found: JsonSchemaValue = _without_titles(super().generate(schema, mode))
        return found


def _without_titles(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_titles(value) for key, value in node.items() if key != "title" or not isinstance(value, str)
        }
    if isinstance(node, list):
        return [_without_titles(value) for value in node]
    return node
