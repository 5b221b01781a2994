"""Desired against applied: what differs is reloaded, what is refused leaves the last good one running.

ghost.json   candidate file -> POST reload -> the digest that ghost answers with -> renamed
main.vcl     vcl.load -> vcl.use -> serves -> kept as last-good.vcl
"""

import os
from contextlib import suppress
from pathlib import Path

from varnish_gateway_chaperone.merge import DocumentError, Merged, ParsedRouting, merged_of, mistake_in
from varnish_gateway_chaperone.varnish.arguments import Paths
from varnish_gateway_chaperone.varnish.ghost import Ghost, GhostLostError, GhostRefusedError, Running
from varnish_gateway_chaperone.varnish.vcl import VclError, Vcls
from varnish_gateway_common.document import digest
from varnish_gateway_common.files import write_if_changed
from varnish_gateway_common.report import Refusal


class GhostReload:
    """What ghost runs, and how it gets the next."""

    def __init__(self, ghost: Ghost, paths: Paths) -> None:
        self._ghost = ghost
        self._paths = paths
        self._is_seed = False
        self._refused = ""
        self._good: Merged | None = None
        self.running: Running | None = None
        self.applied: Merged | None = None
        self.refusal: Refusal | None = None
        self.reloads = 0
        self.refusals = 0

    @property
    def has_file(self) -> bool:
        """Whether a ghost that starts finds something to serve."""
        return self._paths.ghost.exists()

    def seed(self, merged: Merged) -> None:
        """The very first ghost.json, when no ghost runs that could be asked. Raises OSError."""
        if not self.has_file:
            _write(self._paths.ghost, merged.content)
            self._is_seed = True

    def choose(self, wanted: ParsedRouting) -> ParsedRouting:
        """The wanted routing; while ghost refuses it, the last one that it took, whose endpoints go on changing."""
        if self.refusal and self.refusal.digest != wanted.digest:
            self.refusal = None
        return self._good.routing if self.refusal and self._good else wanted

    async def apply(self, merged: Merged) -> bool:
        """Make ghost run it; True when it did not before. Raises GhostLostError, and OSError for a full disk."""
        is_new_process = self.running is None
        running = self.running or await self._ask()
        if self.applied is not None and merged.digest == self.applied.digest:
            return is_new_process
        if merged.digest == self._refused:
            return False
        if running.digest != merged.digest:
            return await self._reload(merged)
        self._took(merged, running)
        return True

    @property
    def unusable(self) -> tuple[Refusal, ...]:
        """Endpoints that ghost leaves out."""
        found = self.running.unusable if self.running else ()
        messages = (f"{endpoint.address!r} of {endpoint.service} is no address" for endpoint in found)
        return tuple(Refusal(input="endpoints", digest="", message=message) for message in messages)

    async def adopt(self) -> None:
        """Before there is anything to apply: what an earlier chaperone left serves. Raises GhostLostError."""
        if self.running is None:
            await self._ask()
            if self.applied is None:
                self._adopt()

    def forget(self) -> None:
        """Another process serves: ask it anew what it runs."""
        self.running = None
        self.applied = None

    async def _ask(self) -> Running:
        """What a new process runs: the last good one, when it read ghost.json, though a newer one was refused."""
        self.running = await self._ghost.status()
        if self._good is not None and self.running.digest == self._good.digest:
            self.applied = self._good
        return self.running

    async def _reload(self, merged: Merged) -> bool:
        _write(self._paths.ghost_candidate, merged.content)
        try:
            running = await self._ghost.reload()
        except GhostRefusedError as refused:
            self._refuse(merged, str(refused))
            return False
        if running.digest != merged.digest:
            raise GhostLostError(f"ghost runs {running.digest[:12]}, not {merged.digest[:12]}")
        self._paths.ghost_candidate.replace(self._paths.ghost)
        self._took(merged, running)
        return True

    def _took(self, merged: Merged, running: Running) -> None:
        self.running = running
        self.applied = self._good = merged
        self._refused = ""
        self.reloads += 1
        self._is_seed = False

    def _refuse(self, merged: Merged, message: str) -> None:
        self.refusals += 1
        self._refused = merged.digest
        why = mistake_in(merged.routing) or message
        self.refusal = Refusal(input="routing", digest=merged.routing.digest, message=why)
        self._paths.ghost_candidate.unlink(missing_ok=True)
        if self._is_seed:
            self._paths.ghost.unlink(missing_ok=True)
        elif self._good is None:
            self._adopt()

    def _adopt(self) -> None:
        """What a chaperone that ran here before left as ghost.json, when that is what ghost runs."""
        with suppress(OSError, DocumentError):
            found = merged_of(self._paths.ghost.read_bytes())
            if self.running and self.running.digest == found.digest:
                self.applied = self._good = found


class VclReload:
    """Which VCL varnishd uses, and how it gets the next."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._unconfirmed: bytes | None = None
        self._refused_last_good = ""
        self.refusal: Refusal | None = None
        self.reloads = 0
        self.refusals = 0

    async def apply(self, vcls: Vcls, vcl: bytes | None, last_good: bytes | None = None) -> bool:
        """Make varnishd use it, or at first the last good one, ours or the one given; True when another VCL is in use
        than before.

        Raises CliLostError, and OSError for a full disk.
        """
        if vcl is not None and await self._use_new(vcls, vcl):
            return True
        return not vcls.active_digest and await self._use_last_good(vcls, last_good)

    async def _use_new(self, vcls: Vcls, vcl: bytes) -> bool:
        wanted = digest(vcl)
        if wanted == vcls.active_digest:
            self.refusal = None
            return False
        if self.refusal and self.refusal.digest == wanted:
            return False
        try:
            await vcls.use(vcl)
        except VclError as refused:
            self.refuse(wanted, str(refused))
            return False
        self.refusal = None
        self.reloads += 1
        self._unconfirmed = vcl
        return True

    def refuse(self, wanted: str, message: str) -> None:
        """A VCL that does not compile, or does not begin."""
        self.refusals += 1
        self.refusal = Refusal(input="vcl", digest=wanted, message=message)
        self._unconfirmed = None

    def confirm(self) -> None:
        """The VCL in use serves: vcl_init, which runs in the process that serves, is behind it. Raises OSError."""
        if self._unconfirmed is not None:
            write_if_changed(self._paths.last_good_vcl, self._unconfirmed)
            self._unconfirmed = None

    async def _use_last_good(self, vcls: Vcls, given: bytes | None) -> bool:
        with suppress(FileNotFoundError, VclError):
            await vcls.use(self._paths.last_good_vcl.read_bytes())
            return True
        if given is None or digest(given) == self._refused_last_good:
            return False
        try:
            await vcls.use(given)
        except VclError:
            self._refused_last_good = digest(given)
            return False
        return True


def _write(path: Path, content: bytes) -> None:
    """No sync: after a crash of the machine the next start writes it anew. A part of a file is not left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
