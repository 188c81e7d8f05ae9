"""``nrd`` in a Dagster project whose corpora are made by components, or where nobody but Dagster looks."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{module}"\n'
DEFS = """
type: nemo_retriever_dagster.DocumentCorpusComponent
attributes:
  name: manuals
  source: docs
  project_resources: [nrd_vector_store, nrd_state]
  pipeline: {extract: {}, split: {}, embed: {}, vdb_upload: {collection_name: manuals}}
"""
RESOURCES = """
import dagster as dg
from nemo_retriever_dagster import MilvusResource, StateResource

defs = dg.Definitions(
    resources={"nrd_vector_store": MilvusResource(uri="kept.db"), "nrd_state": StateResource(state_dir="kept")}
)
"""
LOADED = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
HIDDEN = """
import dagster as dg
from nemo_retriever_dagster import DocumentCorpus, Ingestor, StateResource

@dg.definitions
def defs():
    notes = DocumentCorpus(name="notes", source="docs", pipeline=Ingestor().extract().split())
    return notes.definitions(resources={"nrd_state": StateResource(state_dir="kept")})
"""


@pytest.fixture
def project(nrd, tmp_path: Path, monkeypatch):
    """A project with one component; its module has a name that no other test's has."""
    module = f"site_{tmp_path.name.replace('-', '_')}"
    defs = tmp_path / "src" / module / "defs"
    (defs / "manuals").mkdir(parents=True)
    for folder in (defs.parent, defs):
        (folder / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(module=module))
    (defs / "manuals/defs.yaml").write_text(DEFS)
    (defs / "resources.py").write_text(RESOURCES)
    (defs.parent / "definitions.py").write_text(LOADED)
    (tmp_path / "definitions.py").unlink()
    monkeypatch.setattr(sys, "path", [*sys.path])
    return nrd


def test_the_corpora_of_components_are_found_with_the_resources_of_their_project(project, tmp_path: Path) -> None:
    assert "3 new" in project("plan").output
    done = project("ingest", "--allow-failures", "--query", "How tight is the saddle's bolt?", "--top-k", "1")
    assert done.exit_code == 0, done.output
    assert "1. docs/bolts.txt" in done.output
    assert "manuals: 2 documents, 2 rows, 0 pictures: all as the receipts say" in project("verify").output
    assert {"kept", "kept.db"} < {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "milvus.db").exists()
    assert not (tmp_path / ".nemo_retriever").exists()


def test_the_file_that_loads_a_project_is_as_good_as_its_folder(project, tmp_path: Path) -> None:
    file = next(tmp_path.glob("src/*/definitions.py"))
    assert "3 new" in project("plan", "-f", str(file), "-c", "manuals").output
    wrong = project("plan", "-f", str(file.parent), "-c", "letters")
    assert wrong.exit_code == 2
    assert "makes these corpora: manuals." in wrong.output


def test_a_corpus_that_is_made_when_definitions_are_asked_for_is_found(nrd, tmp_path: Path) -> None:
    (tmp_path / "definitions.py").write_text(HIDDEN)
    assert "3 new" in nrd("plan").output
    assert (tmp_path / "kept").exists(), "its own resources are used"


def test_a_folder_that_is_no_project_is_two_lines(nrd, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "docs")
    done = nrd("plan", "-f", ".")
    assert done.exit_code == 2
    assert "Could not find config file" in done.output
    assert len(done.output.strip().splitlines()) == 2


def test_what_only_reads_goes_by_the_resources_of_a_named_corpus(project, tmp_path: Path) -> None:
    for words in (("status",), ("failures",), ("query", "bolt")):
        early = project(*words, "-f", ".")
        assert early.exit_code == 2, early.output
    assert not (tmp_path / "kept").exists(), "to look makes nothing"
    assert not (tmp_path / "kept.db").exists(), "to look makes nothing"
    project("ingest", "--allow-failures")
    assert project("status", "-f", ".").output == "manuals: 2 current, 1 failed; 2 rows\n"
    assert "1 failed documents" in project("failures", "-f", ".", "-c", "manuals").output
    hits = project("query", "How tight is the saddle's bolt?", "-f", ".", "--json")
    assert '"collection": "manuals"' in hits.output
    assert '"source": "docs/bolts.txt"' in hits.output
    assert "nothing was ingested here" in project("status").output, "without -f the environment is asked"
    for both in (("-f", ".", "--collection", "manuals"), ("-c", "manuals")):
        assert "Name a corpus with -f (and -c), or a collection" in project("query", "bolt", *both).output
