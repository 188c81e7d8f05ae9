"""Re-execution, retries, executors: whatever way a run is taken up again, each document's state stays true."""

from __future__ import annotations

import collections
import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from corpus_place import Place

from nemo_retriever_dagster import EnginesResource, Limits, MilvusResource, NimResource
from nemo_retriever_dagster.corpus.metadata import CARRIED, DATA_VERSION
from nemo_retriever_dagster.corpus.partitions import range_tags
from nemo_retriever_dagster.corpus.resources import ENGINES, STORE
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {name: f"The {name} valve opens at {n + 3} bar." for n, name in enumerate(("alpha", "beta", "gamma", "delta"))}
BAD = {"broken": "", "spoilt": ""}

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write(**GOOD, **BAD)
    return made


def tried(place: Place, run: dg.DagsterRun) -> int:
    """Return how many documents the extract op of a run took on."""
    logs = [event.user_message for event in place.instance.all_logs(run.run_id) if event.user_message]
    said = [log for log in logs if log.startswith("extract: ")]
    return sum(int(log.split()[1]) + int(log.split(", ")[-1].split()[0]) for log in said)


def test_a_failed_run_taken_up_again_tries_only_the_bad_documents(place: Place) -> None:
    keys = place.keys()
    first = place.job(keys)
    assert first.is_failure
    assert place.statuses() == {"MATERIALIZED": 4, "FAILED": 2}
    assert tried(place, first) == 6

    place.write(broken="Mended: the seal holds 9 bar.")
    second = place.job(keys, parent=dg.ReexecutionOptions.from_failure(first.run_id, place.instance))
    assert second.is_failure
    assert place.statuses() == {"MATERIALIZED": 5, "FAILED": 1}
    assert [failure.attempts for failure in place.failures().values()] == [2]
    carried = {key: place.latest(key).metadata for key in place.keys(*GOOD)}
    assert {facts[CARRIED].value for facts in carried.values()} == {first.run_id}
    assert {facts["rows"].value for facts in carried.values()} == {1}
    runs = {key: receipt.run_id for key, receipt in place.receipts().items()}
    assert collections.Counter(runs.values()) == {first.run_id: 4, second.run_id: 1}

    place.write(spoilt="Mended: the other seal holds 8 bar.")
    third = place.job(keys, parent=dg.ReexecutionOptions(second.run_id))
    assert third.is_success
    assert tried(place, third) == 1
    assert place.statuses() == {"MATERIALIZED": 6}
    assert all("rows" in place.latest(key).metadata for key in keys)
    _a_stale_success_is_not_carried_over(place, third)


def _a_stale_success_is_not_carried_over(place: Place, third: dg.DagsterRun) -> None:
    """A document that was written anew since is not said to be as an older run left it."""
    place.write(alpha="The alpha valve was replaced and opens at 40 bar.")
    (key,) = place.keys("alpha")
    newer = place.run("alpha")["alpha"]
    assert newer.succeeded
    again = place.job(place.keys(), parent=dg.ReexecutionOptions(third.run_id))
    assert again.is_success
    assert tried(place, again) == 1
    assert (place.latest(key).tags or {})[DATA_VERSION] == newer.metadata["sha256"]


