"""The program: a folder translated into a STATE folder, once or at every change."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
import watchfiles

from varnish_gateway_common import names
from varnish_gateway_common.manifests import SUFFIXES
from varnish_gateway_common.terminal import counted
from varnish_gateway_operator.files import FolderSource
from varnish_gateway_operator.garbage import without_collection
from varnish_gateway_operator.packaged import vcl_parts
from varnish_gateway_operator.sentence import sentence
from varnish_gateway_operator.snapshot import Snapshot
from varnish_gateway_operator.state import StateFolder
from varnish_gateway_operator.telling import Line, Lines, Teller
from varnish_gateway_operator.times import text_of
from varnish_gateway_operator.translate import CertificateMemory, Memory, Options, Plan, Reports, translate

log = structlog.get_logger()

SETTLE_MS = 30
"""An editor writes a file in several steps: a round begins once nothing has changed for so long."""
LATEST_MS = 200
"""... or after so long, whatever still changes."""
LOOK_ANYWAY_MS = 1000
"""What the kernel does not tell about (files behind links, a folder that came back) is found by looking."""
IDLE_SHARE = 20
"""Looking takes at most one part in so many of the time."""
STATUSES_SHARE = 3
"""Writing statuses may take so many times as long as it took to look whether something more urgent has changed; ..."""
STATUSES_SECONDS = (0.1, 0.5)
"""... at least so long, and at most."""


def options() -> Options:
    """One host, and Services of type ExternalName are followed."""
    return Options(vcl=vcl_parts(), shares_host=True, has_external_names=True)


@dataclass
class Rounds:
    """Rounds of reading all, thinking and writing all."""

    source: FolderSource
    state: StateFolder
    options: Options
    memory: Memory = field(default_factory=Memory)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _done: tuple[Snapshot, Reports] | None = None
    """Of the last round whose documents were written."""
    _changes_at: datetime | None = None
    """When the time alone would make a difference."""
    _unwritten: Plan | None = None
    """The plan whose statuses are not all written."""
    has_errors: bool = False
    """Of the last round."""
    _teller: Teller = field(default_factory=Teller)
    _others: Mapping[str, int] = field(default_factory=dict)
    """Kinds of others that were told of."""

    @property
    def is_finished(self) -> bool:
        return self._unwritten is None

    def run(self) -> None:
        """One round; nothing happens when nothing changed. Raises OSError when STATE or the folder fail."""
        began = time.monotonic()
        snapshot, reports = self.source.read(), self.state.reports()
        took = time.monotonic() - began
        now = self.clock()
        is_due = self._changes_at is not None and now >= self._changes_at
        if is_due or self._done is None or self._done[0] is not snapshot or self._done[1] != reports:
            self._translate(snapshot, reports, now)
        if self._unwritten:
            least, most = STATUSES_SECONDS
            self._write_statuses(self._unwritten, min(max(took * STATUSES_SHARE, least), most))

    def _translate(self, snapshot: Snapshot, reports: Reports, now: datetime) -> None:
        """Documents first: they are what traffic waits for."""
        self._done = None
        plan = translate(snapshot, reports, self.options, self.memory, now)
        self._tell(plan)
        done = self.state.write_gateways(plan, is_complete=not self.source.mistakes)
        say = log.info if done else log.debug
        say(sentence(snapshot, plan, done))
        self._done, self._unwritten, self._changes_at = (snapshot, reports), plan, plan.changes_at

    def _write_statuses(self, plan: Plan, seconds: float) -> None:
        """As many as can be in that time, for an edit must not wait until thousands of files are written."""
        is_complete, end = not self.source.mistakes, time.monotonic() + seconds
        is_late = lambda: time.monotonic() > end  # noqa: E731
        if self.state.write_statuses(plan, is_complete=is_complete, now=text_of(self.clock()), is_late=is_late):
            self.state.write_mistakes(self.source.mistakes)
            self._unwritten = None

    def lines(self, plan: Plan) -> Lines:
        """Everything that is wrong."""
        found = self.source.lines(plan.findings)
        return found if found or plan.gateways else {"nothing": Line(self._nothing())}

    def _nothing(self) -> str:
        """Nobody made a mistake, and yet there is nothing to serve."""
        if self.source.has_files:
            return f"no Gateway is among the manifests of {self.source.root}: nothing is served"
        return f"no manifest (*{', *'.join(SUFFIXES)}) is in {self.source.root}: nothing is served"

    def _tell(self, plan: Plan) -> None:
        lines = self.lines(plan)
        self.has_errors = any(line.is_error for line in lines.values())
        self._teller.tell(lines)
        others = self.source.others
        if others != self._others:
            self._others = others
            if others:
                kinds = ", ".join(f"{kind} {number}" for kind, number in others.items())
                log.info(f"{counted(sum(others.values()), 'object')} of other kinds passed over: {kinds}")


def once(folder: Path, out: Path) -> bool:
    """Translate; False when there are mistakes. Raises OSError."""
    rounds = _rounds(folder, out)
    with without_collection():
        rounds.run()
        while not rounds.is_finished:
            rounds.run()
    return not rounds.has_errors


def watch(folder: Path, out: Path, stop: threading.Event) -> None:
    """Translate, and again at every change, until `stop` is set. Content never ends it, nor does a full disk."""
    out.mkdir(parents=True, exist_ok=True)
    rounds = _rounds(folder, out)
    _guarded(rounds, stop)
    gc.freeze()  # what the first round made mostly stays, and need not be looked through again
    for _ in _wakeups(folder, out, stop):
        _guarded(rounds, stop)
    log.info("stopped")


def _rounds(folder: Path, out: Path) -> Rounds:
    state = StateFolder(out)
    memory = Memory(certificates=CertificateMemory(written=state.certificates()))
    return Rounds(FolderSource(folder), state, options(), memory)


def _guarded(rounds: Rounds, stop: threading.Event) -> None:
    """A round that fails is tried again at the next wake-up; the world's failure and a bug of ours alike cost one."""
    try:
        with without_collection():
            rounds.run()
            while not (rounds.is_finished or stop.is_set()):
                rounds.run()
    except OSError as error:
        log.error(f"this round failed and will be tried again: {error}")
    except Exception:
        log.exception("this round failed because of a bug; the last good state stays")


def _wakeups(folder: Path, out: Path, stop: threading.Event) -> Iterator[None]:
    """A wake-up for every change of a manifest or a report, and now and then without one."""
    folder, out = folder.absolute(), out.absolute()
    changes = watchfiles.watch(
        folder,
        out,
        watch_filter=lambda _, path: _matters(Path(path), folder, out),
        step=SETTLE_MS,
        debounce=LATEST_MS,
        rust_timeout=LOOK_ANYWAY_MS,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=False,
    )
    last, took = time.monotonic(), 0.0
    for change in changes:
        began = time.monotonic()
        if change or began - last > took * IDLE_SHARE:
            yield
            last = time.monotonic()
            took = last - began


def _matters(path: Path, folder: Path, out: Path) -> bool:
    """Manifests, reports, and folders that come and go."""
    if path.is_relative_to(out):
        return path.name == names.REPORT
    return path.suffix in (*SUFFIXES, "") or path == folder
