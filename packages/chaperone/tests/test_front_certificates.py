"""Certificates in a real HAProxy: which one a client gets, how they come, change and go, and bad ones."""

import asyncio
import shutil
import ssl
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certificate_authority import certificate, key_pem, pem
from chaperone_rig import Rig
from https_rig import A, B, HttpsLoad, context, curl, inputs, serial
from varnish_gateway_chaperone.haproxy import runtime
from varnish_gateway_chaperone.haproxy.runtime import HaproxyLostError, Runtime
from varnish_gateway_chaperone.haproxy.vetting import Vetting
from varnish_gateway_common.certificates import Entry

pytestmark = pytest.mark.live


async def test_server_names(rig: Rig) -> None:
    given = inputs(rig, A, B, a=pem("a.test", serial=11), b=pem("b.test", serial=22))
    await rig.serve(given)
    assert [serial(rig, name) for name in ("a.test", "x.b.test", "A.TEST")] == [11, 22, 11]
    assert [serial(rig, name) for name in ("c.test", "b.test", None)] == [0, 0, 0]
    default = Entry(certificate="c")
    await rig.serve(inputs(rig, A, B, default, c=pem("c.test", serial=33), **given.pems))
    assert [serial(rig, name) for name in ("a.test", "x.b.test", "c.test", None)] == [11, 22, 33, 33]
    await rig.serve(inputs(rig, A, B, default, c=pem("c.test", serial=34), **given.pems))
    assert [serial(rig, name) for name in ("a.test", "c.test", None)] == [11, 34, 34]
    assert rig.front.reloads == 1, "for the default alone, not for its rotation"


async def test_several_certificates_for_one_name(rig: Rig) -> None:
    """The first; of two kinds of key, the one that the client can use."""
    pems = {name: pem("a.test", serial=number) for name, number in (("a", 11), ("b", 22))}
    pems["r"] = pem("a.test", serial=33, key=rsa.generate_private_key(65537, 2048))
    entries = tuple(Entry(certificate=name, server_names=("a.test",)) for name in pems)
    await rig.serve(inputs(rig, *entries, **pems))
    assert serial(rig, "a.test") == 11
    only_rsa = context()
    only_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
    only_rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    assert serial(rig, "a.test", only_rsa) == 33


async def test_versions_and_protocols_by_entry(rig: Rig) -> None:
    strict = A.model_copy(update={"min_version": "TLSv1.3", "alpn": ("http/1.1",)})
    await rig.serve(inputs(rig, strict, B, a=pem("a.test"), b=pem("b.test", serial=22)))
    for name, minimum, code in (("a.test", "1.2", 35), ("a.test", "1.3", 0), ("x.b.test", "1.2", 0)):
        to = f"{name}:8443:{rig.address}"
        most = ("--tls-max", minimum, "--resolve", to, f"https://{name}:8443/")
        assert (await curl("--http2", *most))[0] == code, (name, minimum)
    _, said = await curl("--http2", "--resolve", f"a.test:8443:{rig.address}", "https://a.test:8443/")
    assert said.startswith("HTTP/1.1")


async def test_a_rotation_under_load_loses_nothing(rig: Rig) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=100)))
    assert rig.front.haproxy
    worker = rig.front.haproxy.worker
    load = HttpsLoad(rig)
    clients = load.start(True, False, True)
    for number in range(101, 111):
        changed = inputs(rig, A, a=pem("a.test", serial=number))
        await rig.rounds.round(changed)
        assert await asyncio.to_thread(serial, rig, "a.test") == number
        await rig.rounds.round(inputs(rig, A, a=b"garbage"))
        assert "a.pem: holds no certificate" in rig.refusals()["certificates"]
        assert rig.rounds.report.certificates_digest not in {"", rig.rounds.report.refusals[0].digest}
    assert rig.front.haproxy.worker == worker
    load.close()
    await rig.serving.end()
    await asyncio.gather(*clients)
    assert load.lost == []
    assert load.answered > 20
    assert rig.front.reloads == 0


async def test_certificates_come_and_go(rig: Rig) -> None:
    a, b = pem("a.test", serial=11), pem("b.test", serial=22)
    await rig.serve(inputs(rig))
    assert serial(rig, "a.test") == 0
    bare = "socket https-8443 has no certificate: nobody is served there"
    assert len(rig.lines.said(bare)) == 1
    for entries, pems, wanted in (
        ((A,), {"a": a}, [11, 0]),
        ((A, B), {"a": a, "b": b}, [11, 22]),
        ((B,), {"b": b}, [0, 22]),
        ((A, B), {"a": a, "b": b}, [11, 22]),
    ):
        await rig.serve(inputs(rig, *entries, **pems))
        assert [serial(rig, name) for name in ("a.test", "x.b.test")] == wanted
        assert {file.stem for file in (rig.paths.run / "certificates").iterdir()} == set(pems)
    assert rig.front.reloads == 0
    assert rig.front.updates > 5
    assert len(rig.lines.said("mended: socket https-8443 has a certificate")) == 1
    await rig.serve(inputs(rig))
    assert [line["level"] for line in rig.lines.said(bare)] == ["error"] * 2, "it serves none any more"
    assert all(file.stat().st_mode & 0o77 == 0 for file in (rig.paths.run / "certificates").iterdir())


