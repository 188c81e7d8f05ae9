"""The state of each document while an ingest runs, and what is left when it ends, however it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.batch import IngestError
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import SourceNotFoundError, StoreUnavailableError, UnknownOptionError
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BROKEN = str(Path(__file__).parents[2] / "assets/sample/broken.pdf")


class SlowEmbedder(HashEmbedder):
    """Keeps what is about snails until it is let go."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__(64)
        self.go = go

    async def embed(self, inputs, *, purpose="passage"):
        if any("snail" in one.text for one in inputs):
            await asyncio.to_thread(self.go.wait, 60)
        return await super().embed(inputs, purpose=purpose)


class SlowStore(InMemoryStore):
    """Takes no row until it is let go."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__()
        self.go = go

    def upsert(self, collection, records) -> None:
        assert self.go.wait(60)
        super().upsert(collection, records)


class FullStore(InMemoryStore):
    """Takes the rows of one document and is full."""

    def upsert(self, collection, records) -> None:
        if self.count(collection):
            raise StoreUnavailableError("The disk of the store is full.", hint="Make space.")
        super().upsert(collection, records)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    texts = {"hare": "A hare.", "snail": "A snail.", "fox": "A fox.", "slug": "Another snail."}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return [str(tmp_path / f"{name}.txt") for name in texts]


def make(tmp_path: Path, files: list[str], **parts: object) -> Ingestor:
    given = {"engines": Engines(embedder=HashEmbedder(64)), "store": InMemoryStore(), **parts}
    ingestor = Ingestor(settings=Settings(state_dir=tmp_path / "state"), workers=1, **given)
    return ingestor.files(files).extract().embed()


def soon(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def counters(ingestor: Ingestor) -> tuple[int, int, int, int]:
    return (
        ingestor.completed_jobs(),
        ingestor.failed_jobs(),
        ingestor.cancelled_jobs(),
        ingestor.remaining_jobs(),
    )


def test_documents_are_counted_while_others_are_on_their_way(tmp_path, files, go) -> None:
    ingestor = make(tmp_path, [*files, BROKEN], engines=Engines(embedder=SlowEmbedder(go)))
    assert (counters(ingestor), ingestor.get_status()) == ((0, 0, 0, 0), {})
    future = ingestor.ingest_async(return_failures=True)
    assert ingestor.remaining_jobs() >= 3
    soon(lambda: ingestor.remaining_jobs() == 2)
    hare, snail, fox, slug = files
    assert ingestor.get_status() == {
        hare: "completed", snail: "submitted", fox: "completed", slug: "submitted", BROKEN: "failed"
    }  # fmt: skip
    assert counters(ingestor) == (2, 1, 0, 2)
    go.set()
    future.result(timeout=60)
    assert counters(ingestor) == (4, 1, 0, 0)


def test_a_folder_counts_as_one_until_it_is_read(tmp_path, files, go) -> None:
    (tmp_path / "state").mkdir()
    ingestor = make(tmp_path, [str(tmp_path / "*.txt")])
    begun = ingestor._begun(False, False, {})
    assert (ingestor.get_status(), ingestor.remaining_jobs()) == ({str(tmp_path / "*.txt"): "pending"}, 1)
    asyncio.run(begun)
    assert set(ingestor.get_status()) == set(files)


def test_what_waits_for_the_common_upload_is_in_process(tmp_path, files, go) -> None:
    ingestor = make(tmp_path, files, store=SlowStore(go)).vdb_upload(collection_name="c")
    future = ingestor.ingest_async()
    soon(lambda: set(ingestor.get_status().values()) == {"processing"})
    assert counters(ingestor) == (0, 0, 0, 4)
    go.set()
    future.result(timeout=60)
    assert counters(ingestor) == (4, 0, 0, 0)


def test_after_an_error_no_document_is_left_open(tmp_path, files) -> None:
    ingestor = make(tmp_path, [*files, BROKEN]).vdb_upload(collection_name="c")
    with pytest.raises(IngestError, match="nothing was uploaded"):
        ingestor.ingest()
    assert counters(ingestor) == (0, 1, 4, 0)
    assert ingestor.get_status()[BROKEN] == "failed"
    gone = make(tmp_path, [*files, str(tmp_path / "gone.txt")])
    with pytest.raises(SourceNotFoundError):
        gone.ingest_async().result(timeout=60)
    assert counters(gone) == (0, 0, 5, 0)


def test_after_a_store_that_failed_the_uploaded_ones_are_completed(tmp_path, files) -> None:
    ingestor = make(tmp_path, files, store=FullStore()).vdb_upload(collection_name="c")
    with pytest.raises(IngestError, match="the others are in it"):
        ingestor.ingest()
    assert counters(ingestor) == (1, 3, 0, 0)


def test_a_cancelled_ingest_ends_too(tmp_path, files, go) -> None:
    ingestor = make(tmp_path, files, engines=Engines(embedder=SlowEmbedder(go)))
    future = ingestor.ingest_async()
    soon(lambda: ingestor.completed_jobs() == 2)
    future.cancel()
    soon(lambda: ingestor.remaining_jobs() == 0)
    assert counters(ingestor) == (2, 0, 2, 0)


def test_a_misspelt_option_is_refused_before_anything_begins(tmp_path, files) -> None:
    ingestor = make(tmp_path, files)
    with pytest.raises(UnknownOptionError, match="return_failure"):
        ingestor.ingest_async(return_failure=True)
    assert counters(ingestor) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("options", "rest"),
    [
        ({}, None),
        ({"include_parent_trace_ids": True}, [[]]),
        ({"return_failures": True, "include_parent_trace_ids": True}, [[], []]),
        (
            {"return_failures": True, "return_traces": True, "include_parent_trace_ids": True},
            [[], [["'embed'", "'extract'", "'split'"]], []],
        ),
    ],
)
def test_what_is_asked_for_comes_in_the_order_of_the_reference(tmp_path, files, options, rest) -> None:
    found = make(tmp_path, files[:1]).ingest(**options)
    if rest is None:
        assert [len(document) for document in found] == [1]
        return
    results, *more = found
    assert [len(document) for document in results] == [1]
    assert [[sorted(map(repr, one)) if isinstance(one, dict) else one for one in part] for part in more] == rest


def test_a_running_ingest_shows_its_progress_where_it_is_asked_to(tmp_path, files, capfd) -> None:
    make(tmp_path, files).ingest_async(show_progress=True).result(timeout=60)
    assert "4/4 documents" in capfd.readouterr().err
