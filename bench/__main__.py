"""`python -m bench [PART ...]` measures all parts, or those, and writes each to docs/benchmarks/PART.md.

`pass`, `tls` and `soak [SECONDS]` are long ones of their own: see there.
"""

import sys
from collections.abc import Callable

from bench import data_path, instructions, memory, passes, reload, soak, streams, tls, translation, waiting
from bench.table import DOCS

PARTS: dict[str, Callable[[], str]] = {
    "data-path": data_path.section,
    "instructions": instructions.section,
    "memory": memory.section,
    "reload": reload.section,
    "streams": streams.section,
    "translation": translation.section,
    "waiting": waiting.section,
}


def main(arguments: list[str]) -> None:
    match arguments:
        case ["pass"]:
            passes.main()
        case ["tls", *options]:
            tls.main(options)
        case ["soak", *seconds]:
            sys.exit(soak.main(float(seconds[0]) if seconds else 600))
        case parts:
            measure(parts or list(PARTS))


def measure(parts: list[str]) -> None:
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}, pass, tls, soak")
    DOCS.mkdir(exist_ok=True)
    for part in parts:
        text = PARTS[part]()
        (DOCS / f"{part}.md").write_text(text)
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
