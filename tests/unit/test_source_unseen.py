"""What a source cannot see: never taken for something that is gone."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from nemo_retriever_dagster.batch import begin
from nemo_retriever_dagster.errors import SourceUnavailableError
from nemo_retriever_dagster.ledger import DocumentState, DocumentStatus
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.planning import MassDeletionError, check_deletion, compare
from nemo_retriever_dagster.source import Source


class Share(AbstractFileSystem):
    """A server of files that fsspec walks through itself, as it does with sftp, smb, webdav and others."""

    protocol = "share"
    cachable = False
    files = ("srv/docs/a.txt", "srv/docs/sub/b.txt", "srv/docs/sub/deep/c.txt")
    refused: ClassVar[set[str]] = set()

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        place = self._strip_protocol(path).rstrip("/")
        if place in self.refused:
            raise PermissionError(errno.EACCES, "Permission denied", place)
        start = f"{place}/".lstrip("/")
        below = [name.removeprefix(start) for name in self.files if name.startswith(start)]
        if not below:
            raise FileNotFoundError(place)
        kinds = {name.partition("/")[0]: "directory" if "/" in name else "file" for name in below}
        return [{"name": f"{start}{name}", "type": kind, "size": 1} for name, kind in kinds.items()]


@pytest.fixture
def share() -> Iterator[type[Share]]:
    fsspec.register_implementation("share", Share, clobber=True)
    yield Share
    Share.refused = set()


@pytest.mark.parametrize("spec", ["share://srv/docs", "share://srv/docs/", "share://srv/docs/**/*.txt"])
def test_a_remote_folder_that_cannot_be_listed_fails_the_listing(share: type[Share], spec: str) -> None:
    assert [document.name for document in Source(spec).list()] == ["a.txt", "b.txt", "c.txt"]
    for folder in ("srv/docs/sub", "srv/docs/sub/deep"):
        share.refused = {folder}
        with pytest.raises(SourceUnavailableError, match="Permission denied"):
            Source(spec).list()


def test_a_remote_folder_that_is_empty_or_not_there_is_an_empty_list(share: type[Share]) -> None:
    assert Source("share://srv/none/").list() == []


class Marks(MemoryFileSystem):
    """An object store on which a folder has an object of its own name: memory:// has no such thing."""

    protocol = "marks"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    size = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("marks:/")))

    def info(self, path: str, **more: Any) -> dict[str, Any]:
        name = self._strip_protocol(path)
        marked = {"name": name, "type": "file", "size": self.size}
        return marked if name == "/b/p" else super().info(path, **more)


@pytest.mark.parametrize(
    ("spec", "size", "expected"),
    [
        ("marks://b/p", 0, ["marks://b/p/a.txt"]),
        ("marks://b/p/", 0, ["marks://b/p/a.txt"]),
        ("marks://b/p/", 5, ["marks://b/p/a.txt"]),
        ("marks://b/p", 5, ["marks://b/p"]),
    ],
)
def test_an_object_of_a_folders_name_does_not_hide_the_folder(spec: str, size: int, expected: list[str]) -> None:
    fsspec.register_implementation("marks", Marks, clobber=True)
    fsspec.filesystem("marks").pipe_file("/b/p/a.txt", b"a")
    Marks.size = size
    assert [document.uri for document in Source(spec).list()] == expected


def unlooked(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the system refuse to look at what is in a folder, as it does where that may be read and not entered."""
    stat = os.stat

    def refusing(path: Any, *given: Any, **more: Any) -> os.stat_result:
        if not isinstance(path, int) and Path(os.fspath(path)).parent == folder:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat(path, *given, **more)

    monkeypatch.setattr(os, "stat", refusing)


def test_files_that_may_not_be_looked_at_are_told_and_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt"):
        (tmp_path / name).write_text(name)
    source = Source(tmp_path)
    states = {document.key: _state(document.key, document.uri) for document in source.list()}
    unlooked(monkeypatch, tmp_path / "sub")

    (seen,) = source.list()
    (skipped,) = source.skipped
    assert (seen.name, skipped.reason, skipped.lost) == ("a.txt", "cannot be looked at: Permission denied", True)
    plan = compare([seen], states, passed_over=source.skipped)
    assert ([state.uri for state in plan.held], plan.gone) == ([str(tmp_path / "sub/b.txt")], ())
    _, failure = begin(source)
    assert isinstance(failure, Failure)
    assert failure.cause == "It cannot be looked at: Permission denied."


def test_what_was_behind_a_link_that_is_broken_now_is_not_gone(tmp_path: Path) -> None:
    root, away = tmp_path / "docs", tmp_path / "mounted"
    for path in (root / "a.txt", root / "gone.txt", root / "share.txt", away / "b.txt", away / "sub/c.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    (root / "share").symlink_to(away)
    (root / "one.txt").symlink_to(away / "b.txt")
    source = Source(root)
    states = {document.key: _state(document.key, document.uri) for document in source.list()}
    away.rename(tmp_path / "unmounted")
    for name in ("gone.txt", "share.txt"):
        (root / name).unlink()

    plan = compare(source.list(), states, passed_over=source.skipped)
    held = {Path(state.uri).relative_to(root).as_posix() for state in plan.held}
    assert held == {"share/b.txt", "share/sub/c.txt", "one.txt"}
    assert {Path(state.uri).name for state in plan.gone} == {"gone.txt", "share.txt"}


def test_the_brake_holds_where_a_source_is_empty() -> None:
    with pytest.raises(MassDeletionError, match="all of its 2 documents"):
        check_deletion(2, 2, emptied=True)
    check_deletion(1, 1, emptied=True)
    check_deletion(2, 2, emptied=False)
    check_deletion(2, 2, emptied=True, max_deletions=2)


def _state(key: str, uri: str) -> DocumentState:
    return DocumentState(key=key, uri=uri, version="1", status=DocumentStatus.CURRENT, updated_at="")
