"""What an `Ingestor` must not do in silence: drop a collection, lose a document, point to a picture that is not there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.batch import IngestError
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.results import file_name
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore

SAMPLE = Path(__file__).parents[2] / "assets/sample"
PICTURES = SAMPLE / "travel-policy.pdf"


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def make(tmp_path: Path, store: InMemoryStore) -> Any:
    def made(*paths: str | Path, dimension: int = 64, **settings: Any) -> Ingestor:
        surroundings = Settings(state_dir=tmp_path / "state", **settings)
        engines = Engines(embedder=HashEmbedder(dimension))
        ingestor = Ingestor(engines=engines, store=store, settings=surroundings, workers=1)
        return ingestor.files([str(path) for path in paths])

    return made


def upload(ingestor: Ingestor, **options: Any) -> Ingestor:
    return ingestor.extract().embed().vdb_upload(collection_name="c", **options)


def text(folder: Path, name: str = "a") -> Path:
    path = folder / f"{name}.txt"
    path.write_text(f"The {name} note.")
    return path


@pytest.mark.parametrize("return_failures", [False, True])
def test_recreate_drops_nothing_where_nothing_is_uploaded(
    make: Any, store: InMemoryStore, tmp_path: Path, *, return_failures: bool
) -> None:
    upload(make(text(tmp_path))).ingest()
    for paths in ([SAMPLE / "broken.pdf"], [tmp_path / "*.none"]):
        try:
            upload(make(*paths), recreate=True).ingest(return_failures=return_failures)
        except IngestError:
            assert not return_failures
        assert store.count("c") == 1


def test_recreate_makes_the_collection_anew_for_what_got_through(
    make: Any, store: InMemoryStore, tmp_path: Path
) -> None:
    upload(make(text(tmp_path))).ingest()
    paths = [text(tmp_path, "b"), SAMPLE / "broken.pdf", text(tmp_path, "c")]
    results, failures = upload(make(*paths, dimension=32), recreate=True).ingest(return_failures=True)
    assert (len(results), len(failures)) == (2, 1)
    assert sorted(row.text for row in store.select("c", where="")) == ["The b note.", "The c note."]


def test_collections_are_flushed_once_all_is_in(
    make: Any, store: InMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, int]] = []
    monkeypatch.setattr(store, "flush", lambda name: flushed.append((name, store.count(name))))
    upload(make(text(tmp_path), text(tmp_path, "b"))).ingest()
    assert flushed == [("c", 2)]


def test_no_scratch_copy_is_left_of_a_remote_document(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    fsspec.filesystem("memory").pipe({"/scratch/a.txt": b"The a note.", "/scratch/b.pdf": b"%PDF-1.4 broken"})
    results, failures = make("memory://scratch/*").extract().ingest(return_failures=True)
    assert (len(results), len(failures)) == (1, 1)
    assert [path.name for path in scratch.iterdir() if path.name.startswith("nrd-")] == []


def test_a_result_that_cannot_be_kept_is_told_once_the_others_are(make: Any, tmp_path: Path) -> None:
    paths = [text(tmp_path), text(tmp_path, "b")]
    taken, free = (tmp_path / "results" / file_name(str(path), None) for path in paths)
    taken.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        make(*paths).extract().save_to_disk(output_directory=str(taken.parent), compression=None).ingest()
    assert "The b note." in free.read_text()


def test_only_the_types_that_are_named_are_cut(make: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.md"]
    for path in paths:
        path.write_text("A sentence of some words. " * 50)
    whole, cut = make(*paths).extract().split(chunk_size=16, params={"split_source_types": ["md"]}).ingest()
    assert len(whole) == 1
    assert len(cut) > 10


def test_each_kind_goes_to_the_collection_that_takes_it(make: Any, store: InMemoryStore) -> None:
    names = {"words": ("text",), "tables": ("tables",)}
    make(PICTURES).extract().embed().vdb_upload(collection_name=names).ingest()
    kinds = {name: {row.content_metadata["kind"] for row in store.select(name, where="")} for name in names}
    assert kinds == {"words": {"text"}, "tables": {"table"}}


@pytest.mark.parametrize("limit", [0, -1, "many", None])
def test_documents_are_done_one_at_a_time_at_least(make: Any, tmp_path: Path, limit: Any) -> None:
    with pytest.raises(InvalidOptionError, match="concurrency_limit"):
        make(text(tmp_path)).extract().ingest(concurrency_limit=limit)


def test_a_document_that_cannot_be_told_from_another_is_a_failure(make: Any, tmp_path: Path) -> None:
    paths = [text(tmp_path, "caf\u00e9"), text(tmp_path, "cafe\u0301")]
    if len(list(tmp_path.glob("*.txt"))) < 2:
        pytest.skip("this file system knows one form only")
    results, failures = make(*paths).extract().ingest(return_failures=True)
    assert len(results) == 1
    assert [(failure.stage, failure.uri) for failure in failures] == [("source", str(paths[1]))]
    buffers = [("caf\u00e9.txt", BytesIO(b"one")), ("cafe\u0301.txt", BytesIO(b"two"))]
    with pytest.raises(InvalidOptionError, match="Two buffers"):
        Ingestor().buffers(buffers).extract().ingest()


def stored(ingestor: Ingestor, **options: Any) -> list[str]:
    """Return the links to the pictures of a document."""
    (document,) = ingestor.extract(extract_images=True).store(structured=True, images=True, **options).ingest()
    sections = [element["metadata"][name] for element in document for name in ("table_metadata", "image_metadata")]
    return [section["uploaded_image_url"] for section in sections if section and section["uploaded_image_url"]]


def test_another_place_for_pictures_is_another_option(make: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        links = stored(make(PICTURES, image_storage_uri=str(tmp_path / name)))
        assert links
        assert all(link.startswith((tmp_path / name).as_uri()) for link in links)
        assert list((tmp_path / name).rglob("*.png"))
    public = {"image_storage_uri": str(tmp_path / "two"), "image_storage_public_base_url": "https://pictures.example"}
    assert all(link.startswith("https://pictures.example/") for link in stored(make(PICTURES, **public)))


def test_stored_pictures_that_are_gone_are_stored_again(make: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    links = stored(make(PICTURES), storage_uri=str(folder))
    shutil.rmtree(folder)
    assert stored(make(PICTURES), storage_uri=str(folder)) == links
    assert all(Path(link.removeprefix("file://")).is_file() for link in links)


@pytest.mark.parametrize("method", ["pdfium", "pdfium_hybrid"])
def test_nothing_is_extracted_where_nothing_is_wanted(make: Any, method: str) -> None:
    nothing = dict.fromkeys(
        [f"extract_{kind}" for kind in ("text", "tables", "charts", "images", "infographics")], False
    )
    assert make(SAMPLE / "travel-policy.pdf").extract(extract_method=method, **nothing).ingest() == [[]]


def test_results_of_documents_with_long_names_are_kept_on_disk(make: Any, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    path = text(tmp_path / "documents", "\u6587" * 80)
    (result,) = make(path).extract().save_to_disk(output_directory=str(tmp_path / "results")).ingest()
    assert len(result) == 1


def test_a_long_heading_or_alt_text_does_not_keep_a_document_out(
    make: Any, store: InMemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "heading.md").write_text(f"# {'heading text ' * 6_000}\n\n{'A paragraph. ' * 60}")
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    picture = f"<img alt='{'alt text ' * 9_000}' src='data:image/png;base64,{pixel}'>"
    (tmp_path / "alt.html").write_text(f"<p>A page.</p>{picture}")
    results, failures = upload(make(tmp_path / "*.*").split(chunk_size=100)).ingest(return_failures=True)
    assert (len(results), failures) == (2, [])
    headings = [row.content_metadata["custom_content"].get("headings", []) for row in store.select("c", where="")]
    assert any(headings)
    assert max(len(heading) for above in headings for heading in above) < 1_000


class Unlimited(HashEmbedder):
    """Tells no limit, so that only the store's count."""

    max_tokens = 0


