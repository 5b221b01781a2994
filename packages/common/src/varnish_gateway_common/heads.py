"""How large the head of a request or of an answer may be, and the room that varnishd and HAProxy need for it (pure).

ghost judges heads, so both programs take a little more than is allowed: what is too large gets an answer.
"""

from typing import Annotated, Final

from pydantic import Field

from varnish_gateway_common.document import Document

KIB: Final = 1024
PAGE_BYTES: Final = 4 * KIB

MARGIN_BYTES: Final = 16 * KIB
"""So much more of a request is read than is allowed."""
OWN_FIELDS: Final = 16
"""The gateway adds so many fields to a message at most."""
FILTER_FIELDS: Final = 65
"""The filters of a rule and of a backend add so many at most; ghost takes no rule with more, nor with more bytes."""
FILTER_BYTES: Final = 16 * KIB
USER_FIELDS: Final = 40
"""A user's VCL may add so many."""

FIRST_LINE: Final = 5
"""http_max_hdr counts a request line or status line as so many."""
LISTS: Final = 3
LINE_BYTES: Final = 17
"""A task of varnishd has so many lists of lines, with so many bytes a line beside its text."""
LOG_BYTES: Final = 16 * KIB
"""vsl_buffer lies in the workspace."""
STRUCT_BYTES: Final = 4 * KIB
COPY_BYTES: Final = 48 * KIB
"""Copies of targets and forwarded fields, answers' fields, and what a user's VCL makes."""

HeadBytes = Annotated[int, Field(ge=4096, le=262_144)]
HeadFields = Annotated[int, Field(ge=16, le=1000)]


class HeadLimits(Document):
    """Bytes of fields are those of `Name: value` and the ends of lines. Beyond a limit a request is answered with 414
    or 431, and an answer becomes 502."""

    request_line_bytes: Annotated[int, Field(ge=1024, le=65_536)] = 8192
    request_header_bytes: HeadBytes = 32_768
    request_header_fields: HeadFields = 64
    response_header_bytes: HeadBytes = 65_536
    response_header_fields: HeadFields = 128

    def to_environment(self) -> str:
        """JSON with every limit in it: who reads it needs no defaults."""
        return self.model_dump_json()

    @property
    def request_bytes_read(self) -> int:
        """http_req_size."""
        return self.request_line_bytes + self.request_header_bytes + MARGIN_BYTES

    @property
    def fields_read(self) -> int:
        """One number for requests and answers, as varnishd has it, with all that is added on the way."""
        allowed = max(self.request_header_fields, self.response_header_fields)
        return allowed + OWN_FIELDS + FILTER_FIELDS + USER_FIELDS

    @property
    def workspace_bytes(self) -> int:
        """workspace_client. A body's first bytes fill what a request's head leaves of request_bytes_read."""
        lists = LISTS * LINE_BYTES * (self.fields_read + FIRST_LINE)
        needed = self.request_bytes_read + LOG_BYTES + STRUCT_BYTES + lists + COPY_BYTES
        return -(-needed // PAGE_BYTES) * PAGE_BYTES

    @property
    def buffer_bytes(self) -> int:
        """tune.bufsize of HAProxy: a head of either kind, with what is added to it."""
        return max(self.request_bytes_read, self.response_header_bytes + FILTER_BYTES + MARGIN_BYTES // 2)
