"""Files as a source: edits, broken files, files that go and come back, folders that are replaced."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chaperone_rig import Until
from varnish_gateway_chaperone.inputs import Inputs
from varnish_gateway_chaperone.sources.files import FileSource, PemFolder, SliceFolder
from varnish_gateway_common import names


def slice_of(name: str, address: str) -> str:
    return f"""apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: 80}}]
endpoints: [{{addresses: [{address}]}}]
"""


def addresses(folder: SliceFolder) -> list[str]:
    return [end.address for found in folder.read()[0] for end in found.endpoints]


def test_files_add_up_and_a_deleted_one_takes_its_slices_along(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(slice_of("a", "10.0.0.1") + "---\n" + slice_of("b", "10.0.0.2"))
    (tmp_path / "c.yml").write_text(slice_of("c", "10.0.0.3"))
    folder = SliceFolder(tmp_path)
    assert addresses(folder) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    (tmp_path / "a.yaml").unlink()
    assert addresses(folder) == ["10.0.0.3"]


def test_nothing_new_is_the_same_object(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(slice_of("a", "10.0.0.1"))
    folder = SliceFolder(tmp_path)
    assert folder.read()[0] is folder.read()[0]


@pytest.mark.parametrize("garbage", ["EndpointSlice: [", "kind: EndpointSlice\n---\n- 3\n", "EndpointSlice\0"])
def test_a_broken_file_keeps_its_last_good_slices(tmp_path: Path, garbage: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(slice_of("a", "10.0.0.1"))
    folder = SliceFolder(tmp_path)
    assert addresses(folder) == ["10.0.0.1"]
    file.write_text(garbage)
    assert addresses(folder) == ["10.0.0.1"]
    assert str(file) in folder.read()[1][0]
    file.write_text(garbage + " ")
    assert addresses(folder) == ["10.0.0.1"], "and keeps them through the next mistake"
    file.write_text(slice_of("a", "10.0.0.22"))
    assert addresses(folder) == ["10.0.0.22"]
    assert folder.read()[1] == ()


def test_what_waits_or_never_ends_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(slice_of("a", "10.0.0.1"))
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").symlink_to("/dev/zero")
    folder = SliceFolder(tmp_path)
    assert addresses(folder) == ["10.0.0.1"]
    assert ["not a regular file" in each for each in folder.read()[1]] == [True, True]


def test_a_document_that_waits_is_none(tmp_path: Path) -> None:
    for name in (names.POD, names.ROUTING, names.CERTIFICATES):
        os.mkfifo(tmp_path / name)
    (tmp_path / names.CERTIFICATE_FOLDER).mkdir()
    os.mkfifo(tmp_path / names.CERTIFICATE_FOLDER / "a.pem")
    assert PemFolder(tmp_path / names.CERTIFICATE_FOLDER).read() == {}
    assert FileSource(tmp_path, tmp_path)._documents().pod is None


@pytest.mark.parametrize("level", ["[%s]", "{endpoints: [%s]}"])
def test_aliases_without_end_are_passed_over(tmp_path: Path, level: str) -> None:
    wide = ", ".join(["{addresses: [10.0.0.1]}"] * 5_000)
    many = level % ", ".join(["*a"] * 5_000)
    text = f"{slice_of('a', '10.0.0.1')}---\nkind: EndpointSlice\na: &a [{wide}]\nb: {many}\n"
    (tmp_path / "a.yaml").write_text(text)
    folder = SliceFolder(tmp_path)
    assert addresses(folder) == ["10.0.0.1"]
    assert "aliases (*) stand for more than" in folder.read()[1][0]


def test_a_bad_address_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("\n" + slice_of("a", "10.0.0"))
    assert SliceFolder(tmp_path).read()[1] == (f"{file}:2: EndpointSlice default/a: '10.0.0' is not an IPv4 address",)


class Views:
    """A source that is followed, with what it saw last."""

    def __init__(self, root: Path, until: Until) -> None:
        self._until = until
        self.state, self.manifests = root / "state", root / "manifests"
        self.last: Inputs | None = None
        self.count = 0

    async def follow(self) -> None:
        async for view in FileSource(self.state, self.manifests).views():
            self.last = view
            self.count += 1

    async def until(self, claim: Callable[[Inputs], object], seconds: float = 1.0) -> None:
        await self._until(lambda: self.last is not None and claim(self.last), seconds)


@pytest.fixture
async def views(tmp_path: Path, until: Until) -> AsyncIterator[Views]:
    found = Views(tmp_path, until)
    found.state.mkdir()
    found.manifests.mkdir()
    following = asyncio.create_task(found.follow())
    await found.until(lambda view: view.is_complete)
    yield found
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_edits_are_noticed_within_a_second(views: Views) -> None:
    (views.state / "routing.json").write_bytes(b"1")
    await views.until(lambda view: view.routing == b"1")
    (views.state / "main.vcl").write_bytes(b"2")
    await views.until(lambda view: view.vcl == b"2")
    (views.manifests / "a.yaml").write_text(slice_of("a", "10.0.0.1"))
    await views.until(lambda view: len(view.slices) == 1)
    (views.manifests / "deep").mkdir()
    (views.manifests / "deep" / "b.yaml").write_text(slice_of("b", "10.0.0.2"))
    await views.until(lambda view: len(view.slices) == 2)
    (views.manifests / "a.yaml").unlink()
    await views.until(lambda view: len(view.slices) == 1)


async def test_our_own_report_is_no_news(views: Views) -> None:
    count = views.count
    (views.state / "report.json").write_bytes(b"{}")
    (views.state / ".report.json.x").write_bytes(b"{}")
    (views.manifests / "notes.txt").write_bytes(b"")
    await asyncio.sleep(0.4)
    assert views.count == count


async def test_a_folder_that_is_replaced_is_followed(views: Views, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.yaml").write_text(slice_of("a", "10.0.0.7"))
    views.manifests.rename(tmp_path / "gone")
    other.rename(views.manifests)
    await views.until(lambda view: bool(view.slices))
    (views.manifests / "b.yaml").write_text(slice_of("b", "10.0.0.8"))
    await views.until(lambda view: len(view.slices) == 2)


async def test_a_folder_that_comes_later_is_read(tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varnish_gateway_chaperone.sources.files.LOOK_AGAIN_MS", 50)
    found = Views(tmp_path, until)
    following = asyncio.create_task(found.follow())
    await found.until(lambda view: view.is_complete)
    found.state.mkdir()
    (found.state / "pod.json").write_bytes(b"1")
    await found.until(lambda view: view.pod == b"1")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def test_certificates_are_read_when_they_change(tmp_path: Path) -> None:
    folder = PemFolder(tmp_path / "certificates")
    assert folder.read() == {}
    (tmp_path / "certificates").mkdir()
    file = tmp_path / "certificates" / "a.pem"
    file.write_bytes(b"1")
    (file.parent / ".a.pem.half").write_bytes(b"half")
    found = folder.read()
    assert found == {"a": b"1"}
    assert folder.read() is found
    file.write_bytes(b"22")
    assert folder.read() == {"a": b"22"}
    file.unlink()
    assert folder.read() == {}


async def test_a_changed_certificate_is_news(tmp_path: Path, until: Until) -> None:
    views = Views(tmp_path, until)
    (views.state / "certificates").mkdir(parents=True)
    views.manifests.mkdir()
    task = asyncio.create_task(views.follow())
    try:
        await until(lambda: views.last and views.last.is_complete)
        (views.state / "certificates" / "a.pem").write_bytes(b"1")
        (views.state / "certificates.json").write_bytes(b"{}")
        await until(lambda: views.last and views.last.pems == {"a": b"1"} and views.last.certificates == b"{}")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
