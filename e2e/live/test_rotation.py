"""Certificates change, HAProxy is reloaded, killed and drained, under load: not a request is lost.

`--load-seconds 60` is the long run.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle

import pytest

from documents import Documents
from front_rig import SERIALS, TLS, Front, documents
from live_rig import wait_for
from load import Load, serial
from varnish_gateway_common.certificates import Certificates
from varnish_gateway_common.document import digest

pytestmark = pytest.mark.live

ROTATION_SECONDS = 2.0
JUDGED_SECONDS = 10.0
"""A longer run has the machine for itself: what it takes is judged."""


@pytest.fixture
def restored(front: Front) -> Front:
    """With its own certificates, whatever the test before made of them."""
    front.gateway.load(front.documents)
    return front


def _swap(front: Front, number: int) -> float:
    """Give it a good certificate, wait until it is served, then a bad one in its place; how long the good one took."""
    good = documents(a=number)
    begun = time.monotonic()
    good.write(front.gateway.state, front.gateway.endpoints)
    wait_for("the new certificate", lambda: serial(front.address, TLS, "a.test") == number)
    took = time.monotonic() - begun
    print(f"served after {took:.3f} s")
    with_garbage(good, "default.a").write(front.gateway.state, front.gateway.endpoints)
    wait_for("the refusal", lambda: any("default.a" in one.message for one in front.gateway.report.refusals))
    assert serial(front.address, TLS, "a.test") == number, "the last good one stays"
    return took


def with_garbage(good: Documents, name: str) -> Documents:
    """The same with one certificate that is none."""
    pems = dict(good.pems) | {name: b"garbage"}
    index = Certificates.from_json(good.certificates)
    named = tuple(one.model_copy(update={"digest": digest(pems[one.name])}) for one in index.certificates)
    return replace(good, pems=pems, certificates=index.model_copy(update={"certificates": named}).to_json())


def test_good_and_bad_certificates_swapped_under_load(restored: Front, load_seconds: float) -> None:
    before = restored.gateway.processes
    end = time.monotonic() + load_seconds
    pace = 1.0 if load_seconds > JUDGED_SECONDS else 0.3
    with Load(restored.address, TLS, "a.test").running() as load:
        took: list[float] = []
        while time.monotonic() < end:
            took.append(_swap(restored, 1000 + len(took)))
            time.sleep(pace)
    print(f"{load.answered} answers on {load.connected} connections, {len(took)} swaps, {len(load.lost)} lost")
    assert load.lost == []
    assert load.answered > 20
    assert load_seconds <= JUDGED_SECONDS or max(took) < ROTATION_SECONDS
    assert restored.gateway.processes == before, "nothing was reloaded"


def test_certificates_come_and_go_without_a_reload(restored: Front) -> None:
    before = restored.gateway.processes
    other = "{name: c, protocol: HTTPS, port: 8443, hostname: c.test, tls: {certificateRefs: [{name: c}]}}\n  - "
    mark = "{name: balanced-tls"
    assert serial(restored.address, TLS, "c.test") == 0
    restored.gateway.load(documents((mark, other + mark), c=0xC))
    assert [serial(restored.address, TLS, name) for name in ("a.test", "c.test")] == [SERIALS["a"], 0xC]
    restored.gateway.load(restored.documents)
    assert [serial(restored.address, TLS, name) for name in ("a.test", "c.test")] == [SERIALS["a"], 0]
    assert restored.gateway.processes == before


@pytest.mark.parametrize("who", [0, 1], ids=["master", "worker"])
def test_a_killed_haproxy_is_replaced(restored: Front, who: int) -> None:
    before = restored.gateway.processes
    os.kill(before[who], signal.SIGKILL)
    wait_for("another HAProxy", lambda: _is_another(restored, before))
    wait_for("it to serve", lambda: serial(restored.address, TLS, "a.test") == SERIALS["a"])
    wait_for("the report", lambda: restored.gateway.report.is_serving)


def _is_another(front: Front, before: tuple[int, int]) -> bool:
    try:
        return not {*front.gateway.processes} & {*before}
    except (StopIteration, ValueError, OSError):
        return False


@contextmanager
def rotating(front: Front) -> Iterator[None]:
    """Another certificate, and another list of names, as fast as they are noticed."""
    made = [documents(("hostname: b.test", f"hostname: {name}.test"), a=number) for number, name in enumerate("uvw", 1)]
    is_over = threading.Event()

    def rotate() -> None:
        for given in cycle(made):
            given.write(front.gateway.state, front.gateway.endpoints)
            if is_over.wait(0.1):
                return

    with ThreadPoolExecutor(1) as pool:
        rotation = pool.submit(rotate)
        try:
            yield
        finally:
            is_over.set()
        rotation.result()


def test_reloads_and_a_drain_under_load(restored: Front) -> None:
    """The last one: it ends the gateway, while certificates go on changing."""
    with Load(restored.address, TLS, "a.test").running() as load:
        workers = {restored.gateway.processes[1]}
        for name in ("x.test", "y.test", "z.test"):
            restored.gateway.load(documents(("hostname: b.test", f"hostname: {name}")))
            workers.add(restored.gateway.processes[1])
        assert len(workers) == 4
        load.no_more_connections()
        answered = load.answered
        wait_for("some more answers", lambda: load.answered > answered + 20)
        with rotating(restored):
            assert restored.gateway.stop() == 0
    assert load.lost == []
    assert "connections are cut" not in restored.gateway.log.read_text()