def test_a_table_fits_its_row_twice(store: InMemoryStore, tmp_path: Path) -> None:
    """Its text, and what the metadata say of it, where a quotation mark takes two bytes."""
    cell = '"a" ' * 12_000
    (tmp_path / "table.html").write_text(
        f"<table><tr><th>A</th><th>B</th></tr><tr><td>{cell}</td><td>b</td></tr></table>"
    )
    settings = Settings(state_dir=tmp_path / "state")
    chain = Ingestor(engines=Engines(embedder=Unlimited(8)), store=store, settings=settings, workers=1)
    upload(chain.files(str(tmp_path / "table.html"))).ingest()
    assert store.count("c") > 1


def test_results_tell_where_a_picture_is_stored_and_how_it_is_shown(make: Any, tmp_path: Path) -> None:
    public = "https://pictures.example"
    chain = make(PICTURES).extract().store(structured=True, storage_uri=str(tmp_path / "a b"), public_base_url=public)
    (document,) = chain.ingest()
    (table,) = (element["metadata"] for element in document if element["document_type"] == "structured")
    section = table["table_metadata"]
    assert section["uploaded_image_url"].startswith(public)
    assert section["uploaded_image_uri"].startswith((tmp_path / "a b").as_uri())
    assert Path(section["uploaded_image_local_path"]).is_file()
    assert table["source_metadata"]["local_source_location"] == section["uploaded_image_local_path"]


