"""Runs, removals and discovery that come in each other's way: nothing is undone, nothing is left without a partition."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from corpus_place import Place, asked, reconcile, remove, tick
from dagster._core.errors import DagsterExecutionInterruptedError

from nemo_retriever_dagster import DocumentCorpus, Ingestor, materialize_documents
from nemo_retriever_dagster.corpus.discovery import look
from nemo_retriever_dagster.corpus.ops import stage_op
from nemo_retriever_dagster.corpus.partitions import PARTITION, RANGE_END, RANGE_START, range_tags
from nemo_retriever_dagster.corpus.session import through
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import BUILD_MARK
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.work import Work

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


def put_back(path: Path, away: Path) -> None:
    away.rename(path)  # with the time it had: the version is the former one


def test_a_document_taken_out_and_put_back_is_asked_for_again(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B")
    first = tick(place).run_requests
    place.run()
    path, away = place.source / "b.txt", tmp_path / "away.txt"
    removals, requests = [], [request.run_key for request in first]
    for _ in range(2):
        path.rename(away)
        (removal,) = tick(place).run_requests
        remove(place, removal)
        removals.append(removal.run_key)
        put_back(path, away)
        (again,) = tick(place).run_requests
        assert asked(place, [again]) == [place.keys("b")]
        requests.append(again.run_key)
        place.run("b")
    assert len(set(removals)) == 2, "deleted twice within the hour"
    assert len(set(requests)) == 3, "one that Dagster has seen is dropped"


def test_documents_that_got_in_elsewhere_get_their_partitions(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", empty="")
    with dg.DagsterInstance.ephemeral() as elsewhere:
        materialize_documents(place.corpus, instance=elsewhere, resources=place.resources, log_level="CRITICAL")
    assert [sorted(keys) for keys in asked(place, tick(place).run_requests)] == [sorted(place.keys())]
    assert not place.run()["empty"].succeeded
    assert place.statuses() == {"MATERIALIZED": 1, "FAILED": 1}
    assert tick(place).run_requests == []


def test_the_schedule_runs_what_is_in_but_not_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.", b="A pump.")
    place.run("b")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nemo_retriever_dagster.corpus.settle.judge", killed)
        assert not place.run("a")["a"].succeeded
    assert set(place.receipts()) == set(place.keys("a", "b"))
    assert asked(place, reconcile(place).run_requests) == [place.keys("a")]
    assert place.run("a")["a"].succeeded
    assert reconcile(place, day=1).skip_message == "2 unchanged"


@pytest.mark.parametrize("launched", ["by its sensor", "in the UI"])
def test_the_schedule_leaves_out_what_a_waiting_run_takes_on(tmp_path: Path, launched: str) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B", c="C")
    (request,) = tick(place).run_requests
    a, b, c = place.keys("a", "b", "c")
    for tags in [range_tags("notes", [a, b])] if launched == "by its sensor" else [{PARTITION: a}, {PARTITION: b}]:
        place.instance.create_run_for_job(
            place.corpus.definitions().resolve_job_def("notes_ingest"),
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags=tags,
        )
    assert asked(place, [request]) == [place.keys()]
    assert asked(place, reconcile(place).run_requests) == [[c]]


@pytest.mark.parametrize("launched", ["by its sensor", "as a backfill"])
def test_the_schedule_does_not_take_the_runs_of_another_corpus_of_the_same_source_for_its_own(
    tmp_path: Path, launched: str
) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B")
    tick(place)
    keys = place.instance.get_dynamic_partitions("notes_documents")
    place.instance.add_dynamic_partitions("other_documents", keys)
    other = DocumentCorpus(name="other", source=place.source, pipeline=Ingestor().extract().split())
    tags = range_tags("other", keys)
    place.instance.create_run_for_job(
        other.definitions().resolve_job_def("other_ingest"),
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags=tags if launched == "by its sensor" else {name: tags[name] for name in (RANGE_START, RANGE_END)},
        asset_selection=None if launched == "by its sensor" else frozenset({other.key}),
    )
    assert asked(place, reconcile(place).run_requests) == [keys]


def test_a_removal_leaves_the_ends_of_the_ranges_of_unfinished_runs(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(**{name: name for name in "abcd"})
    place.run()
    keys = place.keys("a", "b", "c", "d")
    job = place.corpus.definitions().resolve_job_def("notes_ingest")
    run = place.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.NOT_STARTED, tags=range_tags("notes", keys[:3])
    )
    for name in "bcd":
        (place.source / f"{name}.txt").unlink()
    remove(place, tick(place).run_requests[0])
    left = place.instance.get_dynamic_partitions("notes_documents")
    assert sorted(left) == sorted([keys[0], keys[2]]), "c ends the range; b and d went"
    assert set(place.receipts()) == {keys[0]}

    place.instance.report_run_canceled(run)
    remove(place, tick(place).run_requests[0])
    assert place.instance.get_dynamic_partitions("notes_documents") == [keys[0]]


def test_a_removal_leaves_rows_that_another_corpus_vouches_for(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.", b="A pump.")
    place.run()
    pipeline = Ingestor().extract().split().embed().vdb_upload(collection_name="notes")
    other = DocumentCorpus(name="pumps", source=place.source / "b.txt", pipeline=pipeline, workers=1)
    found = materialize_documents(other, instance=place.instance, resources=place.resources, log_level="CRITICAL")
    assert all(outcome.succeeded for outcome in found.values())
    b = place.keys("b")
    place.corpus = DocumentCorpus(name="notes", source=place.source / "a.txt", pipeline=pipeline, workers=1)
    remove(place, tick(place).run_requests[0])
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        assert set(store.census("notes")) == {*place.keys("a"), *b}


def test_a_slow_run_of_an_older_version_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.write(a="The first edition.")
    attempt, begun = Runner.attempt, []

    async def overtaken(self: Runner, stage: Stage, work: Work) -> Any:
        if stage is Stage.UPLOAD and not begun:
            begun.append(work)
            place.write(a="The second edition, which is longer.")
            monkeypatch.setattr(Runner, "attempt", attempt)
            assert (await asyncio.to_thread(place.run))["a"].succeeded
        return await attempt(self, stage, work)

    monkeypatch.setattr(Runner, "attempt", overtaken)
    slow = place.run()["a"]
    assert (slow.succeeded, slow.metadata["cause"], slow.metadata["attempts"]) == (False, _superseded(place), 1)
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        (row,) = store.select("notes", where="pk != {none}", values={"none": ""})
    assert row.text == "The second edition, which is longer."
    assert place.failures() == {}
    assert place.statuses() == {"MATERIALIZED": 1}
    assert reconcile(place).skip_message == "1 unchanged"


def _superseded(place: Place) -> str:
    return f"{place.source / 'a.txt'} was changed since it was read, and the new version is in."


@pytest.mark.parametrize(("category", "stage"), [("misuse", "embed"), ("data", "source")])
def test_what_other_bytes_do_not_help_is_taken_up_by_the_schedule(tmp_path: Path, category: str, stage: str) -> None:
    """A key that was rejected, a share that was away in the middle of a run."""
    place = Place(tmp_path, rows=False)
    place.write(a="A", empty="")
    tick(place)
    place.run("empty")
    (document,) = (one for one in place.corpus.plant.documents().list() if one.key in place.keys("a"))
    with place.ledger() as ledger:
        failure = Failure(document=document.key, uri=document.uri, stage=stage, category=category, kind="E", cause="C")
        ledger.fail("notes", failure)
    assert asked(place, reconcile(place).run_requests) == [place.keys("a")]


def test_two_names_that_are_one_to_a_partition_key_are_told(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    for name in ("caf\u00e9", "cafe\u0301"):
        (place.source / f"{name}.txt").write_text("Open daily.")
    if len(list(place.source.iterdir())) < 2:
        pytest.skip("this file system knows one form only")
    assert len(asked(place, tick(place).run_requests)[0]) == 1
    with place.ledger() as ledger:
        (lost,) = look(place.corpus, ledger).passed_over
    assert "same partition key" in lost.reason


def test_a_run_that_is_told_to_end_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.")
    calls = []

    async def told_to_end(self: Runner, stage: Stage, work: Work) -> Any:
        calls.append(stage)
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(Runner, "attempt", told_to_end)
    assert not place.run()["a"].succeeded
    assert calls == [Stage.EXTRACT]


def test_an_error_that_is_no_documents_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.")
    calls = []

    def broken_once(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise OSError("The disk is away.")
        return through(*given)

    monkeypatch.setattr("nemo_retriever_dagster.corpus.ops.through", broken_once)
    assert place.run()["a"].succeeded
    assert stage_op(place.corpus.plant, Stage.EMBED, pool=None, policy=dg.RetryPolicy()).retry_policy is None


def test_a_removal_takes_the_rows_although_a_build_that_broke_off_has_the_document(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(a="A valve.", b="A pump.")
    place.run()
    (key,) = place.keys("a")
    with place.ledger() as ledger:
        ledger.commit(f"notes{BUILD_MARK}notes_v2", place.receipts()[key])
    (place.source / "a.txt").unlink()
    (request,) = tick(place).run_requests
    remove(place, request)
    with MilvusStore(str(place.root / "milvus.db")) as store:
        assert set(store.census("notes")) == set(place.keys("b"))
