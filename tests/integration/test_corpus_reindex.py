"""Re-indexing a corpus: by its job, and from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from corpus_place import Place

from nemo_retriever_dagster import DocumentCorpus, Ingestor
from nemo_retriever_dagster.cli import main
from nemo_retriever_dagster.corpus.runs import materialized_by
from nemo_retriever_dagster.errors import InvalidOptionError, VerificationError
from nemo_retriever_dagster.planning import MassDeletionError
from nemo_retriever_dagster.vdb.milvus import MilvusStore
from nemo_retriever_dagster.verification import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dagster as dg

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")

TEXT = "The bolt of the saddle is tightened to fourteen newton metres. " * 8


def reindex(place: Place, corpus: DocumentCorpus, *, drop: bool = False) -> dg.ExecuteInProcessResult:
    job = corpus.definitions(resources=place.resources).resolve_job_def("notes_reindex")
    config = {"ops": {"reindex": {"config": {"drop_former": drop}}}}
    return job.execute_in_process(instance=place.instance, run_config=config)


def collections(place: Place) -> Mapping[str, int]:
    with MilvusStore(str(place.root / "milvus.db")) as store:
        return {name: store.count(name) for name in store.collections()}


def test_new_options_are_built_beside_and_switched_to(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a=TEXT, b=TEXT, broken="")
    place.run()
    rows = collections(place)["notes"]
    place.write(late="A document that no run has seen.")
    (place.source / "b.txt").unlink()

    finer = place.make(chunk_size=20)
    assert reindex(place, finer).success
    found = collections(place)
    assert (set(found), found["notes_v1"]) == ({"notes_v1", "notes_v2"}, rows)
    with MilvusStore(str(tmp_path / "milvus.db")) as store, place.ledger() as ledger:
        assert store.alias_target("notes") == "notes_v2"
        assert set(store.census("notes")) == set(place.keys("a", "late"))
        found = verify("notes", finer.pipeline, ledger, store, only=place.keys("a", "late"))
        assert (found.documents, found.problems) == (2, ())
        assert ledger.corpora() == ["notes"]
    outcomes = place.run("a", "late", corpus=finer)
    assert all(outcome.succeeded for outcome in outcomes.values())
    assert all("upload" in outcome.metadata["reused_stages"] for outcome in outcomes.values()), "nothing to write again"

    assert reindex(place, finer, drop=True).success
    assert set(collections(place)) == {"notes_v2"}, "nothing to build; what served before is dropped when asked"


def test_the_partitions_tell_the_new_rows(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a=TEXT, broken="")
    place.run()
    key, broken = place.keys("a", "broken")
    place.write(late="A document that no run has seen.")
    result = reindex(place, place.make(chunk_size=20))
    told, receipt = place.latest(key), place.receipts()[key]
    said = {name: told.metadata[name].value for name in ("generation", "rows", "dagster/partition_row_count")}
    assert said == {"generation": receipt.generation, "rows": receipt.rows, "dagster/partition_row_count": receipt.rows}
    assert receipt.rows > 1
    assert place.statuses() == {"MATERIALIZED": 1, "FAILED": 1}
    assert set(place.instance.get_dynamic_partitions("notes_documents")) == {key, broken}
    assert set(materialized_by(place.instance, result.run_id, place.corpus.key)) == {key}


def test_a_failed_document_and_a_vanished_source_keep_what_serves(tmp_path: Path) -> None:
    place = Place(tmp_path, max_deletions=1)
    place.write(a=TEXT, b=TEXT, c=TEXT)
    place.run()
    finer = place.make(chunk_size=20)
    place.write(b="")
    with pytest.raises(VerificationError, match="1 documents that are searched now are not in it"):
        reindex(place, finer)
    (place.source / "b.txt").unlink()
    (place.source / "c.txt").unlink()
    with pytest.raises(MassDeletionError, match="2 of 3"):
        reindex(place, finer)
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        assert store.alias_target("notes") is None
        assert len(store.census("notes")) == 3
    place.write(b=TEXT, c=TEXT)
    assert reindex(place, finer).success
    assert len(place.receipts()) == 3


def test_a_run_of_some_partitions_cannot_re_index() -> None:
    pipeline = Ingestor().extract().embed().vdb_upload(collection_name="notes", reindex=True)
    with pytest.raises(InvalidOptionError, match="nrd reindex"):
        DocumentCorpus(name="notes", source="docs", pipeline=pipeline)


DEFINITIONS = """
from pathlib import Path
from nemo_retriever_dagster import DocumentCorpus, Ingestor

pipeline = Ingestor().extract().split(chunk_size=SIZE).embed().vdb_upload(collection_name="notes", milvus_uri="notes.db")
notes = DocumentCorpus(name="notes", source=Path(__file__).parent / "docs", pipeline=pipeline, workers=1)
"""


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/bolts.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    run = CliRunner().invoke
    (tmp_path / "definitions.py").write_text(DEFINITIONS.replace("SIZE", "60"))
    assert run(main, ["ingest"]).exit_code == 0
    (tmp_path / "definitions.py").write_text(DEFINITIONS.replace("SIZE", "20"))
    assert "1 outdated" in run(main, ["plan"]).output
    done = run(main, ["reindex", "--drop-former"])
    assert (done.exit_code, "complete and up to date" in done.output) == (0, True), done.output
    assert "1 unchanged" in run(main, ["plan"]).output
    with MilvusStore("notes.db") as store:
        assert store.collections() == ["notes_v2"]
    (tmp_path / "docs/bolts.txt").write_bytes(b"")
    (tmp_path / "definitions.py").write_text(DEFINITIONS.replace("SIZE", "30"))
    failed = run(main, ["reindex"])
    assert failed.exit_code == 2
    assert "The former collection still serves" in failed.output
    assert "Traceback" not in failed.output
