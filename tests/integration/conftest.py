"""``nrd`` in a folder of its own: a corpus of three documents, one of them broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from nemo_retriever_dagster.cli import main
from nemo_retriever_dagster.cli.shown import console

if TYPE_CHECKING:
    from pathlib import Path

DEFINITIONS = """
from pathlib import Path
from nemo_retriever_dagster import DocumentCorpus, Ingestor

notes = DocumentCorpus(
    name="notes",
    source=Path(__file__).parent / "docs",
    pipeline=Ingestor().extract().split(chunk_size=60).embed().vdb_upload(collection_name="notes", milvus_uri="notes.db"),
    workers=1,
)
"""


@pytest.fixture
def nrd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/bolts.txt").write_text("The bolt of the saddle is tightened to 14 newton metres.")
    (tmp_path / "docs/paint.txt").write_text("The paint dries for two days at 20 degrees.")
    (tmp_path / "docs/broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(console, "width", 200)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    return run
