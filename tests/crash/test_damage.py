"""Any artifact that is lost or has rotted is found out and made anew, at the latest by the run after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash.scene_files import Sources

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.testing.nim_answers import ColourCaptioner, HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore

if TYPE_CHECKING:
    from pathlib import Path


def _run(root: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Ingest into an empty store; return its rows and the kinds of the failures."""
    store = InMemoryStore()
    engines = Engines(embedder=HashEmbedder(16), captioner=ColourCaptioner())
    ingestor = Ingestor(engines=engines, store=store, settings=Settings(state_dir=root / "state"), workers=1)
    ingestor.files(str(root / "documents")).extract().split(chunk_size=20, chunk_overlap=0).caption()
    ingestor.store(images=True, storage_uri=(root / "images").as_uri()).embed().vdb_upload(collection_name="notes")
    _, failures = ingestor.ingest(return_failures=True)
    return [(row.id, row.text) for row in store.select("notes", where="")], [failure.kind for failure in failures]


@pytest.mark.parametrize("harm", ["lost", "rotten"])
def test_damaged_artifacts_are_made_anew(tmp_path: Path, harm: str) -> None:
    Sources(tmp_path / "documents").many(1)
    whole, failures = _run(tmp_path)
    assert whole
    assert failures == []
    artifacts = sorted(path for path in (tmp_path / "state/artifacts").rglob("*") if path.is_file())
    assert {path.suffix for path in artifacts} == {".data", ".done", ".blob"}
    for path in artifacts:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.unlink() if harm == "lost" else path.write_bytes(data)
        rows, failures = _run(tmp_path)
        if failures:
            assert failures == ["ResultGoneError"], path
            rows, failures = _run(tmp_path)
        assert (rows, failures) == (whole, []), path
