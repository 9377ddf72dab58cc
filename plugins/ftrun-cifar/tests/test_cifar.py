"""Small archives in CIFAR's own format, as Python 2 and an old numpy pickled them, served over HTTP on loopback."""

import contextlib
import hashlib
import http.server
import io
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torchvision

import ftrun
import ftrun_cifar.reading
from ftrun_cifar import Cifar10, Cifar100
from ftrun_devkit import check_plugin

PER_BATCH = 4


def python2_pickle(value: Any) -> bytes:
    """Protocol 2 with Python 2's byte strings, and arrays as numpy 1 wrote them."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    if isinstance(value, str):
        return _opcodes(value.encode())
    if isinstance(value, bytes):
        return b"T" + len(value).to_bytes(4, "little") + value
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(key) + _opcodes(item) for key, item in value.items()) + b"u"
    assert isinstance(value, np.ndarray)
    assert value.dtype == np.uint8
    ints = b"(%st" % b"".join(map(_opcodes, map(int, value.shape)))
    dtype = b"cnumpy\ndtype\n(" + _opcodes("u1") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + _opcodes("|") + b"NNN" + _opcodes(-1) + _opcodes(-1) + b"K\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + _opcodes("b") + b"tR"
    return empty + b"(K\x01" + ints + dtype + b"\x89" + _opcodes(value.tobytes()) + b"tb"


class Archive(NamedTuple):
    """A small archive; `settings` is what torchvision has to know of it."""

    content: bytes
    settings: dict[str, Any]
    images: np.ndarray  # uint8 [N, 3, 32, 32], train and then test
    labels: list[int]


@cache  # gzip writes the time down, so made again a second later it has another digest
def make_archive(source: Any) -> Archive:
    coarse_and_fine = source.__name__ == "CIFAR100"
    classes = 100 if coarse_and_fine else 10
    lists = [*source.train_list, *source.test_list]
    images = np.random.default_rng(0).integers(0, 256, (len(lists) * PER_BATCH, 3 * 32 * 32), dtype=np.uint8)
    labels = [index * 7 % classes for index in range(len(images))]
    files = {}
    for number, (name, _) in enumerate(lists):
        rows = slice(number * PER_BATCH, (number + 1) * PER_BATCH)
        files[name] = {
            "batch_label": f"batch {number}",
            "fine_labels" if coarse_and_fine else "labels": labels[rows],
            "data": images[rows],
            "filenames": [f"{index}.png" for index in range(PER_BATCH)],
        }
        if coarse_and_fine:
            files[name]["coarse_labels"] = [0] * PER_BATCH
    files[source.meta["filename"]] = {source.meta["key"]: [f"class {number}" for number in range(classes)]}
    pickles = {name: python2_pickle(value) for name, value in files.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in pickles.items():
            member = tarfile.TarInfo(f"{source.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    settings = {
        "tgz_md5": md5(buffer.getvalue()),
        "train_list": [[name, md5(pickles[name])] for name, _ in source.train_list],
        "test_list": [[name, md5(pickles[name])] for name, _ in source.test_list],
        "meta": {**source.meta, "md5": md5(pickles[source.meta["filename"]])},
    }
    return Archive(buffer.getvalue(), settings, images.reshape(-1, 3, 32, 32), labels)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request with `content`: its address, and the requests that it got."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(params=[Cifar10, Cifar100], ids=["cifar10", "cifar100"])
def part(request: pytest.FixtureRequest, tmp_path: Path) -> ftrun.Dataset:
    return request.param(name=request.param.__name__.lower(), root=tmp_path / "data")


@pytest.fixture
def archive(part: Any, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A small archive in the place of the large one; nobody serves it."""
    source = getattr(torchvision.datasets, part.source)
    archive = make_archive(source)
    for name, value in archive.settings.items():
        monkeypatch.setattr(source, name, value)
    with socket.create_server(("127.0.0.1", 0)) as closed_right_away:
        port = closed_right_away.getsockname()[1]
    monkeypatch.setattr(source, "url", f"http://127.0.0.1:{port}/{source.filename}")
    return archive


@pytest.fixture
def source(part: Any, archive: Archive) -> Any:
    return getattr(torchvision.datasets, part.source)


def archives(place: Path) -> dict[str, Any]:
    """A folder with both archives, as `small_archives` has torchvision expect them."""
    root = place / "data"
    root.mkdir(exist_ok=True)
    for source in (torchvision.datasets.CIFAR10, torchvision.datasets.CIFAR100):
        (root / source.filename).write_bytes(make_archive(source).content)
    return {"root": str(root)}


@pytest.fixture
def _small_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (torchvision.datasets.CIFAR10, torchvision.datasets.CIFAR100):
        for name, value in make_archive(source).settings.items():
            monkeypatch.setattr(source, name, value)


test_contract = pytest.mark.usefixtures("_small_archives")(
    check_plugin("ftrun_cifar", options={"cifar10": archives, "cifar100": archives})
)