def dates(ingestor: Ingestor) -> list[tuple[str, str]]:
    sections = (document[0]["metadata"]["source_metadata"] for document in ingestor.extract().ingest())
    return [(section["date_created"], section["last_modified"]) for section in sections]


def test_a_document_is_as_old_as_it_says_or_else_as_its_source_says(
    make: Any, store: InMemoryStore, tmp_path: Path
) -> None:
    note = text(tmp_path)
    os.utime(note, (0, 1_772_359_200))
    own, given = ("2000-01-01T00:00:00", "2000-01-01T00:00:00"), ("", "2026-03-01T10:00:00")
    for _ in range(2):  # the second time all is found done
        assert dates(make(PICTURES, note)) == [own, given]
    upload(make(PICTURES, note)).ingest()
    assert {(row.source["date_created"], row.source["last_modified"]) for row in store.select("c", where="")} == {
        own,
        given,
    }
    buffered = Ingestor(settings=Settings(state_dir=tmp_path / "state"), workers=1).buffers(("b.txt", b"A buffer."))
    assert dates(buffered) == [("", "")]


def test_what_was_extracted_before_documents_told_their_dates_is_still_good(make: Any, tmp_path: Path) -> None:
    note = text(tmp_path)
    dates(make(note))
    kept = Artifacts(Settings(state_dir=tmp_path / "state").artifacts)
    (place,) = (address for address in kept.list("extract") if address.endswith(".done"))
    kept.put(place, json.dumps({"pages": 0, "elements": 1}).encode())
    os.utime(note, (0, 1_772_359_200))
    assert dates(make(note)) == [("", "2026-03-01T10:00:00")]


def test_a_stage_is_noted_as_done_once_its_result_is_kept(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, kept = Artifacts.put, []

    def noting(self: Artifacts, address: str, data: bytes) -> None:
        kept.append(address)
        put(self, address, data)

    monkeypatch.setattr(Artifacts, "put", noting)
    upload(make(text(tmp_path))).ingest()
    stages = [(address.partition("/")[0], address.rpartition(".")[2]) for address in kept]
    assert stages == [(stage, suffix) for stage in ("extract", "split", "embed") for suffix in ("data", "done")]
