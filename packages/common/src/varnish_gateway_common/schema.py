"""`python -m varnish_gateway_common.schema FOLDER` exports the documents' JSON Schemas for other languages."""

import json
import sys
from pathlib import Path
from typing import Final

from varnish_gateway_common.document import Document, PortableSchema
from varnish_gateway_common.ghost import Ghost
from varnish_gateway_common.routing import Routing

EXPORTED: Final[dict[str, type[Document]]] = {"routing.schema.json": Routing, "ghost.schema.json": Ghost}


def exported() -> dict[str, str]:
    """File name -> its content."""
    return {
        name: json.dumps(model.model_json_schema(schema_generator=PortableSchema), indent=2) + "\n"
        for name, model in EXPORTED.items()
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in exported().items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
