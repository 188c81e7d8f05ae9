"""A NIM's key goes to the NIM and nowhere else: not into logs, errors, metadata, ledger, artifacts or the event log."""

from __future__ import annotations

import logging
import os
import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from nemo_retriever_dagster import DocumentCorpus, EnginesResource, Ingestor, NimResource, StateResource
from nemo_retriever_dagster.corpus.partitions import range_tags
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE
from nemo_retriever_dagster.testing import NimServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without a shape by which it could be told from other words: who repeats it, repeats it.
RIGHT, WRONG = "canary-right-8d1f", "canary-wrong-77ac"


def contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Give every file, and every cell of every SQLite table, as it is and unpacked."""
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield str(path), data
            if data.startswith(b"SQLite format 3"):
                yield from cells(path)


def cells(path: Path) -> Iterator[tuple[str, bytes]]:
    connection = sqlite3.connect(path)
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    data = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield f"{path}:{table}", unpacked(data)
    finally:
        connection.close()


def unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def holders(root: Path, word: str) -> list[str]:
    return sorted({place for place, data in contents(root) if word.encode() in data})


def engines(way: str, url: str, key: str) -> tuple[EnginesResource, dict[str, Any]]:
    """Return the resource, and the options of ``embed()``, for a key given in this way."""
    if way == "task":
        return EnginesResource(), {"endpoint_url": url, "api_key": key}
    given = dg.EnvVar("KEY_OF_THIS_TEST") if way == "variable" else key
    return EnginesResource(embedder=NimResource(urls=url, api_key=given)), {}


def run(root: Path, instance: dg.DagsterInstance, way: str, url: str, key: str) -> dg.ExecuteInProcessResult:
    """Run the corpus's own job, as a code location has it."""
    resource, options = engines(way, url, key)
    corpus = DocumentCorpus(
        name=f"notes_{key.split('-')[1]}",
        source=root / "documents",
        pipeline=Ingestor().extract().split().embed(**options),
        retry_policy=dg.RetryPolicy(max_retries=1, delay=0.01),
        workers=1,
    )
    keys = [document.key for document in corpus.plant.documents().list()]
    instance.add_dynamic_partitions(str(corpus.partitions_def.name), keys)
    resources = {STATE: StateResource(state_dir=str(root / "state" / key.split("-")[1])), ENGINES: resource}
    job = corpus.definitions(resources=resources).resolve_job_def(f"{corpus.name}_ingest")
    return job.execute_in_process(instance=instance, tags=range_tags("notes", keys), raise_on_error=False)


@pytest.mark.parametrize("way", ["variable", "plain", "task"])
def test_the_key_is_stored_and_said_nowhere(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "documents").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("The quick brown fox. " * 30)
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance, NimServer(api_key=RIGHT) as server:
        for key in (RIGHT, WRONG):
            monkeypatch.setitem(os.environ, "KEY_OF_THIS_TEST", key)
            result = run(tmp_path, instance, way, server.url("embedder"), key)
            assert result.success == (key == RIGHT)
        assert {call.status for call in server.calls} == {200, 401}  # the 401 repeats the key it was given
    said = capfd.readouterr()
    spoken = f"{said.out}{said.err}{caplog.text}"
    assert "HTTP 401: Unauthorized: the key '***' is not valid" in spoken
    for key in (RIGHT, WRONG):
        assert key not in spoken
        assert holders(tmp_path, key) == []
    # The search finds what is there: in the event log, in the ledger, and in packed snapshots.
    places = " ".join(holders(tmp_path, "the key '***' is not valid"))
    assert "home" in places
    assert "ledger" in places
    assert any("snapshots" in place for place in holders(tmp_path, "notes_wrong__embed"))
