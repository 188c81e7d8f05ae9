"""Runs share a NIM: never more requests in flight than its pool's limit times the concurrency of an op's client."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from nim_pool_run import corpus
from PIL import Image

from nemo_retriever_dagster import DocumentCorpus, Ingestor
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.testing import NimServer

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPLOY = Path(__file__).parents[2] / "deploy"
RUN = Path(__file__).with_name("nim_pool_run.py")
DOCUMENTS = 30  # in two runs
CAPTIONS, EMBEDDINGS = 3, 2  # requests in flight, each client
POOLS = {"nim-captioner": 2, "nim-embedder": 1}


def written(root: Path) -> None:
    out = io.BytesIO()
    Image.effect_noise((200, 150), 40).convert("RGB").save(out, "JPEG")
    image = base64.b64encode(out.getvalue()).decode()
    (root / "documents").mkdir()
    for number in range(DOCUMENTS):
        page = (
            f'<h1>Document {number}</h1><p>Before.</p><img src="data:image/jpeg;base64,{image}"><p>After {number}.</p>'
        )
        (root / "documents" / f"{number:02}.html").write_text(f"<html><body>{page}</body></html>")


def run_at_once(options: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Start a process for each run, let them go together, return what they say in the end."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(RUN), json.dumps(given)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for given in options
        ]
        for process in processes:
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in processes]


def times(instance: dg.DagsterInstance, run_id: str, step: str) -> tuple[float, float]:
    (found,) = instance.get_run_step_stats(run_id, [f"figures.{step}"])
    assert found.start_time is not None
    assert found.end_time is not None
    return found.start_time, found.end_time


def overlap(spans: Sequence[tuple[float, float]]) -> float:
    """Return the seconds for which both spans last; negative is the time between them."""
    return min(end for _, end in spans) - max(start for start, _ in spans)


def test_two_runs_in_two_processes_keep_to_the_pools(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "home").mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path / "home")
    with (
        dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance,
        NimServer(latency={"captioner": 1.0, "embedder": 0.2}) as server,
    ):
        for pool, limit in POOLS.items():
            instance.event_log_storage.set_concurrency_slots(pool, limit)
        keys = sorted(document.key for document in corpus(tmp_path).plant.documents().list())
        instance.add_dynamic_partitions("figures_documents", keys)
        common = {
            "root": str(tmp_path),
            "captioner": server.url("captioner"),
            "embedder": server.url("embedder"),
            "captions": CAPTIONS,
            "embeddings": EMBEDDINGS,
        }
        # One more round of captions in the second run: two ops that ask in the same millisecond both get a slot, as
        # Dagster looks for a free one and takes it in two statements, and SQLite has no row locks.
        less = DOCUMENTS // 2 - 1
        said = run_at_once([{**common, "keys": keys[:less]}, {**common, "keys": keys[less:]}])
        assert [one["good"] for one in said] == [less, DOCUMENTS - less]
        assert server.count("captioner") == DOCUMENTS
        runs = [one["run"] for one in said]
        # Two slots: both ops at once, each with the requests of its own client.
        assert overlap([times(instance, run, "caption") for run in runs]) > 0
        assert server.peak("captioner") == 2 * CAPTIONS
        # One slot: the second run's op waits for the first's to end.
        assert overlap([times(instance, run, "embed") for run in runs]) <= 0
        assert server.peak("embedder") == EMBEDDINGS


def pools(made: DocumentCorpus) -> dict[str, str | None]:
    graph = made.asset.node_def
    assert isinstance(graph, dg.GraphDefinition)
    return {name: getattr(node.definition, "pool", None) for name, node in graph.node_dict.items()}


def test_every_stage_that_calls_a_nim_carries_its_pool() -> None:
    pipeline = Ingestor().extract().split().caption().embed().vdb_upload(collection_name="x")
    found = pools(DocumentCorpus(name="x", source="documents", pipeline=pipeline))
    assert found["caption"] == "nim-captioner"
    assert found["embed"] == "nim-embedder"
    assert found["upload"] == "milvus"
    assert {found[name] for name in ("plan", "extract", "split", "settle")} == {None}
    named = {Stage.EXTRACT: "nim-extraction", Stage.EMBED: "gpu-7"}
    found = pools(DocumentCorpus(name="x", source="documents", pipeline=pipeline, pools=named))
    assert (found["extract"], found["embed"], found["caption"]) == ("nim-extraction", "gpu-7", "nim-captioner")


@pytest.mark.parametrize("name", ["dagster.yaml", "dagster.server.yaml"])
def test_a_run_that_died_gives_its_slots_back(name: str) -> None:
    """Without this a killed run keeps its pool's only slot, and every later run waits for ever."""
    yaml = pytest.importorskip("yaml")
    monitoring = yaml.safe_load((DEPLOY / name).read_text())["run_monitoring"]
    assert monitoring["enabled"] is True
    assert 0 < monitoring["free_slots_after_run_end_seconds"] <= 300
