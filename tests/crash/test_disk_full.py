"""A disk that is full: the error says so, and once there is room the same run goes through."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import StorageFullError
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path):
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path, *, spare: int) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(file.tell() - spare)
    return filler


def test_full_artifacts_are_named_and_the_run_resumes(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "note.txt").write_text(" ".join(f"word{n}" for n in range(5_000)))
    store = InMemoryStore()
    settings = Settings(
        state_dir=tmp_path / "state",
        artifacts_uri=str(small_disk / "artifacts"),
        ledger_url=f"sqlite:///{small_disk}/l.db",
    )

    def run():
        engines = Engines(embedder=HashEmbedder(64))
        ingestor = Ingestor(engines=engines, store=store, settings=settings, workers=1)
        steps = ingestor.files(str(tmp_path / "note.txt")).extract().split(chunk_size=50, chunk_overlap=0).embed()
        return steps.vdb_upload(collection_name="notes").ingest(return_failures=True)

    with Ledger(settings.ledger):
        filler = _fill(small_disk, spare=32_768)
    _, failures = run()
    assert [(failure.kind, failure.category) for failure in failures] == [("StorageFullError", "infrastructure")]
    assert failures[0].hint
    assert store.count("notes") == 0
    assert not list(small_disk.rglob("*.part"))
    filler.unlink()
    done, failures = run()
    assert failures == []
    assert store.count("notes") == len(done[0]) > 50
    with Ledger(settings.ledger) as ledger:
        assert ledger.open_intents("ingestor:notes") == []


def test_a_full_ledger_is_named_and_intact(small_disk: Path) -> None:
    with Ledger(f"sqlite:///{small_disk}/ledger.db") as ledger:
        ledger.intent("c", "before", "g", {})
        filler = _fill(small_disk, spare=0)
        with pytest.raises(StorageFullError, match="cannot be written"):
            _write_on(ledger)
        filler.unlink()
        kept = {intent.document for intent in ledger.open_intents("c")}
        assert "before" in kept
        ledger.intent("c", "after", "g", {})
        assert {intent.document for intent in ledger.open_intents("c")} == kept | {"after"}


def _write_on(ledger: Ledger) -> None:
    for n in range(1_000):
        ledger.intent("c", f"key{n}", "g", {"collections": ["x" * 500]})
