"""certificates.json: which certificate answers on which socket for which server name (SNI).

The certificates themselves are files beside it, `certificates/<name>.pem`: chain first, then the key. A name stays when
its content changes, so that a rotation replaces a file and touches no connection.
"""

from typing import Literal

from varnish_gateway_common.document import Document


class Certificate(Document):
    """A file."""

    name: str
    """File name without `.pem`: letters, digits, `-`, `_` and `.` only."""
    digest: str
    """Of the file's bytes."""


class Entry(Document):
    """A certificate's place on a socket; of several that fit a server name, the first answers."""

    certificate: str
    """The certificate's name."""
    server_names: tuple[str, ...] = ()
    """Exact names and wildcards, lower-case; none: any server name, and clients that send none."""
    min_version: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    alpn: tuple[Literal["h2", "http/1.1"], ...] = ("h2", "http/1.1")


class TlsSocket(Document):
    """The certificates of a socket, the most specific server names first. A name that fits none is refused."""

    name: str
    entries: tuple[Entry, ...] = ()


class Certificates(Document):
    """The whole document."""

    version: Literal[1]
    certificates: tuple[Certificate, ...] = ()
    sockets: tuple[TlsSocket, ...] = ()
