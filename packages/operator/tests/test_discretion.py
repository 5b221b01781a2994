"""No message tells more of a manifest than 40 characters of a text, and nothing at all of a Secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from operator_rig import CLASS, GATEWAY, route
from varnish_gateway_common.wording import MAX_QUOTED

KEY = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JR0hBZ0VBTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSEJHMHdhd0lCQVFRZ1FYRjdS"
WORD = 9
"""As many characters of a key as no message of ours has in a row by chance."""

IN_A_SECRET = {
    "a tag": "data: {tls.key: !KEY x}",
    "a tag of a mapping": "data: !KEY {tls.key: x}",
    "a long tag": "data: {tls.key: !<KEY> x}",
    "a tag with a handle": "data: {tls.key: !k!KEY x}",
    "an anchor": "data: {tls.key: &KEY }",
    "two anchors": "data: {tls.key: &KEY &KEY x}",
    "an alias": "data: {tls.key: *KEY}",
    "a key": "data: {KEY: }",
    "a key that stands twice": "data: {KEY: eA==, KEY: eA==}",
    "a field": "KEY: x",
    "a field of metadata": "metadata: {name: a, KEY: x}",
    "no base64": "data: {tls.key: KEY!}",
    "no base64 under an odd name": "data: {KEY: KEY!}",
    "a wrong type": "data: [KEY]",
    "a text for a mapping": "data: KEY",
    "a merged text": "data: {<<: KEY}",
    "a label": "metadata: {name: a, labels: {a: [KEY]}}",
    "a label's name": "metadata: {name: a, labels: {KEY: [1]}}",
    "the name": "metadata: {name: KEY}",
    "a wrong number": "data: {tls.key: !!int KEY}",
    "a wrong time": "data: {tls.key: !!binary KEY!}",
    "the type": "type: KEY",
    "immutable": "immutable: KEY",
    "a complex key": "data: {? [KEY] : x}",
    "two colons": "data:\n  tls.key: KEY: KEY",
    "a quote that is not closed": 'data: {tls.key: "KEY}',
    "an odd escape": 'data: {tls.key: "\\KEY"}',
    "a block": "data:\n  tls.key: |KEY",
    "a directive": "...\n%TAG !k! KEY KEY",
    "odd indentation": "data:\n    tls.crt: KEY\n  tls.key: KEY",
}

IN_ANOTHER = {
    "a route's host": route("[{}]", hostnames="[KEY]"),
    "a route's path": route("[{matches: [{path: {value: KEY}}]}]"),
    "a path's type": route("[{matches: [{path: {type: KEY}}]}]"),
    "a method": route("[{matches: [{method: KEY}]}]"),
    "a header": route("[{matches: [{headers: [{name: x, type: KEY, value: a}]}]}]"),
    "a filter": route("[{filters: [{type: KEY}]}]"),
    "a Service": route("[{backendRefs: [{name: KEY, port: 80}]}]"),
    "a kind of backend": route("[{backendRefs: [{kind: KEY, group: KEY, name: web, port: 80}]}]"),
    "a removed header": route(
        "[{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: ['a KEY']}}]}]"
    ),
    "a parent": route("[{}]").replace("name: gw", "name: KEY"),
    "a section": route("[{}]").replace("name: gw", "name: gw, sectionName: low"),
    "a kind": route("[{}]").replace("kind: HTTPRoute", "kind: KEY"),
    "a version": route("[{}]").replace("io/v1", "io/KEY"),
    "a group": route("[{}]").replace("gateway.networking.k8s.io/v1", "KEY/v1"),
    "an unknown field": route("[{KEY: 1}]"),
    "a number": route("[{backendRefs: [{name: web, port: KEY}]}]"),
    "a protocol": GATEWAY.replace("protocol: HTTP", "protocol: KEY").replace("name: gw", "name: two"),
    "a class": GATEWAY.replace("Name: varnish", "Name: low").replace("name: gw", "name: two"),
    "a controller": CLASS.replace("name: varnish", "name: two").replace("varnish-software.com", "KEY"),
    "an option": GATEWAY.replace(
        "port: 8080", "port: 8081, tls: {options: {KEY: a, gateway.varnish-software.com/alpn: KEY}}"
    ).replace("name: gw", "name: two"),
    "a reference to a Secret": GATEWAY.replace(
        "protocol: HTTP, port: 8080", "protocol: HTTPS, port: 8081, tls: {certificateRefs: [{name: KEY, kind: KEY}]}"
    ).replace("name: gw", "name: two"),
    "an address": GATEWAY.replace("listeners:", "addresses: [{type: KEY, value: KEY}]\n  listeners:").replace(
        "name: gw", "name: two"
    ),
    "an argument": (
        "apiVersion: gateway.varnish-software.com/v1alpha1\nkind: GatewayClassParameters\nmetadata: {name: a}\n"
        "spec: {varnishdExtraArgs: ['-TKEY'], extraVolumes: [{name: run}], clientAddress: {trustedNetworks: [KEY]}}\n"
    ),
}


def all_that_is_said(folder: Path, text: str, *, name: str = "in.yaml") -> str:
    """By one translation: the log, the list of mistakes, the statuses."""
    (folder / "in").mkdir()
    (folder / "in" / "gateway.yaml").write_text(GATEWAY)
    (folder / "in" / name).write_text(text)
    command = [sys.executable, "-m", "varnish_gateway_operator", "translate", str(folder / "in")]
    found = subprocess.run(
        [*command, "--out", str(folder / "out")], capture_output=True, text=True, timeout=60, check=False
    )
    statuses = (path.read_text() for path in (folder / "out" / "status").rglob("*.yaml"))
    assert "Traceback" not in found.stderr
    return found.stdout + found.stderr + "".join(statuses)


def pieces(text: str, length: int) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


def secret(line: str) -> str:
    metadata = "" if "metadata" in line else "metadata: {name: a}\n"
    return f"apiVersion: v1\nkind: Secret\n{metadata}{line}\n"


@pytest.mark.parametrize("line", IN_A_SECRET.values(), ids=IN_A_SECRET)
def test_nothing_of_a_secret_is_told(tmp_path: Path, line: str) -> None:
    said = all_that_is_said(tmp_path, secret(line.replace("KEY", KEY)))
    assert not [piece for piece in pieces(KEY, WORD) if piece in said]


@pytest.mark.parametrize("line", ["data: {tls.key: !KEY x}", "data: {tls.key: KEY!}", "data: {a: *KEY}", "KEY: [1"])
def test_nothing_of_a_secret_is_told_in_a_list_or_behind_other_documents(tmp_path: Path, line: str) -> None:
    within = "\n  ".join(secret(line.replace("KEY", KEY)).splitlines())
    said = all_that_is_said(tmp_path, f"{CLASS}\napiVersion: v1\nkind: List\nitems:\n- {within}\n")
    assert not [piece for piece in pieces(KEY, WORD) if piece in said]


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": {"tls.key": f"{KEY}!"}},
        {"data": [KEY]},
        {KEY: KEY},
        {"metadata": {"name": KEY}},
        {"stringData": {KEY: 1}},
    ],
)
def test_nothing_of_a_secret_in_json_is_told(tmp_path: Path, wrong: dict[str, object]) -> None:
    content = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, **wrong}
    said = all_that_is_said(tmp_path, json.dumps(content), name="in.json")
    assert "Secret default/" in said
    assert not [piece for piece in pieces(KEY, WORD) if piece in said]


@pytest.mark.parametrize("tail", ["}", '"', "\\", ",}", '{"a": 1, "a": 2}'])
def test_nothing_of_broken_json_is_told(tmp_path: Path, tail: str) -> None:
    said = all_that_is_said(tmp_path, f'{{"kind": "Secret", "data": {{"tls.key": "{KEY}{tail}', name="in.json")
    assert not [piece for piece in pieces(KEY, WORD) if piece in said]


@pytest.mark.parametrize("text", IN_ANOTHER.values(), ids=IN_ANOTHER)
def test_a_long_text_of_any_other_object_is_cut(tmp_path: Path, text: str) -> None:
    said = all_that_is_said(tmp_path, text.replace("KEY", KEY).replace("low", KEY.lower().rstrip("=")))
    too_long = pieces(KEY, MAX_QUOTED + 1) | pieces(KEY.lower(), MAX_QUOTED + 1)
    kept = "\n".join(
        line for line in said.splitlines() if not line.strip().startswith(("name:", "- parentRef", "sect"))
    )
    assert not [piece for piece in too_long if piece in kept]


def test_a_key_in_a_kind_that_nobody_reads_is_not_told(tmp_path: Path) -> None:
    text = f"apiVersion: v1\nkind: Secrets\nmetadata: {{name: a}}\ndata: {{tls.key: !{KEY} x}}\n"
    said = all_that_is_said(tmp_path, text)
    assert not [piece for piece in pieces(KEY, WORD) if piece in said]
