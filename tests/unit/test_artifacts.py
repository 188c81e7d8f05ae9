"""Artifacts: whole or absent, checked, named by their addresses only; full and read-only disks are named."""

import errno
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.artifacts import Artifacts, address
from nemo_retriever_dagster.errors import InvalidOptionError, StorageError, StorageFullError
from nemo_retriever_dagster.storage import Storage, named, secrets_of

PLACE = address("extract", "ab" * 32, "data")


@pytest.fixture(params=["local", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(
        tmp_path / "kept" if request.param == "local" else f"memory://{tmp_path.name}-{os.urandom(4).hex()}"
    )


def test_round_trip(artifacts: Artifacts):
    assert artifacts.get(PLACE) is None
    assert not artifacts.exists(PLACE)
    assert artifacts.list() == []
    for data in (b"", b"one", bytes(100_000)):
        artifacts.put(PLACE, data)
        assert artifacts.get(PLACE) == data
        assert artifacts.exists(PLACE)
    other = address("embed", "cd" * 16, "npy")
    artifacts.put(other, b"x")
    assert artifacts.list() == [other, PLACE]
    assert artifacts.list("extract") == artifacts.list("extract/ab") == [PLACE]
    assert artifacts.list("extract/cd") == []
    assert artifacts.delete("extract") == 1
    assert artifacts.delete(other) == 1
    assert artifacts.delete(other) == 0
    assert artifacts.list() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "extract",
        f"extract/ab/{'ab' * 32}",
        f"extract/ba/{'ab' * 32}.data",
        f"../ab/{'ab' * 32}.data",
        f"/extract/ab/{'ab' * 32}.data",
        f"extract/ab/{'ab' * 32}.data\n",
        f"extract/ab/{'AB' * 32}.data",
        f"extract/ab/{'ab' * 32}.../x",
        f"extract/ab/../ab/{'ab' * 32}.data",
        "extract/ab/abab.data",
    ],
)
def test_only_addresses_are_taken(tmp_path: Path, text: str):
    artifacts = Artifacts(tmp_path / "kept")
    for call in (artifacts.get, artifacts.exists, lambda name: artifacts.put(name, b"x")):
        with pytest.raises(InvalidOptionError):
            call(text)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("prefix", ["..", "/", "extract/", "extract/abc", "extract/../x"])
def test_only_prefixes_are_listed(artifacts: Artifacts, prefix: str):
    for call in (artifacts.list, artifacts.delete):
        with pytest.raises(InvalidOptionError):
            call(prefix)


