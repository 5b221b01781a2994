"""How large the head of a request or of an answer may be: one limit for every listener and every way to a backend."""

from typing import Annotated, Final

from pydantic import Field

from varnish_gateway_common.document import Document

MARGIN_BYTES: Final = 24 * 1024
"""varnishd and HAProxy take so much more than is allowed: ghost then answers what they would only cut off."""
OWN_FIELDS: Final = 16
"""What the gateway itself adds to a message, and what a user's VCL may add besides."""
FILTER_FIELDS: Final = 64
"""What the filters of a rule and of a backendRef can add: twice 16 that are set and 16 that are added."""

HeadBytes = Annotated[int, Field(ge=4096, le=262_144)]
Fields = Annotated[int, Field(ge=16, le=1000)]


class HeadLimits(Document):
    """Bytes are those of lines with their ends; beyond a limit a request is 414 or 431, an answer becomes 502."""

    request_line_bytes: Annotated[int, Field(ge=1024, le=65_536)] = 8192
    request_header_bytes: HeadBytes = 32_768
    request_header_fields: Fields = 64
    response_header_bytes: HeadBytes = 65_536
    response_header_fields: Fields = 128

    def to_environment(self) -> str:
        """JSON with every limit in it: who reads it needs no defaults."""
        return self.model_dump_json()

    @property
    def request_bytes_read(self) -> int:
        """As much of a request's head is read at most, before it is judged."""
        return self.request_line_bytes + self.request_header_bytes + MARGIN_BYTES

    @property
    def fields_read(self) -> int:
        """As many fields can any message have, those that are added on the way included."""
        return max(self.request_header_fields, self.response_header_fields) + OWN_FIELDS + FILTER_FIELDS

    @property
    def buffer_bytes(self) -> int:
        """One head of either kind, and what is added to it."""
        return max(self.request_bytes_read, self.response_header_bytes + MARGIN_BYTES)
