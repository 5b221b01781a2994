"""Hostile clients and hostile backends for as long as is asked: nobody else notices, and no reader is misled.

    python fuzz.py [--seconds 600] [--seed N] [--corpus FILE] [--found FOLDER] [--replay FILE]

A case is what one client sends and what the backend answers, byte for byte. New ones are made from a grammar that is
often wrong, and from those that showed something new before: they are the corpus. What no case may do: end a program,
keep the next client from its answer, give a client an answer that can be read in two ways, or a backend such a request.
"""

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import hostile_answers
import http1_requests
import http2_frames
from judge import judge
from mutation import chance, mutated
from target import WAYS, Outcome, Target, Way, running
from wire_case import FRONTS, HTTP2_FRONTS, WireCase, read_corpus, write_corpus

CORPUS: Final = Path(__file__).with_name("corpus.jsonl")
OTHERS_EVERY: Final = 16
"""So many cases, then somebody else asks."""
CORPUS_BYTES: Final = 2048
"""A longer case shows little that no shorter one does."""
KEPT_FAULTS: Final = 3
"""Of each kind; the others are counted."""

Sign = tuple[object, ...]
"""What a case did, as far as it is told from others."""


class Findings:
    """Faults by what they are, each with the first cases that showed it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def add(self, way: Way, fault: str, cases: Sequence[WireCase]) -> None:
        """Kept in a file each, which `--replay` reads."""
        with self._lock:
            self.counts[fault] += 1
            if self.counts[fault] > KEPT_FAULTS:
                return
        print(f"{way}: {fault}", flush=True)
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = hashlib.sha256("".join(case.to_json() for case in cases).encode()).hexdigest()[:12]
            (self._folder / f"{name}.jsonl").write_text("".join(f"{case.to_json()}\n" for case in cases))
            print(f"    {self._folder / name}.jsonl", flush=True)


class Corpus:
    """Cases that showed something new, shared by both ways."""

    def __init__(self, cases: Sequence[WireCase]) -> None:
        self._lock = threading.Lock()
        self.cases = list(cases)
        self._signs: set[Sign] = set()

    def consider(self, case: WireCase, sign: Sign) -> None:
        """Keeps it when it did what none did before."""
        with self._lock:
            if sign in self._signs:
                return
            self._signs.add(sign)
            if sum(map(len, (*case.sent, *case.answer))) <= CORPUS_BYTES and case not in self.cases:
                self.cases.append(case)


def next_case(random: Random, corpus: Sequence[WireCase]) -> WireCase:
    """A new one, or a known one with changes."""
    if corpus and chance(random, 2):
        known, other = random.choice(corpus), random.choice(corpus)
        if chance(random, 2):
            return replace(known, sent=mutated(random, known.sent, other.sent))
        return replace(known, answer=random.choice((other.answer, mutated(random, known.answer, other.answer))))
    front = random.choice(FRONTS)
    sent = http2_frames.pieces(random) if front in HTTP2_FRONTS else http1_requests.pieces(random)
    return WireCase(front, sent, hostile_answers.pieces(random), closes=chance(random, 3))


def try_case(target: Target, case: WireCase) -> tuple[Sign, list[str]]:
    """Carries it out; what it did, and what it must not have done."""
    outcome = target.carry_out(case)
    statuses, faults = judge(case, outcome.received, outcome.targets, outcome.doubts)
    return _sign(target, case, outcome, statuses), faults


def _sign(target: Target, case: WireCase, outcome: Outcome, statuses: tuple[int, ...]) -> Sign:
    asked = min(len(outcome.targets), 3)
    return target.way, case.front, statuses[:3], asked, outcome.is_closed, bool(case.closes and asked)


class Worker:
    """One way's gateway, asked until the time is over."""

    def __init__(self, target: Target, corpus: Corpus, findings: Findings, random: Random) -> None:
        self._target = target
        self._corpus = corpus
        self._findings = findings
        self._random = random
        self._recent: deque[WireCase] = deque(maxlen=OTHERS_EVERY)
        self._processes = target.processes
        self.done = 0

    def run(self, until: float) -> None:
        for case in list(self._corpus.cases):
            self._try(case)
        while time.monotonic() < until:
            self._try(next_case(self._random, self._corpus.cases))
        self._look_around()

    def _try(self, case: WireCase) -> None:
        sign, faults = try_case(self._target, case)
        self.done += 1
        self._recent.append(case)
        self._corpus.consider(case, sign)
        for fault in faults:
            self._findings.add(self._target.way, fault, [case])
        if self.done % OTHERS_EVERY == 0:
            self._look_around()

    def _look_around(self) -> None:
        """Everybody else is served, by the same processes."""
        if said := self._target.serve_others():
            self._findings.add(self._target.way, f"another client's answer: {said}", list(self._recent))
        if self._has_ended():
            self._findings.add(self._target.way, "a program ended", self._guilty())

    def _has_ended(self) -> bool:
        """Whether a program that served is another one now."""
        before, self._processes = self._processes, self._target.processes
        return before != self._processes

    def _guilty(self) -> list[WireCase]:
        """Of what came last the case that does it again; all of it where none does by itself."""
        suspects = list(self._recent)
        for case in suspects:
            self._target.carry_out(case)
            self._target.serve_others()
            if self._has_ended():
                return [case]
        return suspects


def fuzz(seconds: float, seed: int, corpus: Corpus, findings: Findings) -> int:
    """Both ways side by side; how many cases there were."""
    done: list[int] = []

    def work(way: Way, folder: Path) -> None:
        with running(way, folder) as target:
            worker = Worker(target, corpus, findings, Random(f"{seed} {way}"))
            worker.run(time.monotonic() + seconds)
            done.append(worker.done)

    with tempfile.TemporaryDirectory(prefix="vgw-") as name:
        threads = [threading.Thread(target=work, args=(way, Path(name) / way), name=way) for way in WAYS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(done) != len(WAYS):
        findings.counts["a way was not tried to its end"] += 1
    return sum(done)


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: 600)")
    parser.add_argument(
        "--seed", type=int, default=time.time_ns(), help="of the random numbers (default: another each time)"
    )
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, help="read first, written at the end (default: beside this file)"
    )
    parser.add_argument("--found", type=Path, help="the folder for cases that show a fault")
    parser.add_argument("--replay", type=Path, help="only these cases")
    given = parser.parse_args()
    corpus, findings = Corpus(read_corpus(given.replay or given.corpus)), Findings(given.found)
    print(f"seed {given.seed}, {len(corpus.cases)} known cases", flush=True)
    done = fuzz(0 if given.replay else given.seconds, given.seed, corpus, findings)
    if not given.replay:
        write_corpus(given.corpus, corpus.cases)
    for fault, count in findings.counts.most_common():
        print(f"{count:6} {fault}")
    kept = f"{done} cases, {len(corpus.cases)} kept"
    print(f"{kept}, {sum(findings.counts.values())} faults of {len(findings.counts)} kinds")
    return 1 if findings.counts else 0


if __name__ == "__main__":
    sys.exit(main())
