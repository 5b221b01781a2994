"""The HAProxy of one gateway: started when varnishd serves, watched, given certificates, emptied."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from varnish_gateway_chaperone.haproxy import runtime as api
from varnish_gateway_chaperone.haproxy.certificates import (
    Add,
    Attach,
    Detach,
    Drop,
    ParsedCertificates,
    Replace,
    Step,
    Tls,
    steps,
    wanted,
)
from varnish_gateway_chaperone.haproxy.configuration import list_line, proxied
from varnish_gateway_chaperone.haproxy.daemon import FrontError, FrontProgram, Haproxy
from varnish_gateway_chaperone.haproxy.runtime import HaproxyError, HaproxyRefusedError
from varnish_gateway_chaperone.haproxy.vetting import Vetting
from varnish_gateway_chaperone.logs import Log
from varnish_gateway_chaperone.merge import ParsedPod
from varnish_gateway_chaperone.supervisor.liveness import Misses
from varnish_gateway_chaperone.supervisor.supervised import Supervised
from varnish_gateway_chaperone.varnish.daemon import ports_in_use
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.pod import Pod
from varnish_gateway_common.report import Refusal

ANSWER_SECONDS: Final = 2.0
"""For the answer to a question that has been sent."""
POLL_SECONDS: Final = 0.05
STOP_SECONDS: Final = 2.0
MAX_SAID: Final = 5


Load = Callable[[api.Runtime, Path, bytes], Awaitable[None]]


class Front:
    """One HAProxy at a time, and the certificates that it serves."""

    def __init__(self, program: FrontProgram, log: Log, wake: Callable[[], None]) -> None:
        self._program = program
        self._log = log
        self._vetting = Vetting()
        self._one = Supervised[Haproxy]("HAProxy", self._look, log, wake)
        self._misses = Misses()
        self._is_reloading = False
        self._pems: Mapping[str, bytes] = {}
        self._applied: ParsedCertificates | None = None
        self._bare: frozenset[str] = frozenset()
        """Sockets without a certificate."""
        self.certificates_refusal: Refusal | None = None
        self.certificates_digest = ""
        self.reloads = 0
        self.updates = 0
        self.refusals = 0

    @property
    def haproxy(self) -> Haproxy | None:
        """The one that runs."""
        return self._one.current

    @property
    def refusal(self) -> Refusal | None:
        """Of the pod.json that HAProxy does not start with."""
        return self._one.refusal

    @property
    def restarts(self) -> int:
        """How often HAProxy had to be started again."""
        return self._one.restarts

    @property
    def retry_seconds(self) -> float | None:
        """When to try again; None: nothing is due."""
        return self._one.retry_seconds

    def serves(self, pod: Pod) -> bool:
        """Whether every socket that needs HAProxy has it."""
        if not proxied(pod):
            return True
        return self.haproxy is not None and self.haproxy.is_running and self.haproxy.pod.pod.sockets == pod.sockets

    async def check(self, pod: Pod) -> None:
        """Raises FrontError when HAProxy would not start for this pod.json."""
        if proxied(pod):
            await self._program.check(pod)

    async def ensure(self, pod: ParsedPod, certificates: ParsedCertificates | None) -> None:
        """HAProxy for this pod.json, with these certificates. Raises OSError for a full disk."""
        if self.haproxy and not self.haproxy.is_running:
            await self._one.bury(self.haproxy)
            self._one.current = None
        if not proxied(pod.pod):
            self._took(certificates)
            return
        if self.haproxy and self._applied is certificates:
            return
        if self.haproxy:
            await self._change(self.haproxy, certificates, await self._target(pod.pod, certificates))
        elif self._one.is_due():
            await self._start(pod, certificates)
        if self.haproxy and self.haproxy.is_running:
            self._took(certificates)

    async def _target(self, pod: Pod, certificates: ParsedCertificates | None) -> Tls:
        """A certificate that cannot be used keeps its last good content, or is left out: the others are served."""
        offered = certificates.pems if certificates else {}
        mistakes = await asyncio.to_thread(self._vetting.mistakes, offered)
        self._say(certificates, mistakes)
        kept = {name: self._pems[name] for name in mistakes if name in self._pems}
        usable = {name: pem for name, pem in offered.items() if name not in mistakes}
        return wanted(certificates, _tls_sockets(pod), usable | kept)

    def _say(self, certificates: ParsedCertificates | None, mistakes: Mapping[str, str]) -> None:
        if certificates is None or not mistakes:
            self.certificates_refusal = None
            return
        said = [f"certificates/{name}.pem: {reason}" for name, reason in sorted(mistakes.items())]
        more = f"; and {len(said) - MAX_SAID} more" if len(said) > MAX_SAID else ""
        self._refuse(certificates, "; ".join(said[:MAX_SAID]) + more)

    def _refuse(self, certificates: ParsedCertificates | None, message: str) -> None:
        wanted_digest = certificates.digest if certificates else ""
        refusal = Refusal(input="certificates", digest=wanted_digest, message=message)
        self.refusals += refusal != self.certificates_refusal
        self.certificates_refusal = refusal

    def _took(self, certificates: ParsedCertificates | None) -> None:
        self._applied = certificates
        bare = _bare_sockets(certificates)
        for socket in sorted(bare - self._bare):
            self._log.error(f"socket {socket} has no certificate: nobody is served there")
        for socket in sorted(self._bare - bare):
            self._log.info(f"mended: socket {socket} has a certificate")
        self._bare = bare
        if certificates and self.certificates_refusal is None:
            self.certificates_digest = certificates.digest
            write_if_changed(self._program.paths.last_good, certificates.content, is_durable=False)

    async def _start(self, pod: ParsedPod, certificates: ParsedCertificates | None) -> None:
        begun = time.monotonic()
        try:
            taken = ports_in_use(proxied(pod.pod), self._program.address)
            if taken:
                raise FrontError(f"port {taken[0]} of {self._program.address} is in use by another process")
            haproxy = await self._started(pod, certificates)
        except FrontError as error:
            self._one.failed(pod.digest, str(error))
            return
        self._pems = haproxy.tls.pems
        self._misses = Misses()
        self._one.confirm()
        self._one.started(haproxy)
        milliseconds = round(1000 * (time.monotonic() - begun))
        self._log.info(f"HAProxy serves {len(self._pems)} certificates after {milliseconds} ms")

    async def _started(self, pod: ParsedPod, certificates: ParsedCertificates | None) -> Haproxy:
        """With all of them, since looking at a thousand takes as long as serving them; without the bad ones if need be.

        Raises FrontError.
        """
        everything = wanted(certificates, _tls_sockets(pod.pod), certificates.pems if certificates else {})
        try:
            haproxy = await self._program.start(pod, everything, self._log)
        except FrontError:
            target = await self._target(pod.pod, certificates)
            if target == everything:
                raise
            return await self._program.start(pod, target, self._log)
        self._vetting.trust(everything.pems)
        self._say(certificates, {})
        return haproxy

    async def _change(self, haproxy: Haproxy, certificates: ParsedCertificates | None, target: Tls) -> None:
        """Files first, then step by step what can be said so; the rest, and what went wrong, is a reload."""
        plan = steps(haproxy.tls, target)
        if plan == ():
            haproxy.tls = target
            return
        begun = time.monotonic()
        await self._program.write(haproxy.pod.pod, haproxy.tls, target)
        try:
            how = await self._bring(haproxy, plan, target)
        except HaproxyRefusedError as error:
            self._refuse(certificates, str(error))
            await self._undo(haproxy, target)
            return
        except HaproxyError as error:
            await self._one.lost(haproxy, str(error))
            return
        haproxy.tls, self._pems = target, target.pems
        milliseconds = round(1000 * (time.monotonic() - begun))
        self._log.info(f"certificates are in use after {milliseconds} ms", by=how, number=len(target.pems))

    async def _bring(self, haproxy: Haproxy, plan: tuple[Step, ...] | None, target: Tls) -> str:
        new = [step.name for step in plan or () if isinstance(step, Add | Replace)]
        if plan is not None and all(api.takes(target.pems[name]) for name in new):
            for step in plan:
                await self._step(haproxy, step, target)
            self.updates += len(plan)
            return "update"
        await self._reload(haproxy)
        return "reload"

    async def _reload(self, haproxy: Haproxy) -> None:
        """With thousands of certificates it takes its time; it has a limit of its own. Raises HaproxyError."""
        self._is_reloading = True
        try:
            await api.reload(haproxy.runtime)
        finally:
            self._is_reloading = False
        self.reloads += 1

    async def _step(self, haproxy: Haproxy, step: Step, target: Tls) -> None:
        paths, runtime = self._program.paths, haproxy.runtime
        match step:
            case Add(name):
                await self._load(api.new_certificate, haproxy, name, target.pems[name])
            case Replace(name):
                await self._load(api.set_certificate, haproxy, name, target.pems[name])
            case Attach(socket, entry):
                await api.attach(runtime, paths.list(socket), list_line(entry, paths))
            case Detach(socket, name):
                await api.detach(runtime, paths.list(socket), paths.certificate(name))
            case Drop(name):
                await api.del_certificate(runtime, paths.certificate(name))

    async def _load(self, load: Load, haproxy: Haproxy, name: str, pem: bytes) -> None:
        try:
            await load(haproxy.runtime, self._program.paths.certificate(name), pem)
        except HaproxyRefusedError as error:
            self._vetting.refuse(pem, f"HAProxy refuses it: {error}")
            raise

    async def _undo(self, haproxy: Haproxy, target: Tls) -> None:
        """HAProxy refuses: the files become those of before, and a reload makes it what they say."""
        await self._program.write(haproxy.pod.pod, target, haproxy.tls)
        try:
            await self._reload(haproxy)
        except HaproxyError as error:
            await self._one.lost(haproxy, str(error))

    async def _look(self, haproxy: Haproxy) -> None:
        """While one worker follows another, a question may be lost, and the master answers none."""
        begun = time.monotonic()
        try:
            await haproxy.look(ANSWER_SECONDS)
        except HaproxyError as error:
            self._misses = Misses() if self._is_reloading else self._misses.and_one(begun)
            if haproxy.is_running and self._misses.are_a_hang(time.monotonic()):
                reason, questions = str(error), self._misses.number
                self._log.error("HAProxy does not answer and is killed", reason=reason, questions=questions)
                await haproxy.kill()
        else:
            self._misses = Misses()

    def soft_stop(self) -> None:
        """No new connections from now on."""
        self._one.unwatch()
        if self.haproxy:
            self.haproxy.soft_stop()

    async def await_end(self, seconds: float, quiet_seconds: float, hasten: asyncio.Event) -> None:
        """Until its connections have ended, or are idle, or the time is over; then it is stopped."""
        haproxy = self.haproxy
        if haproxy is None:
            return
        begun = quiet_since = time.monotonic()
        before = ""
        while haproxy.is_running and not hasten.is_set() and time.monotonic() - begun < seconds:
            busy, now = await self._activity(haproxy), time.monotonic()
            if busy is None or busy != before or not busy.startswith("0 "):
                before, quiet_since = busy or "", now
            if now - quiet_since >= quiet_seconds:
                self._log.info("HAProxy's idle connections are closed")
                break
            await asyncio.sleep(POLL_SECONDS)
        else:
            if haproxy.is_running:
                self._log.warning(f"HAProxy's connections are cut: not ended within {seconds:g} s")
        await self.stop()

    async def stop(self) -> None:
        """At once; the next `ensure` starts another one."""
        self._one.unwatch()
        if self.haproxy:
            await self.haproxy.child.stop(STOP_SECONDS)
        self._one.current = None
        self._one.at_once()

    async def _activity(self, haproxy: Haproxy) -> str | None:
        """`<requests in progress> <requests so far>`; None when a stopping worker cannot be asked."""
        try:
            rows = api.parsed_statistics(await haproxy.runtime.ask_master(f"@!{haproxy.worker} show stat"))
        except HaproxyError:
            return None
        busy = sum(int(row["scur"] or 0) for row in rows if row.get("svname") == "BACKEND")
        total = sum(int(row.get("req_tot") or 0) for row in rows if row.get("svname") == "FRONTEND")
        return f"{busy} {total}" if rows else None


def _bare_sockets(certificates: ParsedCertificates | None) -> frozenset[str]:
    sockets = certificates.index.sockets if certificates else ()
    return frozenset(socket.name for socket in sockets if not socket.entries)


def _tls_sockets(pod: Pod) -> tuple[str, ...]:
    return tuple(socket.name for socket in proxied(pod) if socket.protocol == "HTTPS")