def flipped(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        yield data[:place]


def test_every_damaged_byte_and_every_cut_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    artifacts = Artifacts(tmp_path)
    artifacts.put(PLACE, b"payload")
    whole = (tmp_path / PLACE).read_bytes()
    for damaged in flipped(whole):
        (tmp_path / PLACE).write_bytes(damaged)
        assert artifacts.get(PLACE) is None
        assert not artifacts.exists(PLACE)
    assert "is damaged" in caplog.text
    assert PLACE in caplog.text


@given(st.binary(max_size=200))
def test_foreign_bytes_are_never_taken_for_an_artifact(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    folder = tmp_path_factory.getbasetemp() / "foreign"
    (folder / PLACE).parent.mkdir(parents=True, exist_ok=True)
    (folder / PLACE).write_bytes(data)
    assert Artifacts(folder).get(PLACE) is None


def test_unfinished_writes_are_neither_listed_nor_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    artifacts = Artifacts(tmp_path)
    artifacts.put(PLACE, b"old")

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", crash)
        with pytest.raises(StorageError, match="Input/output error"):
            artifacts.put(PLACE, b"new")
    assert artifacts.get(PLACE) == b"old"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [PLACE.rpartition("/")[2]]
    left = tmp_path / f"{PLACE}.x1.part"
    left.write_bytes(b"from a killed process")
    assert artifacts.list() == [PLACE]


def test_many_writers_of_one_address_leave_one_whole_artifact(tmp_path: Path):
    artifacts = Artifacts(tmp_path)
    contents = [bytes([number]) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=artifacts.put, args=(PLACE, data)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert artifacts.get(PLACE) in contents
    assert artifacts.list() == [PLACE]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_named_and_work_goes_on_when_there_is_space(small_disk: Path):
    artifacts = Artifacts(small_disk / "kept")
    artifacts.put(PLACE, b"kept")
    with pytest.raises(StorageFullError, match="No space left") as caught:
        artifacts.put(address("embed", "cd" * 16, "npy"), os.urandom(400_000))
    assert "Free some space" in caught.value.hint
    assert artifacts.get(PLACE) == b"kept"
    assert artifacts.list() == [PLACE]
    artifacts.put(address("embed", "cd" * 16, "npy"), b"small")


def test_read_only_disk_is_named(small_disk: Path):
    artifacts = Artifacts(small_disk / "kept")
    artifacts.put(PLACE, b"kept")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match="Read-only file system") as caught:
        artifacts.put(PLACE, b"new")
    assert "mount it writable" in caught.value.hint
    assert artifacts.get(PLACE) == b"kept"


def test_no_more_open_files_is_nobodys_credentials(tmp_path: Path):
    artifacts = Artifacts(tmp_path)
    artifacts.put(PLACE, b"kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StorageError, match="Too many open files") as caught:
            artifacts.get(PLACE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caught.value.hint


def test_place_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StorageError, match="kept"):
        Artifacts(tmp_path / "kept").put(PLACE, b"x")


def test_a_file_that_cannot_be_read_is_not_taken_for_one_that_is_not_there(tmp_path: Path):
    (tmp_path / "unreadable").mkdir()
    with pytest.raises(StorageError, match="Reading"):
        Storage(tmp_path).get("unreadable")


def test_others_may_read_what_is_stored(tmp_path: Path):
    Storage(tmp_path).put("a.png", b"x")
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o644


def test_no_secret_is_shown_in_part():
    """One that begins with another is replaced first."""
    secrets = secrets_of({"key": "hunter22", "client_kwargs": {"secret": "hunter22hunter33"}, "short": "abc"})
    assert secrets == ("hunter22hunter33", "hunter22")
    with (
        pytest.raises(StorageError, match=r"failed \(ValueError: \*\*\* and \*\*\*\)"),
        named("It", StorageError, secrets=secrets),
    ):
        raise ValueError("hunter22hunter33 and hunter22")


class Share(LocalFileSystem):
    """A network share: a file is seen while it is being written. Where it is ``cut``, no more than a part arrives."""

    protocol = "share"
    cut = False

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("share://"))

    def pipe_file(self, path, value, **options):
        assert path.endswith(".part"), "seen under its name while it is written"
        super().pipe_file(path, value[:3] if self.cut else value)
        if self.cut:
            raise OSError("The line is cut.")


def test_a_store_that_shows_files_while_they_are_written_shows_none_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fsspec.register_implementation("share", Share, clobber=True)
    storage = Storage(f"share://{tmp_path}")
    storage.put("a/b.txt", b"former")
    monkeypatch.setattr(Share, "cut", True)
    for name in ("a/b.txt", "a/c.txt"):
        with pytest.raises(StorageError, match="The line is cut"):
            storage.put(name, b"later and longer")
    assert (storage.get("a/b.txt"), storage.get("a/c.txt"), storage.list()) == (b"former", None, ["a/b.txt"])


def test_a_file_and_its_name_are_synced_before_it_is_told_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(Path(f"/proc/self/fd/{fd}").readlink()), sync(fd)))
    Storage(tmp_path / "kept").put("name", b"data")
    assert [(path.parent, path.suffix) for path in synced] == [(tmp_path / "kept", ".part"), (tmp_path, "")]
    assert synced[1] == tmp_path / "kept"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_named_whatever_bounds_it(number: int):
    with pytest.raises(StorageFullError), named("Writing", StorageError):
        raise OSError(number, os.strerror(number))
