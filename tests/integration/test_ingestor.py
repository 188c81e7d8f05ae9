"""The Ingestor's own promises: order, failures, all or nothing, results on disk, running loops."""

from __future__ import annotations

import asyncio
import json
import shutil
import warnings
from io import BytesIO
from pathlib import Path

import pytest

from nemo_retriever_dagster import Ingestor, IngestWarning, LazyLoadedList, Retriever, Settings
from nemo_retriever_dagster.batch import IngestError
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError, SourceNotFoundError, StoreUnavailableError
from nemo_retriever_dagster.testing.engines import WatchedEmbedder
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore

SAMPLE = Path(__file__).parents[2] / "assets/sample"


@pytest.fixture
def embedder() -> WatchedEmbedder:
    return WatchedEmbedder(HashEmbedder(64))


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def make(tmp_path: Path, embedder: WatchedEmbedder, store: InMemoryStore):
    def made(*paths: str | Path) -> Ingestor:
        settings = Settings(state_dir=tmp_path / "state")
        ingestor = Ingestor(engines=Engines(embedder=embedder), store=store, settings=settings, workers=1)
        return ingestor.files([str(path) for path in paths]) if paths else ingestor

    return made


def write(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.txt"
        path.write_text(text)
        paths.append(path)
    return paths


def test_results_come_in_the_order_of_the_inputs(make, tmp_path: Path) -> None:
    big, small, middle = write(tmp_path, z="long " * 5_000, a="short", m="middle " * 50)
    results = make(big, small, middle).extract().ingest()
    sources = [document[0]["metadata"]["source_metadata"]["source_name"] for document in results]
    assert sources == [str(big), str(small), str(middle)]


def test_one_failure_and_nothing_is_uploaded(make, tmp_path: Path, store: InMemoryStore) -> None:
    paths = [*write(tmp_path, a="one", b="two"), SAMPLE / "broken.pdf"]
    with pytest.raises(IngestError, match="1 of 3 documents failed; nothing was uploaded") as caught:
        make(*paths).extract().embed().vdb_upload(collection_name="c").ingest()
    assert isinstance(caught.value, RuntimeError)
    assert "broken.pdf" in str(caught.value)
    assert store.count("c") == 0


def test_with_return_failures_the_others_are_uploaded(make, tmp_path: Path, store: InMemoryStore) -> None:
    paths = [*write(tmp_path, a="one"), SAMPLE / "broken.pdf", *write(tmp_path, b="two")]
    results, failures = make(*paths).extract().embed().vdb_upload(collection_name="c").ingest(return_failures=True)
    assert (len(results), len(failures), store.count("c")) == (2, 1, 2)
    source, message = failures[0]
    assert source == f"1:{SAMPLE / 'broken.pdf'}"
    assert message.startswith(f"{SAMPLE / 'broken.pdf'}, extract: ")
    assert (failures[0].stage, failures[0].category, failures[0].attempts) == ("extract", "data", 1)
    assert failures[0].hint


class FullStore(InMemoryStore):
    """Takes the rows of one document and is full."""

    def upsert(self, collection, records):
        if self.count(collection):
            raise StoreUnavailableError("The disk of the store is full.", hint="Make space.")
        super().upsert(collection, records)


def test_a_store_that_fails_during_the_upload_is_an_error_too(embedder, tmp_path: Path) -> None:
    ingestor = Ingestor(
        engines=Engines(embedder=embedder),
        store=FullStore(),
        settings=Settings(state_dir=tmp_path / "state"),
        workers=1,
    )
    paths = [str(path) for path in write(tmp_path, a="one", b="two")]
    with pytest.raises(IngestError, match="1 of 2 documents failed; the store failed during the upload"):
        ingestor.files(paths).extract().embed().vdb_upload(collection_name="c").ingest()


def test_without_an_upload_a_failure_is_said_aloud(make, tmp_path: Path) -> None:
    with pytest.warns(IngestWarning, match=r"broken\.pdf"):
        results = make(*write(tmp_path, a="one"), SAMPLE / "broken.pdf").extract().ingest()
    assert len(results) == 1


def test_the_same_failure_is_said_aloud_at_the_callers_line_every_time(make, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")  # what a program runs under
        for _ in range(2):
            make(SAMPLE / "broken.pdf").extract().ingest()
    assert [(warning.category, warning.filename) for warning in said] == [(IngestWarning, __file__)] * 2
    assert len({warning.lineno for warning in said}) == 1


def test_the_second_run_does_nothing_and_changes_nothing(make, embedder, store, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "docs", ignore=shutil.ignore_patterns("*.png", "*.pptx"))

    def run():
        chain = make(tmp_path / "docs").extract().split(chunk_size=50).embed().vdb_upload(collection_name="c")
        return chain.ingest(return_failures=True)

    first, failures = run()
    rows = {row.id: row for row in store.select("c", where="")}
    calls = len(embedder.calls)
    assert len(failures) == 1
    assert calls > 0
    second, failures = run()
    assert len(failures) == 1
    assert len(embedder.calls) == calls
    assert {row.id: row for row in store.select("c", where="")} == rows
    assert second == first


def test_a_changed_document_replaces_its_rows(make, store: InMemoryStore, tmp_path: Path) -> None:
    (path,) = write(tmp_path, a="alpha beta gamma delta " * 30)
    chain = make(path).extract().split(chunk_size=10, chunk_overlap=0).embed().vdb_upload(collection_name="c")
    chain.ingest()
    before = store.count("c")
    path.write_text("omega")
    make(path).extract().split(chunk_size=10, chunk_overlap=0).embed().vdb_upload(collection_name="c").ingest()
    assert before > 5
    assert [row.text for row in store.select("c", where="")] == ["omega"]


def test_a_changed_table_of_own_fields_changes_the_rows_and_embeds_nothing(make, embedder, store, tmp_path) -> None:
    paths = write(tmp_path, a="The bolt is tightened.", b="The paint dries.")
    table = tmp_path / "own.csv"

    def teams(one: str) -> dict[str, str | None]:
        table.write_text(f"path,team\na.txt,{one}\n")
        make(*paths).extract().embed().vdb_upload(
            collection_name="c", meta_dataframe=table, meta_source_field="path", meta_fields=["team"]
        ).ingest()
        return {row.text: row.content_metadata.get("team") for row in store.select("c", where="")}

    def runs() -> list[str]:
        return [row.content_metadata["run_id"] for row in sorted(store.select("c", where=""), key=lambda row: row.text)]

    assert teams("paint") == {"The bolt is tightened.": "paint", "The paint dries.": None}
    calls, before = len(embedder.calls), runs()
    assert teams("brakes") == {"The bolt is tightened.": "brakes", "The paint dries.": None}
    assert len(embedder.calls) == calls
    after = runs()
    assert (after[0] != before[0], after[1]) == (True, before[1])  # only the document whose fields changed


def test_results_on_disk_are_read_when_asked(make, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        write(folder, same="text of " + folder.name)
    for compression in ("gzip", None):
        target = tmp_path / f"out-{compression}"
        chain = make(*(folder / "same.txt" for folder in folders)).extract()
        results = chain.save_to_disk(output_directory=str(target), cleanup=False, compression=compression).ingest()
        assert all(isinstance(document, LazyLoadedList) for document in results)
        assert [len(document) for document in results] == [1, 1]
        assert [document[-1]["metadata"]["content"] for document in results] == ["text of one", "text of two"]
        assert results[0].get_all_items() == list(results[0])
        assert len(list(target.iterdir())) == 2
        with pytest.raises(TypeError, match="no slices"):
            results[0][:1]


def test_purged_and_cleaned_up_results_keep_their_length(make, tmp_path: Path) -> None:
    paths = write(tmp_path, a="one", b="two")
    chain = make(*paths).extract().embed().save_to_disk().vdb_upload(collection_name="c")
    with chain as ingestor:
        results = ingestor.ingest()
        folder = Path(results[0].filepath).parent
        assert folder.is_dir()
        assert not list(folder.iterdir())
    assert not folder.exists()
    assert [len(document) for document in results] == [1, 1]
    with pytest.raises(IndexError, match="purged"):
        results[0][0]
    with pytest.raises(FileNotFoundError):
        list(results[0])


def test_every_run_of_a_block_is_cleaned_up(make, tmp_path: Path) -> None:
    with make(*write(tmp_path, a="one")).extract().save_to_disk() as ingestor:
        folders = [Path(ingestor.ingest()[0].filepath).parent for _ in range(2)]
        assert [folder.is_dir() for folder in folders] == [True, True]
    assert len(set(folders)) == 2
    assert [folder.exists() for folder in folders] == [False, False]


def test_a_folder_that_is_to_stay_stays(make, tmp_path: Path) -> None:
    with make(*write(tmp_path, a="one")).extract().save_to_disk(str(tmp_path / "kept"), cleanup=False) as ingestor:
        ingestor.ingest()
        ingestor.save_to_disk(str(tmp_path / "gone")).ingest()
    assert [(tmp_path / name).exists() for name in ("kept", "gone")] == [True, False]


def test_the_folder_for_results_comes_from_the_environment(make, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NV_INGEST_CLIENT_SAVE_TO_DISK_OUTPUT_DIRECTORY", str(tmp_path / "there"))
    make(*write(tmp_path, a="one")).extract().save_to_disk(cleanup=False, compression=None).ingest()
    (line,) = next((tmp_path / "there").iterdir()).read_text().splitlines()
    assert json.loads(line)["document_type"] == "text"


def test_buffers_are_documents_too(make) -> None:
    results = make().buffers([("a.txt", BytesIO(b"in memory")), ("b.html", BytesIO(b"<p>a paragraph</p>"))]).ingest()
    assert [document[0]["metadata"]["content"] for document in results] == ["in memory", "a paragraph"]


def test_it_works_inside_a_running_event_loop(make, tmp_path: Path) -> None:
    async def notebook():
        return make(*write(tmp_path, a="one")).extract().ingest()

    assert len(asyncio.run(notebook())) == 1


def test_ingest_async_returns_a_future(make, tmp_path: Path) -> None:
    ingestor = make(*write(tmp_path, a="one"), SAMPLE / "broken.pdf").extract()
    results, failures = ingestor.ingest_async(return_failures=True).result(timeout=60)
    assert (len(results), len(failures)) == (1, 1)
    assert ingestor.get_status() == {str(tmp_path / "a.txt"): "completed", str(SAMPLE / "broken.pdf"): "failed"}
    counters = (ingestor.completed_jobs(), ingestor.failed_jobs(), ingestor.remaining_jobs())
    assert counters == (1, 1, 0)


def test_a_missing_path_is_an_error_before_any_work(make, embedder, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"nowhere\.pdf"):
        make(*write(tmp_path, a="one"), tmp_path / "nowhere.pdf").extract().embed().ingest()
    assert embedder.calls == []


def test_an_empty_folder_gives_no_results(make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert make(tmp_path / "empty").extract().ingest() == []


def test_bad_documents_say_what_to_do(make, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "what.xyz").write_bytes(bytes(range(256)))
    _, failures = make(tmp_path / "*.*").extract().ingest(return_failures=True)
    assert {failure.kind for failure in failures} == {"EmptyFileError", "UnsupportedFormatError"}
    assert all(failure.cause and failure.hint for failure in failures)


def test_page_images_with_text_stand_for_their_pages(make, store: InMemoryStore) -> None:
    ingestor = make(SAMPLE / "travel-policy.pdf").extract(extract_page_as_image=True)
    ingestor.embed(image_elements_modality="text_image").vdb_upload(collection_name="pages").ingest()
    rows = store.select("pages", where="", limit=None)
    first, second = sorted(rows, key=lambda row: str(row.content_metadata["page_number"]))
    assert first.content_metadata["type"] == second.content_metadata["type"] == "image"
    assert "Employees travel by train" in first.text
    assert "In an emergency abroad" in second.text


def test_another_dimension_is_refused_before_any_work(make, embedder, store, tmp_path: Path) -> None:
    paths = write(tmp_path, a="one")
    with pytest.raises(InvalidOptionError, match="dense_dim is 2048"):
        make(*paths).extract().embed().vdb_upload(collection_name="c", dense_dim=2048).ingest()
    make(*paths).extract().embed().vdb_upload(collection_name="c").ingest()
    calls = len(embedder.calls)
    other = Ingestor(engines=Engines(embedder=HashEmbedder(32)), store=store, settings=make()._settings)
    with pytest.raises(InvalidOptionError, match="64"):
        other.files([str(p) for p in paths]).extract().embed().vdb_upload(collection_name="c").ingest()
    assert len(embedder.calls) == calls


def test_a_hit_leads_back_to_page_box_version_and_run(make, embedder, store) -> None:
    chain = make(SAMPLE / "travel-policy.pdf").extract(text_depth="page").embed().vdb_upload(collection_name="c")
    (document,) = chain.ingest()
    with Retriever("c", store=store, embedder=HashEmbedder(64)) as retriever:
        (hit,) = retriever.query("limit for one night in hotels", top_k=1)
    assert (hit.source, hit.page) == (str(SAMPLE / "travel-policy.pdf"), 2)
    assert hit.box is not None
    assert len(hit.version) == 64
    assert hit.run_id
    assert hit.embedder == embedder.name
    assert "140 euros" in hit.text
    assert any(element["metadata"]["content"] == hit.text for element in document)


def test_hits_are_chosen_by_the_language_of_their_text(embedder, tmp_path: Path) -> None:
    paths = write(
        tmp_path, de="Der Ofen ist vor dem Backen vorzuheizen.", en="Heat the oven before the bread is baked."
    )
    uri, settings = str(tmp_path / "c.db"), Settings(state_dir=tmp_path / "state")
    ingestor = Ingestor(engines=Engines(embedder=embedder), settings=settings, workers=1).files(list(map(str, paths)))
    ingestor.extract().embed().vdb_upload(collection_name="c", milvus_uri=uri).ingest()
    retriever = Retriever("c", milvus_uri=uri, embedder=embedder)
    told = 'content_metadata["text_metadata"]["language"] == {code}'
    found = [retriever.query("oven", filter=told, filter_params={"code": code}) for code in ("de", "en", "fr")]
    assert [[Path(hit.source).stem for hit in hits] for hits in found] == [["de"], ["en"], []]
