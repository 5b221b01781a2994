"""Hand-written VCL to compare with: what somebody would write for one kind of host, and what ghost does besides."""

from dataclasses import dataclass

ADDRESS = "127.30.0.1"
BACKEND_PORT = 18000

# The backend is a varnishd that answers everything itself: fast, and no other program to install.
BACKEND_VCL = """
vcl 4.1;
backend default none;
sub vcl_recv { return (synth(200)); }
sub vcl_synth { set resp.http.Content-Type = "text/plain"; set resp.body = "0123456789abcdef"; return (deliver); }
"""

HEAD = f"""
vcl 4.1;
import std;
backend default {{ .host = "{ADDRESS}"; .port = "{BACKEND_PORT}"; }}
"""

CHECKS = r"""
# One form of Host, and nothing odd in the target. (ghost resolves dot segments, where this refuses them.)
sub vcl_recv {
    if (req.http.host !~ "^[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*\.?(:[0-9]{0,5})?$") { return (synth(400)); }
    set req.http.host = std.tolower(regsub(req.http.host, "\.?(:[0-9]*)?$", ""));
    if (req.url !~ "^/" || req.url ~ "/(\.|%2[eE])|%00|%(?![0-9a-fA-F]{2})|[#[:cntrl:] ]") { return (synth(400)); }
}
"""

FORWARDED = """
# Nobody is trusted: what clients say of themselves goes, in the spellings that can be listed.
sub vcl_recv {
    unset req.http.Forwarded;
    unset req.http.X-Real-IP;
    unset req.http.X-Forwarded-Port;
    unset req.http.X-Forwarded-Server;
    unset req.http.X_Forwarded_For;
    unset req.http.X_Forwarded_Proto;
    unset req.http.X_Forwarded_Host;
    set req.http.X-Forwarded-For = client.ip;
    set req.http.X-Forwarded-Proto = "http";
    set req.http.X-Forwarded-Host = req.http.host;
}
"""

GATEWAY = """
sub vcl_recv {
    unset req.http.X-Gateway-Route;
    unset req.http.X_Gateway_Route;
    unset req.http.X_Gateway_Listener;
    set req.http.X-Gateway-Listener = "http-18080";
}
"""
ROUTE = 'set req.http.X-Gateway-Route = "default/r0";'

ROUTES = """
sub vcl_recv {
    if (req.http.host !~ "^host-[0-9]+\\.example\\.com$") { return (synth(404)); }
    if (req.url ~ "^/redirect(/|$)") { ROUTE return (synth(301)); }
    if (req.url ~ "^/page(/|$)") { ROUTE return (pass); }
    return (synth(404));
}
sub vcl_synth {
    if (resp.status == 301) { set resp.http.Location = "http://note.example.com" + req.url; }
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    set resp.body = "" + resp.status + " " + resp.reason + {"
"};
    return (deliver);
}
"""


@dataclass(frozen=True)
class Plain:
    """A VCL and what it does."""

    what: str
    vcl: str


def plain(what: str, *parts: str, route: str = "") -> Plain:
    return Plain(what, "".join((HEAD, *parts, ROUTES.replace("ROUTE", route))))


BARE = plain("routing alone")
STEPS = (
    BARE,
    plain("and Host and target checked", CHECKS),
    plain("and X-Forwarded-* set", CHECKS, FORWARDED),
    plain("and X-Gateway-* set", CHECKS, FORWARDED, GATEWAY, route=ROUTE),
)
EQUAL = STEPS[-1]
