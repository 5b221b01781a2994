"""The Gateway's ConfigMaps: documents, plain while they are small, then compressed, then in parts.

A key is in `data` or in `binaryData`, never in both. Compression is the same bytes for the same content.
"""

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from varnish_gateway_common import names
from varnish_gateway_common.document import digest
from varnish_gateway_common.parts import Part, RoutingParts, Secrets
from varnish_gateway_operator.resources.core import ConfigMap
from varnish_gateway_operator.translate.objects.shape import Before, Json, Wanted

LIMIT: Final = 1024 * 1024
"""Of all values of a ConfigMap, in Kubernetes."""
LARGEST_PLAIN: Final = 128 * 1024
"""Beyond, a document is compressed: so much text is no reading for people, and every pod is sent all of it."""
LARGEST_ROUTING: Final = 900 * 1024
"""Compressed; beyond, it is cut into parts."""
MOST_PARTS: Final = 8
MOST_PACKED: Final = (MOST_PARTS - 1) * LARGEST_ROUTING
"""What the rules may take when compressed; the rest of the document has what is left."""
GZIP: Final = 31
"""zlib's word for it; it writes no time."""


@dataclass(frozen=True)
class Value:
    """Of a key."""

    key: str
    content: bytes
    is_text: bool


@dataclass(frozen=True)
class RoutingMaps:
    """The keys and objects that routing.json comes to; none where it is too large, and the last good one stays."""

    values: tuple[Value, ...] = ()
    """For the base ConfigMap."""
    parts: tuple[bytes, ...] = ()
    problem: str | None = None


def routing_maps(wanted: Wanted) -> RoutingMaps:
    """Plain, compressed, or an index and parts."""
    value = _value(names.ROUTING, wanted.routing)
    if value.is_text or len(value.content) <= LARGEST_ROUTING:
        return RoutingMaps((value,))
    starts = range(0, len(value.content), LARGEST_ROUTING)
    parts = tuple(value.content[start : start + LARGEST_ROUTING] for start in starts)
    if len(parts) > MOST_PARTS:
        most = MOST_PARTS * LARGEST_ROUTING
        return RoutingMaps(problem=f"the routes take {len(value.content)} bytes when compressed, more than {most}")
    index = RoutingParts(
        version=1,
        digest=digest(wanted.routing),
        parts=tuple(
            Part(name=f"{wanted.base}{part_suffix(number)}", digest=digest(part)) for number, part in enumerate(parts)
        ),
    )
    return RoutingMaps((_value(names.ROUTING_PARTS, index.to_json()),), parts)


def part_suffix(number: int) -> str:
    return f"-routing-{number}"


def part_map(wanted: Wanted, number: int, part: bytes) -> Json:
    return _filled(wanted.manifest("v1", "ConfigMap", part_suffix(number)), [Value(names.PART, part, False)])


def documents(wanted: Wanted, secrets: Sequence[str]) -> tuple[Value, ...]:
    """The keys of the base ConfigMap that are not the routes'."""
    main = wanted.vcl if wanted.vcl is not None or wanted.before is None else wanted.before.vcl
    texts = {names.VCL: main, names.LAST_GOOD_VCL: last_good_vcl(wanted)}
    found = [_value(key, text.encode()) for key, text in texts.items() if text is not None]
    return (
        *found,
        _value(names.CERTIFICATES, wanted.certificates.to_json()),
        _value(names.SECRETS, Secrets(version=1, secrets=tuple(secrets)).to_json()),
    )


def last_good_vcl(wanted: Wanted) -> str | None:
    """The newest main.vcl that a pod is known to run; for want of one, what was known to be good before."""
    before = wanted.before or Before()
    for text in (wanted.vcl, before.vcl):
        if text is not None and digest(text.encode()) in wanted.confirmed:
            return text
    return before.last_good_vcl


def base_map(wanted: Wanted, values: Iterable[Value]) -> Json:
    return _filled(wanted.manifest("v1", "ConfigMap"), values)


def before_in(found: ConfigMap) -> Before:
    """What can be read of a ConfigMap that we wrote; nothing of what somebody has spoilt since."""
    return Before(_text(found, names.VCL), _text(found, names.LAST_GOOD_VCL))


def report_map(wanted: Wanted) -> Json:
    """Empty: pods fill it."""
    manifest = wanted.manifest("v1", "ConfigMap")
    return {**manifest, "metadata": {**manifest["metadata"], "name": names.report_of(wanted.base)}}


def size(values: Iterable[Value]) -> int:
    return sum(len(value.content) for value in values)


def _value(key: str, content: bytes) -> Value:
    if len(content) <= LARGEST_PLAIN:
        return Value(key, content, is_text=True)
    return Value(key, zlib.compress(content, wbits=GZIP), is_text=False)


def _text(found: ConfigMap, key: str) -> str | None:
    if key in found.data:
        return found.data[key]
    try:
        return _decompressed(found.binary_data[key]).decode()
    except (KeyError, ValueError, zlib.error):
        return None


def _decompressed(content: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=GZIP)
    found = stream.decompress(content, 4 * LIMIT)
    if not stream.eof:
        raise ValueError("not whole, or far too large")
    return found


def _filled(manifest: Json, values: Iterable[Value]) -> Json:
    """With data and binaryData, where there are any."""
    text = {value.key: value.content.decode() for value in values if value.is_text}
    binary = {value.key: base64.b64encode(value.content).decode() for value in values if not value.is_text}
    return {**manifest, **({"data": text} if text else {}), **({"binaryData": binary} if binary else {})}
