"""A document that two corpora, or an `Ingestor` and a corpus, write into one collection with different options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from corpus_place import Place, remove, tick

from nemo_retriever_dagster import DocumentCorpus, Ingestor, materialize_documents
from nemo_retriever_dagster.corpus.resources import STATE
from nemo_retriever_dagster.vdb.milvus import MilvusStore
from nemo_retriever_dagster.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster import DocumentOutcome

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")

TEXT = "The bolt of the saddle is tightened to fourteen newton metres. " * 8


def finer(place: Place) -> DocumentCorpus:
    """Return a corpus of the same source and collection as the place's, that cuts finer."""
    pipeline = Ingestor().extract().split(chunk_size=20).embed().vdb_upload(collection_name="notes")
    return DocumentCorpus(name="finer", source=place.source, pipeline=pipeline, workers=1)


def run(place: Place, corpus: DocumentCorpus) -> DocumentOutcome:
    (found,) = materialize_documents(
        corpus, instance=place.instance, resources=place.resources, log_level="CRITICAL"
    ).values()
    return found


def test_two_corpora_do_not_sweep_each_other_and_a_reindex_takes_the_collection_over(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a=TEXT)
    place.run()
    other = finer(place)
    refused = run(place, other)
    assert (refused.succeeded, refused.metadata["stage"], refused.metadata["category"]) == (False, "upload", "misuse")
    said = f"{place.source / 'a.txt'} is in the collection notes by the corpus 'notes', with other options."
    assert refused.metadata["cause"] == said
    with MilvusStore(str(tmp_path / "milvus.db")) as store, place.ledger() as ledger:
        assert verify("notes", place.corpus.pipeline, ledger, store).problems == ()

    job = other.definitions(resources=place.resources).resolve_job_def("finer_reindex")
    assert job.execute_in_process(instance=place.instance).success
    assert run(place, other).succeeded
    place.write(a=TEXT + "And once more.")
    assert "by the corpus 'finer'" in place.run()["a"].metadata["cause"]
    assert run(place, other).succeeded


@pytest.mark.parametrize("run_again", [False, True])
def test_a_removal_takes_rows_that_a_pipeline_without_upload_left(tmp_path: Path, run_again: bool) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.", b="A pump.")
    place.run()
    (a,) = place.keys("a")
    place.corpus = DocumentCorpus(name="notes", source=place.source, pipeline=Ingestor().extract().split(), workers=1)
    if run_again:
        assert all(outcome.succeeded for outcome in place.run().values())
    (place.source / "b.txt").unlink()
    remove(place, tick(place).run_requests[0])
    assert set(place.receipts()) == {a}
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        assert set(store.census("notes")) == {a}


def test_an_ingestor_does_not_sweep_the_rows_of_a_corpus(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a=TEXT)
    place.run()
    once = Ingestor(place.source, settings=place.resources[STATE].settings(), workers=1)
    once.extract().split(chunk_size=20).embed()
    once.vdb_upload(collection_name="notes", milvus_uri=str(tmp_path / "milvus.db"))
    _, (failure,) = once.ingest(return_failures=True)
    assert "is in the collection notes by the corpus 'notes'" in failure.cause
    assert place.run()["a"].metadata["reused_stages"].endswith("upload"), "nothing to write again"