def place(content: bytes, part: Any, source: Any) -> Path:
    part.root.mkdir()
    path = part.root / source.filename
    path.write_bytes(content)
    return path


def check(splits: ftrun.Splits, archive: Archive) -> None:
    assert splits.val is None
    assert splits.test is not None
    images = torch.cat([splits.train.inputs, splits.test.inputs])
    assert images.dtype == torch.uint8
    assert torch.equal(images, torch.from_numpy(archive.images))
    assert torch.cat([splits.train.columns["label"], splits.test.columns["label"]]).tolist() == archive.labels
    assert splits.train.inputs.is_contiguous()
    assert len(splits.test) == PER_BATCH


def test_both_datasets_are_offered() -> None:
    assert list(ftrun_cifar.ftrun_datasets()) == [Cifar10, Cifar100]


def test_downloads_verifies_and_reads(
    part: Any, archive: Archive, source: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(archive.content) as (address, requests):
        monkeypatch.setattr(source, "url", f"{address}/{source.filename}")
        splits = part.build()
        check(splits, archive)
        asked = len(requests)
        check(part.build(), archive)
        assert len(requests) == asked > 0  # the second time nothing is fetched
    classes = 100 if part.name == "cifar100" else 10
    assert splits.targets == {"label": ftrun.Classes(names=tuple(f"class {i}" for i in range(classes)))}
    assert capfd.readouterr() == ("", "")


def test_splits_travel_to_workers(part: Any, archive: Archive, source: Any) -> None:
    place(archive.content, part, source)
    check(pickle.loads(pickle.dumps(part.build())), archive)


def test_an_archive_put_there_by_hand_needs_no_network(part: Any, archive: Archive, source: Any) -> None:
    place(archive.content, part, source)
    check(part.build(), archive)


def test_an_unpacked_folder_needs_no_archive(part: Any, archive: Archive, source: Any) -> None:
    part.root.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        tar.extractall(part.root, filter="data")
    check(part.build(), archive)
    assert [path.name for path in part.root.iterdir()] == [source.base_folder]


def test_a_damaged_batch_is_unpacked_again(part: Any, archive: Archive, source: Any) -> None:
    place(archive.content, part, source)
    part.build()
    (part.root / source.base_folder / source.test_list[0][0]).write_bytes(b"half a fi")
    check(part.build(), archive)


def test_without_network_the_message_says_what_to_put_where(part: Any, archive: Archive, source: Any) -> None:
    with pytest.raises(ftrun.DataError) as caught:
        part.build()
    for told in (source.filename, source.url, source.tgz_md5, str(part.root), "refused"):
        assert told in str(caught.value)


def test_a_relative_root_is_named_in_full(
    archive: Archive, part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ftrun.DataError, match=str(tmp_path / "data")):
        type(part)(name=part.name).build()


def test_a_damaged_archive_without_network_is_named(part: Any, archive: Archive, source: Any) -> None:
    path = place(archive.content[:-9], part, source)
    with pytest.raises(ftrun.DataError) as caught:
        part.build()
    for told in (f"{path} is damaged", md5(archive.content[:-9]), source.tgz_md5, "refused"):
        assert told in str(caught.value)
    assert path.read_bytes() == archive.content[:-9]


def test_a_download_that_is_not_the_original_is_named(
    part: Any, archive: Archive, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(b"<html>log in to this network first</html>") as (address, _):
        monkeypatch.setattr(source, "url", f"{address}/{source.filename}")
        with pytest.raises(ftrun.DataError, match="is damaged: its md5 is") as caught:
            part.build()
    assert str(part.root / source.filename) in str(caught.value)
    assert not (part.root / source.base_folder).exists()  # nothing of it was unpacked, let alone unpickled


def test_a_damaged_archive_is_downloaded_again(
    part: Any, archive: Archive, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(archive.content[:100], part, source)
    with serving(archive.content) as (address, _):
        monkeypatch.setattr(source, "url", f"{address}/{source.filename}")
        check(part.build(), archive)


def test_damaged_class_names_are_named(part: Any, archive: Archive, source: Any) -> None:
    place(archive.content, part, source)
    part.build()
    meta = part.root / source.base_folder / source.meta["filename"]
    meta.write_bytes(b"other names")
    with pytest.raises(ftrun.DataError) as caught:
        part.build()
    assert f"{meta} is missing or damaged" in str(caught.value)


def test_a_server_that_never_answers_is_given_up(
    part: Any, archive: Archive, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftrun_cifar.reading, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(source, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/{source.filename}")
        with pytest.raises(ftrun.DataError, match="timed out"):
            part.build()
    assert socket.getdefaulttimeout() is None


def test_importing_the_plugin_loads_neither_torch_nor_torchvision() -> None:
    code = "import ftrun_cifar, sys; print({'torch', 'torchvision', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
