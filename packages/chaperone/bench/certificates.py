"""How long HAProxy takes to serve N certificates from nothing, and to take one rotation among them.

python packages/chaperone/bench/certificates.py [N]        (VARNISH_GATEWAY_HAPROXY names HAProxy)
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certificate_authority import index, pem
from varnish_gateway_chaperone.front import Front
from varnish_gateway_chaperone.haproxy.certificates import parse_certificates
from varnish_gateway_chaperone.haproxy.configuration import FrontPaths
from varnish_gateway_chaperone.haproxy.daemon import FrontProgram, limits
from varnish_gateway_chaperone.logs import configure
from varnish_gateway_chaperone.merge import ParsedPod, parse_pod
from varnish_gateway_common.certificates import Entry
from varnish_gateway_common.pod import Pod, PodSocket

HTTPS = PodSocket(name="https-8443", port=8443, protocol="HTTPS", front="proxy")


async def measure(number: int, run: Path) -> None:
    names = [f"c{position}" for position in range(number)]
    pems = {name: pem(f"{name}.test") for name in names}
    entries = tuple(Entry(certificate=name, server_names=(f"{name}.test",)) for name in names)
    pod = parse_pod(Pod(version=1, gateway="default/gw", sockets=(HTTPS,)).to_json())
    program = FrontProgram(os.environ["VARNISH_GATEWAY_HAPROXY"], FrontPaths(run), "127.9.9.9", limits(1))
    front = Front(program, configure(is_verbose=False), lambda: None)
    content = index(pems, entries)
    print(f"start with {number} certificates: {await timed(front, pod, content, pems):.2f} s")
    assert front.haproxy
    status = Path(f"/proc/{front.haproxy.worker}/status").read_text()  # noqa: ASYNC240 - nothing else runs here
    print("worker:", next(line for line in status.splitlines() if line.startswith("VmRSS")))
    changed = pems | {names[-1]: pem(f"{names[-1]}.test", serial=2)}
    print(f"one rotation among them: {1000 * await timed(front, pod, index(changed, entries), changed):.0f} ms")
    print(f"reloads: {front.reloads}, updates: {front.updates}")
    await front.stop()


async def timed(front: Front, pod: ParsedPod, content: bytes, pems: dict[str, bytes]) -> float:
    """From the bytes of the documents to being served."""
    begun = time.perf_counter()
    await front.ensure(pod, parse_certificates(content, pems))
    return time.perf_counter() - begun


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, Path(folder)))
