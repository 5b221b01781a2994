"""A golden case as the live tests see it: its gateways' documents, its endpoints and its claims."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from clients import HTTP1, HTTP2, Request, connect, connect_tls
from documents import Documents, translated
from places import moved
from varnish_gateway_common import names
from varnish_gateway_common.ghost import Ghost
from varnish_gateway_common.manifests import parse

CASES = Path(__file__).parent.parent / "cases"
TOLERANCE = 0.12


@dataclass(frozen=True)
class Answer:
    """What the client got, and what the backend saw if one was asked."""

    status: int
    headers: dict[str, str]
    saw: dict[str, Any] | None


@dataclass(frozen=True)
class Case:
    folder: Path

    @cached_property
    def manifests(self) -> bytes:
        return moved((self.folder / "in.yaml").read_bytes())

    @cached_property
    def objects(self) -> list[Mapping[str, Any]]:
        return [manifest.content for manifest in parse(self.folder / "in.yaml", self.manifests).manifests]

    @property
    def has_claims(self) -> bool:
        return self._requests.exists()

    @property
    def _requests(self) -> Path:
        return self.folder / "requests.yaml"

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        return list(yaml.safe_load(moved(self._requests.read_bytes()))) if self.has_claims else []

    @cached_property
    def gateways(self) -> dict[str, Documents]:
        """`namespace/name` -> what the operator makes of it: its own tests compare that with the golden files."""
        return translated(self.manifests)

    @cached_property
    def services(self) -> dict[str, str]:
        """`address:port` of every endpoint -> `namespace/name` of its Service."""
        found: dict[str, str] = {}
        for item in self.objects:
            if item["kind"] != "EndpointSlice" or item["addressType"] == "FQDN":
                continue
            metadata = item["metadata"]
            service = f"{metadata.get('namespace', 'default')}/{metadata['labels']['kubernetes.io/service-name']}"
            for endpoint in item["endpoints"]:
                for address in endpoint["addresses"]:
                    found |= {f"{address}:{port['port']}": service for port in item["ports"]}
        return found

    def ghost(self, gateway: str) -> Ghost:
        return Ghost.from_json(moved((self.folder / "out" / gateway.replace("/", ".") / names.GHOST).read_bytes()))

    def gateway_of(self, claim: dict[str, Any]) -> str:
        return str(claim.get("gateway") or next(iter(self.gateways)))

    def check(self, claim: dict[str, Any], address: str) -> list[str]:
        """What is not as the claim says, over every protocol that its socket speaks; empty when all is."""
        sockets = self.gateways[self.gateway_of(claim)].sockets
        fronts = {(socket.protocol.lower(), socket.port): socket.front for socket in sockets}
        url = urlsplit(claim["get"])
        has_http2 = fronts.get((url.scheme, url.port or 80)) == "proxy"
        return [
            f"{protocol}: {line}"
            for protocol in ((HTTP1, HTTP2) if has_http2 else (HTTP1,))
            for line in self._check(claim, address, protocol)
        ]

    def _check(self, claim: dict[str, Any], address: str, protocol: str) -> list[str]:
        expect = claim.get("expect", {})
        answers = [_ask(claim, address, protocol) for _ in range(claim.get("repeat", 1))]
        wrong = []
        if shares := expect.get("shares"):
            wrong += self._check_shares(shares, answers)
        if endpoints := expect.get("endpoints"):
            wrong += _differ("endpoints", sorted(endpoints), sorted({a.saw["endpoint"] for a in answers if a.saw}))
        wrong += self._check_answer(expect, answers[-1], with_status=not shares)
        return [f"{claim['claim']}: {line}" for line in wrong]

    def _check_shares(self, shares: dict[str, float], answers: list[Answer]) -> list[str]:
        seen = Counter(self.services[a.saw["endpoint"]] if a.saw else str(a.status) for a in answers)
        wrong = [f"{name} answered, and should not" for name in seen if name not in shares]
        for name, share in shares.items():
            found = seen[name] / len(answers)
            if abs(found - share) > TOLERANCE or (share == 0 and found) or (share == 1 and found < 1):
                wrong.append(f"{name} has a share of {found:.2f}, not {share:.2f}")
        return wrong

    def _check_answer(self, expect: dict[str, Any], answer: Answer, *, with_status: bool) -> list[str]:
        wrong = _differ("status", expect.get("status", 200), answer.status) if with_status else []
        for name, value in expect.get("headers", {}).items():
            wrong += _differ(f"answer's {name}", value, answer.headers.get(name))
        asked: dict[str, Any] = {key: expect[key] for key in ("backend", "route", "path", "host") if key in expect}
        asked |= {f"request's {name}": value for name, value in expect.get("request_headers", {}).items()}
        if not asked:
            return wrong
        if answer.saw is None:
            return [*wrong, f"no backend was asked: status {answer.status}"]
        fields: dict[str, str] = {}
        for name, value in answer.saw["headers"]:
            fields[name] = f"{fields[name]},{value}" if name in fields else value
        found: dict[str, str | None] = {
            "backend": self.services.get(answer.saw["endpoint"]),
            "route": fields.get("x-gateway-route"),
            "path": answer.saw["path"],
            "host": fields.get("host"),
        }
        found |= {f"request's {name}": value for name, value in fields.items()}
        for key, value in asked.items():
            wrong += _differ(key, value, found.get(key))
        return wrong


def all_cases() -> list[Case]:
    return [Case(file.parent) for file in sorted(CASES.glob("*/in.yaml"))]


def _differ(what: str, wanted: object, found: object) -> list[str]:
    return [] if wanted == found else [f"{what} is {found!r}, not {wanted!r}"]


def _ask(claim: dict[str, Any], address: str, protocol: str) -> Answer:
    """On a connection of its own. Over TLS, HTTP/2 is offered beside HTTP/1.1: not every listener takes it."""
    url = urlsplit(claim["get"])
    target = claim["get"].split(url.netloc, 1)[1] or "/"
    fields = [(name.lower(), value) for name, value in claim.get("headers", [])]
    request = Request(url.netloc, target, claim.get("method", "GET"), fields, url.scheme)
    port = url.port or 80
    if url.scheme == "https":
        offered = (HTTP2, HTTP1) if protocol == HTTP2 else (HTTP1,)
        connection = connect_tls(address, port, claim.get("sni", url.hostname), *offered)
    else:
        connection = connect(address, port, protocol)
    with connection:
        reply = connection.ask(request)
    saw = json.loads(reply.body) if reply.fields.get("content-type") == "application/json" else None
    return Answer(reply.status, reply.fields, saw)