async def test_what_cannot_be_said_in_steps_is_a_reload(rig: Rig) -> None:
    a = pem("a.test", serial=11)
    await rig.serve(inputs(rig, A, a=a))
    await rig.serve(inputs(rig, A.model_copy(update={"server_names": ("c.test",)}), a=a))
    assert [serial(rig, name) for name in ("a.test", "c.test")] == [0, 11]
    chain = a + b"".join(pem(f"{number}.test").split(b"-----BEGIN PRIVATE")[0] for number in range(80))
    assert len(chain) > runtime.MAX_PAYLOAD
    await rig.serve(inputs(rig, A, a=chain.replace(a, pem("a.test", serial=12))))
    assert serial(rig, "a.test") == 12
    word = b"\n%EOF%\nshutdown frontend https-8443\n"
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=13).replace(b"\n-----BEGIN PRIV", word + b"-----BEGIN PRIV")))
    assert serial(rig, "a.test") == 13, "a comment is not a command"
    assert (rig.front.reloads, rig.front.restarts) == (3, 0), [str(event) for event in rig.lines.events]


class Committing:
    """HAProxy's real runtime API, in which no certificate can be committed."""

    def __init__(self, runtime: Runtime, outcome: str | HaproxyLostError) -> None:
        self._runtime, self._outcome = runtime, outcome
        self.ask_master = runtime.ask_master

    async def ask(self, command: str, payload: str | None = None) -> str:
        if not command.startswith("commit ssl cert"):
            return await self._runtime.ask(command, payload)
        if isinstance(self._outcome, HaproxyLostError):
            raise self._outcome
        return self._outcome


async def test_what_haproxy_itself_refuses_costs_only_itself(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.serve(inputs(rig, A, B, a=pem("a.test", serial=11), b=pem("b.test", serial=21)))
    haproxy = rig.front.haproxy
    assert haproxy
    refused = inputs(rig, A, B, a=pem("a.test", serial=12), b=pem("b.test", serial=21))
    with monkeypatch.context() as patched:
        patched.setattr(haproxy, "runtime", Committing(haproxy.runtime, "it is odd"))
        await rig.rounds.round(refused)
    assert "it is odd" in rig.refusals()["certificates"]
    assert serial(rig, "a.test") == 11
    await rig.rounds.round(refused)
    assert serial(rig, "a.test") == 11, "it is not tried again"
    await rig.serve(inputs(rig, A, B, a=pem("a.test", serial=13), b=pem("b.test", serial=22)))
    assert [serial(rig, name) for name in ("a.test", "x.b.test")] == [13, 22]
    assert rig.front.restarts == 0


async def test_a_haproxy_that_is_lost_in_the_middle_of_a_change_is_replaced(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.serve(inputs(rig, A, a=pem("a.test", serial=11)))
    haproxy, given = rig.front.haproxy, inputs(rig, A, a=pem("a.test", serial=12))
    assert haproxy
    monkeypatch.setattr(haproxy, "runtime", Committing(haproxy.runtime, HaproxyLostError("connection reset")))
    await rig.until(given, lambda: rig.front.restarts == 1)
    await rig.serve(given)
    assert serial(rig, "a.test") == 12
    assert rig.lines.said("HAProxy does not answer and is killed")


def bad_pems() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    good = certificate(key, "a.test")
    return {
        "holds no certificate": b"garbage",
        "holds no private key": good,
        "holds an encrypted key": good + key_pem(key, b"secret"),
        "the key is not the certificate's": good + key_pem(ec.generate_private_key(ec.SECP256R1())),
        "OpenSSL refuses it": (good + key_pem(key)).replace(b"M", b"-"),
    }


def test_bad_certificates_are_told_apart() -> None:
    for reason, content in bad_pems().items():
        assert Vetting().mistakes({"a": content})["a"].startswith(reason)
    assert Vetting().mistakes({"a": pem("a.test")}) == {}


async def test_a_bad_certificate_from_the_start_leaves_the_others_serving(rig: Rig) -> None:
    given = inputs(rig, A, B, a=b"garbage", b=pem("b.test", serial=22))
    await rig.until(given, lambda: rig.rounds.is_serving)
    assert [serial(rig, name) for name in ("a.test", "x.b.test")] == [0, 22]
    assert "a.pem" in rig.refusals()["certificates"]
    assert rig.rounds.report.certificates_digest == ""
    await rig.serve(inputs(rig, A, B, a=pem("a.test", serial=11), b=given.pems["b"]))
    assert serial(rig, "a.test") == 11
    assert rig.rounds.report.certificates_digest


async def test_a_chaperone_that_starts_again_has_the_last_good_certificates(rig: Rig) -> None:
    given = inputs(rig, A, a=pem("a.test", serial=11))
    await rig.serve(given)
    await rig.serving.end()
    again = Rig.__new__(Rig)
    again.__init__(rig.paths.run.parent / "other")  # type: ignore[misc]
    shutil.copytree(rig.paths.run, again.paths.run, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    try:
        await again.until(replace(given, certificates=b"{", pems={}), lambda: again.rounds.is_serving)
        assert serial(again, "a.test") == 11
        assert "certificates" in again.refusals()
    finally:
        again.serving.hasten.set()
        await again.serving.end()
