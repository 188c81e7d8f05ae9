"""Python blocks of README and docs run as they are written: only addresses of servers and buckets are substituted."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
from pathlib import Path

import dagster as dg
import pytest

from nemo_retriever_dagster import DocumentCorpus, Ingestor, materialize_documents
from nemo_retriever_dagster.testing import NimServer

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets/sample"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds what the blocks name."""
    for name in ("reports", "manuals"):
        (tmp_path / name).mkdir()
        shutil.copy(SAMPLE / "travel-policy.pdf", tmp_path / name)
    shutil.copy(SAMPLE / "travel-policy.pdf", tmp_path / "policy.pdf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NRD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def run(page: str, first: str, world: dict[str, object], **substituted: str) -> None:
    """Run the one block of ``page`` that has the line ``first`` in it."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if first in block]
    for old, new in substituted.items():
        code = code.replace(PLACES[old], new)
    program = compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if program.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(program, world))
    else:
        exec(program, world)


PLACES = {
    "bucket": "s3://acme/handbook/**/*",
    "prefix": "s3://acme/handbook/",
    "images": "file:///data/images",
    "embedder": "http://gpu1:8012/v1, http://gpu2:8012/v1",
    "captioner": "https://integrate.api.nvidia.com/v1",
}


@pytest.mark.parametrize("page", ["README.md", "docs/dagster.md"])
def test_a_corpus_is_defined(page: str, folder: Path) -> None:
    world: dict = {}
    run(page, "defs = handbook.definitions()", world, bucket="reports/*")
    names = {job.name for job in world["defs"].resolve_all_job_defs()}
    assert {"handbook_ingest", "handbook_remove", "handbook_checks", "handbook_reindex"} <= names


def test_the_ingestor_of_the_readme(folder: Path) -> None:
    world: dict = {}
    run("README.md", "results, failures = (", world)
    assert (len(world["results"]), world["failures"]) == (1, [])
    assert {hit.source for hit in world["hits"]} == {"reports/travel-policy.pdf"}


def test_the_ingestor_of_its_page(folder: Path) -> None:
    world: dict = {}
    run("docs/ingestor.md", ".store(images=True", world, prefix="manuals/", images=f"file://{folder}/images")
    assert (len(world["results"]), world["failures"]) == (2, [])


def test_documents_are_materialized_from_python(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    handbook = DocumentCorpus(name="handbook", source="reports/*", pipeline=Ingestor().extract().split())
    (key,) = materialize_documents(handbook)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("handbook_documents", [key])
    world: dict = {"handbook": handbook, "key": key, "keys": [key]}
    run("docs/dagster.md", "outcomes = materialize_documents(handbook)", world)
    assert (list(world["outcomes"]), world["failed"]) == ([key], [])


def test_a_page_is_previewed(folder: Path) -> None:
    world: dict = {}
    run("docs/preview.md", "html = preview(", world)
    assert "travel" in world["html"]


def test_a_collection_is_built_beside_and_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("docs/retrieval.md", "reindex=True).ingest()", {})
    world: dict = {}
    run("docs/retrieval.md", 'query("How do I reset the pump?", top_k=5)\nfor', world)
    assert {hit.source for hit in world["hits"]} == {"manuals/travel-policy.pdf"}
    assert "manuals/travel-policy.pdf p. 1" in capsys.readouterr().out


def test_resources_are_made() -> None:
    world: dict = {}
    run("docs/dagster.md", "nim = NimResource(", world)
    assert set(world["resources"]) == {"nrd_engines", "nrd_vector_store", "nrd_state"}


def test_nims_are_named_and_waited_for() -> None:
    with NimServer() as server:
        embedder, captioner = (server.endpoints()[port].urls for port in ("embedder", "captioner"))
        world: dict = {}
        run("docs/nim.md", "await wait_ready", world, embedder=str(embedder), captioner=str(captioner))
    assert world["engines"].embedder.name.startswith("nim")


def test_a_server_without_a_gpu_counts() -> None:
    run("docs/nim.md", "with NimServer(local_engines()", {})
