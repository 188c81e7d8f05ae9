"""Python blocks of README and docs run as they are written: only addresses of servers and buckets are substituted."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from nemo_retriever_dagster import DocumentCorpus, Ingestor, materialize_documents
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind
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


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def run(page: str, first: str, world: dict[str, object], **substituted: str) -> None:
    """Run the one block of ``page`` that has the line ``first`` in it."""
    (code,) = [block for block in blocks(page) if first in block]
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


def test_corpora_are_merged() -> None:
    two = {
        name: DocumentCorpus(name=name, source=name, pipeline=Ingestor().extract()) for name in ("manuals", "minutes")
    }
    world: dict = {**two}
    run("docs/dagster.md", "dg.Definitions.merge(", world)
    assert {key.to_user_string() for key in world["defs"].resolve_all_asset_keys()} == set(two)


def test_a_project_defines_a_resource_itself() -> None:
    world: dict = {}
    run("docs/dagster.md", 'dg.Definitions(resources={"nrd_vector_store"', world)
    corpus = DocumentCorpus(name="manuals", source="manuals", pipeline=Ingestor().extract())
    merged = dg.Definitions.merge(world["defs"], corpus.definitions(project_resources=["nrd_vector_store"]))
    assert merged.resources["nrd_vector_store"].uri == "http://milvus:19530"


def test_a_document_is_given_as_markdown(folder: Path) -> None:
    world: dict = {}
    run("docs/preview.md", "text = markdown(", world)
    assert "travel" in world["text"].lower()


def test_a_format_is_added_by_a_class(tmp_path: Path) -> None:
    (tmp_path / "a.chat").write_text("Hello.\nGoodbye.")
    annotated = {"Path": Path, "ExtractOptions": ExtractOptions, "Budget": Budget, "Iterator": Iterator}
    world: dict = {**annotated, "Page": Page, "Element": Element, "Kind": Kind}
    run("docs/formats.md", "class ChatExtractor:", world)
    budget = Budget(Limits())
    pages = list(world["ChatExtractor"]().extract(tmp_path / "a.chat", ExtractOptions(), budget))
    assert [element.text for page in pages for element in page.elements] == ["Hello.", "Goodbye."]
    assert budget.spent == {"elements": 2}


def test_every_block_of_the_docs_is_run_here_or_with_the_program_it_is_for() -> None:
    """A new block is to be run too: its page and a part of it are to be in a test of this file, or of the peers."""
    named = _named(Path(__file__)) | _named(Path(__file__).with_name("test_milvus_peers.py"))
    for page in ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]:
        for block in blocks(page):
            assert any(part in block for part in named), f"{page}:\n{block}"


def _named(test: Path) -> set[str]:
    """Return what a test file names blocks by: the texts that it gives to ``run`` and ``snippet``, but for pages."""
    calls = [node for node in ast.walk(ast.parse(test.read_text())) if isinstance(node, ast.Call)]
    chosen = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in {"run", "snippet"}]
    texts = {one.value for call in chosen for one in call.args if isinstance(one, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and not text.endswith(".md")}
