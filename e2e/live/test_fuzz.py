"""What the fuzzer at the wire has found before, once more, both ways; and that it would see what it looks for."""

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import cast

import pytest

from fuzz import CORPUS, Corpus, Findings, Worker, next_case
from judge import judge
from target import WAYS, Outcome, Target, Way, running
from wire_case import WireCase, read_corpus

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
GET = WireCase("direct", (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",), (OK,))

TWO_WAYS_TO_READ = {
    "an answer with two framings": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
    "a status line that is none": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a field that is none": b"HTTP/1.1 200 OK\r\nx: \0\r\nContent-Length: 0\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    "bytes that are no answer": OK + b"surplus",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + b"x" * 20,
    "a chunk that does not end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
}


@pytest.mark.live
@pytest.mark.parametrize("way", WAYS)
def test_the_corpus(way: Way) -> None:
    findings = Findings(None)
    with tempfile.TemporaryDirectory(prefix="vgw-") as folder, running(way, Path(folder)) as target:
        Worker(target, Corpus(read_corpus(CORPUS)), findings, Random(1)).run(until=0)
    assert findings.counts == {}


@pytest.mark.parametrize("fault", TWO_WAYS_TO_READ)
def test_it_sees_an_answer_that_can_be_read_in_two_ways(fault: str) -> None:
    assert judge(GET, TWO_WAYS_TO_READ[fault], [], [])[1] == [f"the client's: {fault}"]


@pytest.mark.parametrize("received", [b"", b"HTT", OK, OK[:-1], OK * 2, b"HTTP/1.1 100 Continue\r\n\r\n" + OK])
def test_it_takes_an_answer_that_cannot(received: bytes) -> None:
    assert judge(GET, received, ["/"], [])[1] == []


def test_it_sees_a_request_that_was_hidden() -> None:
    hidden = (
        b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 38\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n",
    )
    assert judge(replace(GET, sent=hidden), OK, ["/hidden"], [])[1] != []
    assert judge(replace(GET, sent=(b"GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n",)), OK, ["/hidden"], [])[1] == []


class _Brittle:
    """A gateway whose program ends at a certain request."""

    way = "Direct"

    def __init__(self) -> None:
        self.processes = (1, 1)

    def carry_out(self, case: WireCase) -> Outcome:
        if b"deadly" in b"".join(case.sent):
            self.processes = (1, self.processes[1] + 1)
        return Outcome(OK, is_closed=True, targets=[], doubts=[])

    def serve_others(self) -> str:
        return ""


def test_it_sees_that_a_program_ended_and_which_case_did_it(tmp_path: Path) -> None:
    deadly = replace(GET, sent=(b"GET /deadly HTTP/1.1\r\n\r\n",))
    findings = Findings(tmp_path)
    Worker(cast("Target", _Brittle()), Corpus([GET, deadly, GET]), findings, Random(1)).run(until=0)
    assert findings.counts == {"a program ended": 1}
    assert [read_corpus(file) for file in tmp_path.iterdir()] == [[deadly]]


def test_the_same_seed_makes_the_same_cases() -> None:
    def made() -> list[WireCase]:
        random = Random(7)
        return [next_case(random, [GET]) for _ in range(200)]

    assert made() == made()
    assert all(WireCase.from_json(case.to_json()) == case for case in made())
