"""One run over a hundred documents of which three are corrupt: each tells its own truth, and only three are retried."""

from __future__ import annotations

import collections
from pathlib import Path

import dagster as dg
import pytest

from nemo_retriever_dagster import DocumentCorpus, Ingestor, MilvusResource, StateResource, materialize_documents
from nemo_retriever_dagster.corpus.resources import STATE, STORE
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.vdb.milvus import MilvusStore

GOOD, BAD = 97, 3
Status = dg.AssetPartitionStatus if hasattr(dg, "AssetPartitionStatus") else None

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


def fill(folder: Path) -> None:
    folder.mkdir()
    for n in range(GOOD):
        (folder / f"note-{n:03}.txt").write_text(
            f"Note {n}. The bolt of wheel {n} is tightened to {n + 5} newton metres.\n"
        )
    for n in range(BAD):
        (folder / f"zz-broken-{n}.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)))


class Place:
    """A corpus in a folder of its own, with everything it keeps."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = root / "documents"
        self.resources = {
            STATE: StateResource(state_dir=str(root / "state")),
            STORE: MilvusResource(uri=str(root / "milvus.db")),
        }
        (root / "home").mkdir()
        self.instance = dg.DagsterInstance.local_temp(str(root / "home"))

    def corpus(self, **split: int) -> DocumentCorpus:
        pipeline = Ingestor().extract().split(**split).embed().vdb_upload(collection_name="notes")
        return DocumentCorpus(name="notes", source=self.source, pipeline=pipeline, batch_size=200, workers=1)

    def run(self, corpus: DocumentCorpus, keys: list[str] | None = None):
        return materialize_documents(
            corpus, keys, instance=self.instance, resources=self.resources, log_level="CRITICAL"
        )

    def statuses(self, corpus: DocumentCorpus) -> dict[str, str]:
        keys = self.instance.get_dynamic_partitions("notes_documents")
        found = self.instance.get_status_by_partition(corpus.key, keys, corpus.partitions_def) or {}
        return {key: status.value for key, status in found.items() if status is not None}

    def rows(self) -> dict[str, tuple[str, str]]:
        with MilvusStore(str(self.root / "milvus.db")) as store:
            found = store.select("notes", where="", limit=10_000)
            return {row.id: (row.text, row.content_metadata["run_id"]) for row in found}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    fill(made.source)
    return made


def test_each_document_of_a_run_tells_its_own_truth(place: Place) -> None:
    corpus = place.corpus()
    outcomes = place.run(corpus)

    assert collections.Counter(outcome.succeeded for outcome in outcomes.values()) == {True: GOOD, False: BAD}
    assert len({outcome.run_id for outcome in outcomes.values()}) == 1
    assert collections.Counter(place.statuses(corpus).values()) == {"MATERIALIZED": GOOD, "FAILED": BAD}
    for outcome in outcomes.values():
        facts = outcome.metadata
        if outcome.succeeded:
            assert (facts["chunks"], facts["rows"], facts["elements"]) == (1, 1, 1)
            assert facts["tokens"] > 5
            assert len(facts["sha256"]) == 64
            assert facts["source"] == outcome.uri
            assert {"seconds/extract", "seconds/split", "seconds/embed", "seconds/upload"} <= set(facts)
        else:
            assert (facts["stage"], facts["category"]) == ("extract", "data")
            assert facts["cause"]
            assert facts["hint"]
    _versions_are_the_bytes(place, corpus, outcomes)

    first = place.rows()
    assert len(first) == GOOD
    _only_the_failed_are_tried_again(place, corpus, outcomes)
    assert place.rows() == first


def _versions_are_the_bytes(place: Place, corpus: DocumentCorpus, outcomes) -> None:
    key, outcome = next((key, outcome) for key, outcome in outcomes.items() if outcome.succeeded)
    records = place.instance.fetch_materializations(dg.AssetRecordsFilter(corpus.key, asset_partitions=[key]), limit=1)
    event = records.records[0].asset_materialization
    assert event is not None
    assert (event.tags or {})["dagster/data_version"] == outcome.metadata["sha256"]


def _only_the_failed_are_tried_again(place: Place, corpus: DocumentCorpus, outcomes) -> None:
    failed = [key for key, outcome in outcomes.items() if not outcome.succeeded]
    mended = place.source / "zz-broken-0.pdf"
    mended.write_bytes((Path(__file__).parents[2] / "assets/sample/bearings.pdf").read_bytes())
    again = place.run(corpus, failed)
    assert set(again) == set(failed)
    assert sum(outcome.succeeded for outcome in again.values()) == 1
    assert collections.Counter(place.statuses(corpus).values()) == {"MATERIALIZED": GOOD + 1, "FAILED": BAD - 1}
    with Ledger(place.resources[STATE].settings().ledger) as ledger:
        assert {failure.attempts for failure in ledger.failures("notes")} == {2}
    mended.write_bytes(b"%PDF-1.7\n" + bytes(range(256)))
    (key,) = [key for key, outcome in again.items() if outcome.succeeded]
    with MilvusStore(str(place.root / "milvus.db")) as store:
        assert store.count("notes", key) == again[key].metadata["rows"]
        store.delete("notes", key)


def test_a_changed_option_runs_only_the_stages_it_touches(place: Place) -> None:
    for path in sorted(place.source.iterdir())[5:]:
        path.unlink()
    first = place.run(place.corpus(chunk_size=200, chunk_overlap=0))
    assert {outcome.metadata["reused_stages"] for outcome in first.values()} == {"none"}

    second = place.run(place.corpus(chunk_size=200, chunk_overlap=0))
    assert {outcome.metadata["reused_stages"] for outcome in second.values()} == {"extract, split, embed, upload"}

    third = place.run(place.corpus(chunk_size=8, chunk_overlap=0))
    assert {outcome.metadata["reused_stages"] for outcome in third.values()} == {"extract"}
    rows = place.rows()
    assert len(rows) == sum(outcome.metadata["rows"] for outcome in third.values()) > len(third)