def test_a_run_taken_up_again_settles_no_document_as_it_was_before_another_run_or_look(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(alpha=GOOD["alpha"], beta=GOOD["beta"], broken="")
    first = place.job(place.keys())
    place.write(alpha="The alpha valve was replaced and opens at 40 bar.", beta="The beta valve opens at 41 bar now.")
    place.run("alpha")
    with place.ledger() as ledger:
        ledger.remember("notes", place.corpus.plant.documents().list())
    place.job(place.keys(), parent=dg.ReexecutionOptions.from_failure(first.run_id, place.instance))
    for name in ("alpha", "beta"):
        (key,) = place.keys(name)
        now = hashlib.sha256((place.source / f"{name}.txt").read_bytes()).hexdigest()
        assert (place.latest(key).tags or {})[DATA_VERSION] == now == place.receipts()[key].sha256


@pytest.mark.slow
def test_both_executors_tell_the_same(tmp_path: Path) -> None:
    told = {}
    for executor in ("in_process", "multiprocess"):
        root = tmp_path / executor
        root.mkdir()
        place = Place(root, rows=False)
        place.write(alpha=GOOD["alpha"], broken="")
        run = place.job(place.keys(), executor)
        assert run.is_failure
        (good,) = place.keys("alpha")
        facts = {n: v.value for n, v in place.latest(good).metadata.items() if "seconds" not in n and n != "source"}
        failure = next(iter(place.failures().values()))
        told[executor] = (place.statuses(), facts, failure.stage, failure.kind, failure.attempts)
    assert told["in_process"] == told["multiprocess"]


def tried_again(place: Place, run_id: str) -> set[str]:
    """Return the steps of a run that asked for a retry."""
    events = [e.dagster_event for e in place.instance.all_logs(run_id) if e.dagster_event]
    return {str(e.step_key) for e in events if e.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY}


def test_an_engine_that_is_down_is_asked_again_only_for_the_documents_that_failed(place: Place) -> None:
    with NimServer(dimension=8) as server:
        server.inject(Fault(kind=FaultKind.BROKEN, port="embedder", first=2, times=3))
        nim = NimResource(urls=server.url("embedder"), attempts=1, concurrency=1, batch=1, dimensions=8)
        outcomes = place.run(**{ENGINES: EnginesResource(embedder=nim)})
        assert {name for name, outcome in outcomes.items() if outcome.succeeded} == set(GOOD)
        assert server.count("embedder") == 4 + 3  # each good document once, and the three calls that failed
    assert tried_again(place, outcomes["alpha"].run_id) == {"notes.embed"}
    assert {outcomes[name].metadata["reused_stages"] for name in GOOD} == {"none"}, "what was done was left alone"
    assert {failure.attempts for failure in place.failures().values()} == {1}  # corrupt data is not tried again


def test_an_engine_that_stays_down_is_each_document_s_failure(place: Place) -> None:
    with NimServer(dimension=8) as server:
        server.inject(Fault(kind=FaultKind.BROKEN, port="embedder", times=0))
        nim = NimResource(urls=server.url("embedder"), attempts=1, concurrency=1, dimensions=8)
        outcomes = place.run("alpha", "broken", **{ENGINES: EnginesResource(embedder=nim)})
        facts = outcomes["alpha"].metadata
        assert (facts["stage"], facts["category"], facts["attempts"]) == ("embed", "infrastructure", 3)
        assert tried_again(place, outcomes["alpha"].run_id) == {"notes.embed"}, "no later stage can help"
        assert outcomes["broken"].metadata["stage"] == "extract"
        server.mend()
        again = place.run("alpha", **{ENGINES: EnginesResource(embedder=nim)})["alpha"]
    assert again.succeeded
    assert again.metadata["reused_stages"] == "extract, split"


def test_an_engine_out_of_reach_is_told_by_name_and_not_begun(place: Place) -> None:
    nim = NimResource(urls="http://127.0.0.1:9", attempts=1, dimensions=8)
    outcome = place.run("alpha", **{ENGINES: EnginesResource(embedder=nim, ready_timeout=0)})["alpha"]
    assert outcome.metadata["stage"] == "embed"
    assert "127.0.0.1:9" in outcome.metadata["cause"]


_HOLD = """
import sys, time
from nemo_retriever_dagster.vdb.milvus import MilvusStore
with MilvusStore(sys.argv[1], what="a long import") as store:
    store.collections()
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_a_run_that_finds_milvus_lite_held_waits_or_names_the_holder(tmp_path: Path) -> None:
    place = Place(tmp_path, retry_policy=dg.RetryPolicy(max_retries=0))
    place.write(alpha=GOOD["alpha"])
    uri = str(tmp_path / "milvus.db")
    command = [sys.executable, "-c", _HOLD, uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "in\n"
        refused = place.run("alpha", **{STORE: MilvusResource(uri=uri, wait=0.2)})["alpha"]
        assert (refused.metadata["stage"], refused.metadata["category"]) == ("upload", "infrastructure")
        assert "a long import" in refused.metadata["cause"]
        assert str(holder.pid) in refused.metadata["cause"]
        holder.stdin.close()
    waited = place.run("alpha")["alpha"]
    assert waited.succeeded
    assert waited.metadata["reused_stages"] == "extract, split, embed"


def test_scattered_documents_run_in_ranges_and_touch_no_others(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(**{name: name for name in "abcdef"})
    place.run()
    before = {key: receipt.run_id for key, receipt in place.receipts().items()}
    place.write(a="new", b="new", e="new")
    outcomes = place.run("a", "b", "e")
    assert len({outcome.run_id for outcome in outcomes.values()}) == 2
    assert outcomes["a"].run_id == outcomes["b"].run_id
    changed = {key for key, receipt in place.receipts().items() if receipt.run_id != before[key]}
    assert changed == set(place.keys("a", "b", "e"))


def test_plain_dagster_materializes_one_document(place: Place) -> None:
    (key,) = place.keys("alpha")
    corpus, instance = place.corpus, place.instance
    resources = {**corpus.resources(), **place.resources}
    with pytest.raises(dg.DagsterUnknownPartitionError):
        dg.materialize([corpus.asset], partition_key=key, instance=instance, resources=resources)
    instance.add_dynamic_partitions("notes_documents", [key])
    result = dg.materialize([corpus.asset], partition_key=key, instance=instance, resources=resources)
    assert result.success
    assert place.latest(key).metadata["rows"].value == 1
    with MilvusStore(str(place.root / "milvus.db")) as store:
        assert store.census("notes") == {key: {place.receipts()[key].generation: 1}}


@pytest.mark.parametrize("awaited", [False, True])
def test_an_asset_that_waits_for_the_corpus_runs_in_the_same_run(tmp_path: Path, *, awaited: bool) -> None:
    place = Place(tmp_path, rows=False)
    place.write(alpha="A", beta="B")
    result = run_with_a_digest(place, awaited=awaited)
    assert result.success
    told = collections.Counter(event.asset_key.to_user_string() for event in result.get_asset_materialization_events())
    assert told == ({"notes": 4, "digest": 2} if awaited else {"notes": 2})
    keys = place.keys()
    assert {place.latest(key).metadata["chunks"].value for key in keys} == {1}


def run_with_a_digest(place: Place, *, awaited: bool = True) -> dg.ExecuteInProcessResult:
    """Run all documents, with an asset of the same partitions that waits for them where ``awaited``."""
    keys = place.keys()
    place.instance.add_dynamic_partitions("notes_documents", keys)
    policy = dg.BackfillPolicy.multi_run(200)

    @dg.asset(deps=[place.corpus.key], partitions_def=place.corpus.partitions_def, backfill_policy=policy)
    def digest() -> None:
        pass

    return dg.materialize(
        [place.corpus.asset, digest] if awaited else [place.corpus.asset],
        tags=range_tags("notes", keys),
        instance=place.instance,
        resources={**place.corpus.resources(), **place.resources},
        raise_on_error=False,
    )


def test_a_bad_document_is_red_although_another_asset_waits(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(alpha="A", broken="")
    result = run_with_a_digest(place)
    assert not result.success
    assert place.statuses() == {"MATERIALIZED": 1, "FAILED": 1}


def test_a_partition_without_a_document_fails_at_the_source(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(alpha="A", beta="B")
    place.run()
    (gone,) = place.keys("beta")
    (place.source / "beta.txt").unlink()
    (place.source / "alpha.txt").touch()
    for key in ("no-such-note.txt.0123456789", gone):
        for attempt in (1, 2):
            place.job([key])
            failure = place.failures()[key]
            assert (failure.stage, failure.category, failure.attempts) == ("source", "data", attempt)
            assert failure.kind == "DocumentGoneError"
            assert failure.hint


def test_a_document_above_the_limits_of_its_corpus_fails_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, limits=Limits(text_chars=50))
    place.write(a="A valve.", b="A pump. " * 20)
    found = place.run()
    assert (found["a"].succeeded, found["b"].succeeded) == (True, False)
    assert "text_chars" in found["b"].metadata["cause"]
