"""The same files ingested twice with the real embedder: the second time costs nothing and changes nothing."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import (
    DocumentCorpus,
    Ingestor,
    IngestWarning,
    MilvusResource,
    Settings,
    StateResource,
    materialize_documents,
)
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE, STORE, EnginesResource
from nemo_retriever_dagster.engines.local import local_engines
from nemo_retriever_dagster.testing.engines import WatchedEmbedder
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.engines.ports import Engines

BORN_DIGITAL = {"pdf", "docx", "pptx", "html", "txt", "md", "json", "csv", "xlsx", "eml", "epub", "sh"}
SMALL = 40_000
FEW = 40


def _corpus(shared: Path) -> dict[Path, str]:
    """Return the kind of each file of the corpus."""
    folder = shared / "corpora/dev"
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip("the shared corpora are not beside the repository")
    with (folder / "MANIFEST.csv").open(newline="") as file:
        return {folder / row["file"]: row["kind"].lower() for row in csv.DictReader(file)}


def _few(shared: Path) -> list[Path]:
    """Return small born-digital files of the corpus, some of every kind, the smallest first."""
    by_kind: dict[str, list[Path]] = {}
    for path, kind in sorted(_corpus(shared).items(), key=lambda item: (item[0].stat().st_size, item[0])):
        if kind in BORN_DIGITAL and path.stat().st_size <= SMALL:
            by_kind.setdefault(kind, []).append(path)
    rounds = max(map(len, by_kind.values()))
    return [paths[n] for n in range(rounds) for paths in by_kind.values() if n < len(paths)][:FEW]


@pytest.fixture(scope="module")
def embedder() -> WatchedEmbedder:
    found = local_engines().embedder
    assert found is not None
    return WatchedEmbedder(found)


@pytest.fixture(scope="module")
def engines(embedder: WatchedEmbedder) -> Engines:
    return replace(local_engines(), embedder=embedder)


def _rows(uri: Path, collection: str) -> list[dict]:
    with MilvusStore(str(uri)) as store:
        store.count(collection)
        rows = store.client.query(
            collection, filter='pk != ""', output_fields=["*"], consistency_level="Strong", limit=16_000
        )
        return sorted(({**row, "vector": bytes(memoryview(_floats(row)))} for row in rows), key=lambda row: row["pk"])


def _floats(row: dict):
    import numpy as np

    return np.asarray(row["vector"], np.float32)


def _twice(files: list[Path], tmp_path: Path, engines: Engines, embedder: WatchedEmbedder) -> str:
    settings = Settings(state_dir=tmp_path / "state")
    milvus = tmp_path / "milvus.db"

    def run():
        ingestor = Ingestor(engines=engines, settings=settings, workers=2).files([str(path) for path in files])
        ingestor.extract().split(chunk_size=200).embed().vdb_upload(collection_name="twice", milvus_uri=str(milvus))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IngestWarning)
            _, failures, traces = ingestor.ingest(return_failures=True, return_traces=True)
        works = ingestor._outcome.works
        return works, failures, traces, _rows(milvus, "twice")

    works, failures, traces, rows = run()
    assert len(works) + len(failures) == len(files)
    assert all(not work.reused or _equal_bytes(files) for work in works)
    embedded = len(embedder.calls)
    again, failed_again, traces_again, rows_again = run()
    assert rows_again == rows
    assert len(rows) > len(works) / 2
    assert len(embedder.calls) == embedded > 0
    for work in again:
        assert set(work.reused) == set(work.seconds) == {"extract", "split", "embed", "upload"}
        assert sum(usage.requests + usage.items for usage in work.usage.values()) == 0
    assert [(f.document, f.kind) for f in failed_again] == [(f.document, f.kind) for f in failures]
    spent = [sum(sum(trace.values()) for trace in some) for some in (traces, traces_again)]
    refused = dict(Counter(failure.kind for failure in failures))
    return (
        f"{len(works)} files, {len(rows)} rows: {spent[0]:.1f}, then {spent[1]:.1f} stage seconds; refused: {refused}"
    )


def _equal_bytes(files: list[Path]) -> bool:
    """Whether some of the files are copies of each other: the second of two is found done in the first run."""
    return len({path.read_bytes() for path in files}) < len(files)


def test_a_second_run_makes_nothing(shared: Path, tmp_path: Path, engines: Engines, embedder: WatchedEmbedder) -> None:
    files = _few(shared)
    assert len(files) == FEW
    print(_twice(files, tmp_path, engines, embedder))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_second_run_of_the_whole_corpus_makes_nothing(
    shared: Path, tmp_path: Path, engines: Engines, embedder: WatchedEmbedder
) -> None:
    print(_twice(list(_corpus(shared)), tmp_path, engines, embedder))


def test_a_second_run_through_dagster_makes_nothing(
    shared: Path, tmp_path: Path, engines: Engines, embedder: WatchedEmbedder
) -> None:
    class Watched(EnginesResource):
        def engines(self, pipeline, settings):
            return engines

    documents = tmp_path / "documents"
    documents.mkdir()
    for path in _few(shared)[-12:]:
        (documents / path.name).write_bytes(path.read_bytes())
    pipeline = Ingestor().extract().split(chunk_size=200).embed().vdb_upload(collection_name="twice")
    corpus = DocumentCorpus(name="twice", source=documents, pipeline=pipeline, workers=1)
    milvus = tmp_path / "milvus.db"
    resources = {
        STATE: StateResource(state_dir=str(tmp_path / "state")),
        STORE: MilvusResource(uri=str(milvus)),
        ENGINES: Watched(),
    }
    first = materialize_documents(corpus, resources=resources, log_level="CRITICAL")
    good = {key for key, outcome in first.items() if outcome.succeeded}
    assert len(good) >= 8
    rows, embedded = _rows(milvus, "twice"), len(embedder.calls)
    second = materialize_documents(corpus, sorted(good), resources=resources, log_level="CRITICAL")
    assert {outcome.metadata["reused_stages"] for outcome in second.values()} == {"extract, split, embed, upload"}
    assert _rows(milvus, "twice") == rows
    assert len(embedder.calls) == embedded
