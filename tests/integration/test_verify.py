"""``nrd verify``: every way in which store, pictures and ledger can differ is named, planned for and repaired."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from nemo_retriever_dagster.cli import main
from nemo_retriever_dagster.cli.shown import console
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Record
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from nemo_retriever_dagster.model import Receipt

# Milvus Lite leaves the file of a write-ahead log open when a collection is let go.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data_.*:pytest.PytestUnraisableExceptionWarning")

SAMPLE = Path(__file__).parents[2] / "assets/sample"
DEFINITIONS = """
from pathlib import Path
from nemo_retriever_dagster import DocumentCorpus, Ingestor

here = Path(__file__).parent
pipeline = (
    Ingestor().extract().split(chunk_size=12, chunk_overlap=0).embed()
    .store(images=True, storage_uri=str(here / "pictures"))
    .vdb_upload(collection_name="notes", milvus_uri=str(here / "notes.db"))
)
notes = DocumentCorpus(name="notes", source=here / "docs", pipeline=pipeline, workers=1)
"""


class Scene:
    """A corpus of four documents that was ingested, and what can be done to it behind its back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "docs").mkdir()
        for name in ("lost", "old", "many"):
            (root / f"docs/{name}.txt").write_text(f"The {name} note. " * 12)
        shutil.copy(SAMPLE / "label.png", root / "docs/label.png")
        (root / "definitions.py").write_text(DEFINITIONS)
        assert self.nrd("ingest").exit_code == 0

    def nrd(self, *words: str) -> Result:
        return CliRunner().invoke(main, words)

    def key(self, name: str) -> str:
        return self.receipts()[name].document

    def ledger(self) -> Ledger:
        return Ledger(Settings().ledger)

    def store(self) -> MilvusStore:
        return MilvusStore(str(self.root / "notes.db"))

    def receipts(self) -> dict[str, Receipt]:
        with self.ledger() as ledger:
            return {Path(receipt.uri).name: receipt for receipt in ledger.receipts("notes")}

    def census(self) -> dict[str, dict[str, int]]:
        with self.store() as store:
            return store.census("notes")

    def rows(self) -> dict[str, Record]:
        with self.store() as store:
            return {row.id: row for row in store.records("notes")}

    def pictures(self) -> list[Path]:
        return sorted((self.root / "pictures").rglob("*.png"))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("NRD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(console, "width", 200)
    return Scene(tmp_path)


def stranger(receipt: Receipt, dimension: int, *, document: str, generation: str, number: int) -> list[Record]:
    """Return rows that no run has written."""
    return [
        Record(
            id=f"{n:032x}",
            document=document,
            generation=generation,
            text="stray",
            vector=[1.0] + [0.0] * (dimension - 1),
            source={"source_name": receipt.uri, "source_id": receipt.uri},
            content_metadata={"type": "text"},
        )
        for n in range(number)
    ]


def test_a_sound_corpus_is_sound_and_nothing_is_written(scene: Scene) -> None:
    before = scene.receipts()
    done = scene.nrd("verify")
    assert done.exit_code == 0, done.output
    assert "notes: 4 documents, " in done.output
    assert "1 pictures: all as the receipts say" in done.output
    assert "repair" not in done.output
    assert scene.receipts() == before


def test_every_difference_is_named_planned_and_repaired(scene: Scene) -> None:
    receipts, pictures, right = scene.receipts(), scene.pictures(), scene.census()
    (picture,) = pictures
    picture.unlink()
    with scene.store() as store:
        store.delete("notes", scene.key("lost.txt"))
        for document, generation, start in (
            (scene.key("old.txt"), "f" * 32, 1),
            (scene.key("many.txt"), receipts["many.txt"].generation, 2),
            ("nobody.0123456789", "f" * 32, 3),
        ):
            rows = stranger(receipts["old.txt"], 384, document=document, generation=generation, number=2)
            store.upsert("notes", [replace(row, id=f"{start}{row.id[1:]}") for row in rows])

    told = scene.nrd("verify", "notes")
    assert told.exit_code == 1, told.output
    many = receipts["many.txt"].rows
    for name, words in {
        "docs/lost.txt": f"0 rows, the receipt says {receipts['lost.txt'].rows}",
        "docs/old.txt": "2 rows of another generation",
        "docs/many.txt": f"{many + 2} rows, the receipt says {many}",
        "docs/label.png": "1 stored pictures are gone",
        "nobody.0123456789": "2 rows, but no receipt",
    }.items():
        assert any(name in line and words in line for line in told.output.splitlines()), (name, told.output)
    assert "5 differ" in told.output
    assert "1. delete the rows" in told.output
    assert "3. take out of the collection" in told.output
    assert "`nrd verify notes --repair` does this." in told.output

    done = scene.nrd("verify", "notes", "--repair")
    assert done.exit_code == 0, done.output
    assert "all as the receipts say" in done.output.splitlines()[-1]
    assert scene.census() == right
    assert scene.pictures() == pictures
    again = scene.nrd("verify")
    assert again.exit_code == 0, again.output


def test_a_broken_off_commit_and_lost_artifacts_are_told_apart(scene: Scene) -> None:
    shutil.rmtree(scene.root / "state/artifacts")
    told = scene.nrd("verify")
    assert told.exit_code == 0, "artifacts are made again when they are needed"
    assert "4 documents: kept results of stages are gone" in told.output

    key = scene.key("old.txt")
    with scene.ledger() as ledger:
        ledger.intent("notes", key, "f" * 32, {"collections": ["notes"]})
        ledger.claim("notes", key, "a run", 60)
        held = scene.nrd("verify")
        assert held.exit_code == 0, held.output
        assert f"left out, being written now: {key}" in held.output
        ledger.release("notes", key, "a run")
    dead = scene.nrd("verify")
    assert dead.exit_code == 1
    assert "writing it was begun and not finished" in dead.output
    assert scene.nrd("verify", "--repair").exit_code == 0


def test_a_document_that_cannot_be_repaired_stays_named(scene: Scene) -> None:
    with scene.store() as store:
        store.delete("notes", scene.key("old.txt"))
    (scene.root / "docs/old.txt").write_bytes(b"")
    done = scene.nrd("verify", "--repair")
    assert done.exit_code == 1
    assert "failed docs/old.txt" in done.output
    assert done.output.count("1 differ") == 2


def test_too_many_removals_are_refused_before_anything_is_done(scene: Scene) -> None:
    before = scene.census()
    definitions = scene.root / "definitions.py"
    definitions.write_text(definitions.read_text().replace("workers=1", "workers=1, max_deletions=0"))
    with scene.store() as store:
        row = stranger(scene.receipts()["old.txt"], 384, document="nobody.0123456789", generation="f" * 32, number=1)
        store.upsert("notes", row)
    done = scene.nrd("verify", "--repair")
    assert done.exit_code == 2
    assert "vanished from the source at once; 0 are allowed" in done.output
    assert scene.census() == {**before, "nobody.0123456789": {"f" * 32: 1}}


def test_a_corpus_that_is_not_there_is_a_wrong_call(scene: Scene) -> None:
    wrong = scene.nrd("verify", "nots")
    assert wrong.exit_code == 2
    assert "makes these corpora: notes" in wrong.output


@pytest.mark.parametrize("damage", ["text", "vector", "content_metadata", "id"])
def test_a_row_that_was_changed_is_seen_when_contents_are_read(scene: Scene, damage: str) -> None:
    right, key = scene.rows(), scene.key("old.txt")
    row = next(row for row in right.values() if row.document == key)
    other = {
        "text": "Changed.",
        "vector": [*row.vector[:-1], 0.5],
        "content_metadata": {**row.content_metadata, "page_number": 9},
        "id": "f" * 32,
    }
    with scene.store() as store:
        if damage == "id":
            store.client.delete("notes", ids=[row.id])
        store.upsert("notes", [replace(row, **{damage: other[damage]})])

    assert scene.nrd("verify").exit_code == 0, "the number is right"
    told = scene.nrd("verify", "--contents")
    assert told.exit_code == 1, told.output
    assert "1 differ" in told.output
    found = [line.split("  ")[0].strip() for line in told.output.splitlines() if "not those that were written" in line]
    assert found == ["docs/old.txt"]
    assert "`nrd verify notes --contents --repair` does this." in told.output

    done = scene.nrd("verify", "--contents", "--repair")
    assert done.exit_code == 0, done.output
    mended = {key: plain(row) for key, row in scene.rows().items()}
    assert mended == {key: plain(row) for key, row in right.items()}


def plain(row: Record) -> Record:
    """Return a row without the run that wrote it."""
    return replace(row, content_metadata={**row.content_metadata, "run_id": ""})


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_a_damaged_picture_is_seen_when_contents_are_read_and_stored_again(scene: Scene, spoil) -> None:
    (picture,) = scene.pictures()
    right = picture.read_bytes()
    picture.write_bytes(spoil(right))
    assert scene.nrd("verify").exit_code == 0, "it is there"
    told = scene.nrd("verify", "--contents")
    assert told.exit_code == 1, told.output
    assert "1 stored pictures are damaged" in told.output
    done = scene.nrd("verify", "--contents", "--repair")
    assert done.exit_code == 0, done.output
    assert picture.read_bytes() == right


def test_receipts_of_a_former_version_are_said_to_be_counted_only(scene: Scene) -> None:
    assert "only counted" not in scene.nrd("verify", "--contents").output
    with scene.ledger() as ledger:
        receipt = scene.receipts()["old.txt"]
        (state,) = (one for one in ledger.versions("notes").values() if one.key == receipt.document)
        ledger.commit("notes", replace(receipt, contents=""), version=state.version)
    told = scene.nrd("verify", "--contents")
    assert told.exit_code == 0, told.output
    assert "1 documents: their receipts, of a former version," in told.output
    assert "only counted" not in scene.nrd("verify").output
