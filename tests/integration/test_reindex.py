"""Re-index without downtime: readers see all of the old rows or all of the new ones, whatever breaks off and when."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from nemo_retriever_dagster import Ingestor, IngestWarning, Settings, portal
from nemo_retriever_dagster.batch import IngestError
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError, VerificationError
from nemo_retriever_dagster.ledger import BUILD_MARK, Ledger
from nemo_retriever_dagster.model import Receipt
from nemo_retriever_dagster.reindex import Rebuild, hand_over
from nemo_retriever_dagster.testing.engines import WatchedEmbedder
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.vdb.aliases import drop_former, former, switch
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.vdb.contract import AliasStore

BROKEN = Path(__file__).parents[2] / "assets/sample/broken.pdf"
OLD, NEW = 32, 64
TEXTS = {name: f"The {name} is a thing of its own. " * 30 for name in ("anchor", "beacon", "cable", "davit")}


class Model(HashEmbedder):
    """An embedding model of its own name for each dimension, as models have."""

    @property
    def name(self) -> str:
        return f"model-{self.dimension}"


class Site:
    """Documents, a state folder and a store; every `Ingestor` of it writes the collection "docs"."""

    def __init__(self, root: Path, store: AliasStore) -> None:
        self.store, self.source = store, root / "documents"
        self.settings = Settings(state_dir=root / "state")
        self.source.mkdir()
        for name, text in TEXTS.items():
            (self.source / f"{name}.txt").write_text(text)

    def embedder(self, dimension: int) -> WatchedEmbedder:
        return WatchedEmbedder(Model(dimension))

    def chain(self, embedder: WatchedEmbedder, *only: str, chunk_size: int = 100, **upload: Any) -> Ingestor:
        files = [str(self.source / name) for name in only] or str(self.source)
        ingestor = Ingestor(engines=Engines(embedder=embedder), store=self.store, settings=self.settings, workers=1)
        chain = ingestor.files(files).extract().split(chunk_size=chunk_size, chunk_overlap=0).embed()
        return chain.vdb_upload(collection_name="docs", **upload)

    def corpora(self) -> list[str]:
        with Ledger(self.settings.ledger) as ledger:
            return ledger.corpora()


@pytest.fixture(params=["memory", "lite"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    if request.param == "memory":
        yield Site(tmp_path, InMemoryStore())
        return
    with MilvusStore(str(tmp_path / "milvus.db")) as opened:
        yield Site(tmp_path, opened)


@pytest.fixture
def memory(tmp_path: Path) -> Site:
    return Site(tmp_path, InMemoryStore())


def dimension(site: Site) -> int:
    """Return the dimension that searches of "docs" take."""
    for size in (OLD, NEW):
        try:
            site.store.search("docs", vector=[1.0] * size, top_k=1)
        except InvalidOptionError:
            continue
        return size
    raise AssertionError("neither")


def test_a_new_model_is_built_beside_and_then_serves(site: Site) -> None:
    site.chain(site.embedder(OLD), reindex=True).ingest()
    assert (site.store.alias_target("docs"), dimension(site)) == ("docs_v1", OLD)
    before = site.store.census("docs")
    with pytest.raises(InvalidOptionError, match="reindex=True"):
        site.chain(site.embedder(NEW)).ingest()

    site.chain(site.embedder(NEW), reindex=True).ingest()
    assert (site.store.alias_target("docs"), dimension(site)) == ("docs_v2", NEW)
    assert set(site.store.census("docs")) == set(before)
    assert (former(site.store, "docs"), site.store.census("docs_v1")) == (["docs_v1"], before)
    assert site.corpora() == ["ingestor:docs"], "the build's receipts are the corpus's own now"

    rows = {row.id: row for row in site.store.select("docs", where="")}
    for options in ({}, {"reindex": True}):
        embedder = site.embedder(NEW)
        site.chain(embedder, **options).ingest()
        assert not embedder.calls
        assert {row.id: row for row in site.store.select("docs", where="")} == rows, "nothing was written again"
    assert drop_former(site.store, "docs") == ["docs_v1"]

    (site.source / "anchor.txt").write_text("Another anchor.")
    site.chain(site.embedder(NEW), reindex=True).ingest()
    assert site.store.alias_target("docs") == "docs_v2", "a changed document is no reason to build anew"
    assert any(row.text == "Another anchor." for row in site.store.select("docs", where=""))


def test_a_plain_collection_and_changed_options(memory: Site) -> None:
    memory.chain(memory.embedder(OLD)).ingest()
    rows = memory.store.count("docs")
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    assert memory.store.alias_target("docs") is None, "up to date: left as it is"
    memory.chain(memory.embedder(OLD), chunk_size=50, reindex=True).ingest()
    assert (memory.store.alias_target("docs"), memory.store.count("docs_v1")) == ("docs_v2", rows)
    assert memory.store.count("docs") > rows


def test_own_fields_are_no_reason_to_build_again(memory: Site) -> None:
    rows = [{"file": f"{name}.txt", "team": name.upper()} for name in TEXTS]
    own = {"meta_dataframe": rows[1:], "meta_source_field": "file", "meta_fields": ["team"]}
    memory.chain(memory.embedder(NEW), reindex=True, **own).ingest()
    serving = memory.store.alias_target("docs")
    memory.chain(memory.embedder(NEW), reindex=True, **own).ingest()
    assert memory.store.alias_target("docs") == serving
    memory.chain(memory.embedder(NEW), reindex=True, **{**own, "meta_dataframe": rows}).ingest()
    assert memory.store.alias_target("docs") != serving
    found = {row.content_metadata["team"] for row in memory.store.select("docs", where="")}
    assert found == {name.upper() for name in TEXTS}


def test_every_reader_sees_a_whole_collection(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(memory.store.count("docs"))

    reader = threading.Thread(target=read)
    reader.start()
    old = memory.store.count("docs")
    memory.chain(memory.embedder(NEW), chunk_size=50, reindex=True).ingest()
    stop.set()
    reader.join()
    assert seen <= {old, memory.store.count("docs")}
    assert old in seen


def test_a_failed_document_keeps_the_former_collection_serving(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    (memory.source / "beacon.txt").rename(memory.source.parent / "beacon.txt")
    (memory.source / "beacon.txt").write_bytes(b"")  # empty: fails
    with pytest.raises(IngestError, match="1 of 4"):
        memory.chain(memory.embedder(NEW), reindex=True).ingest()
    with pytest.warns(IngestWarning, match="docs_v2 is not complete: 1 documents"):
        results, failures = memory.chain(memory.embedder(NEW), reindex=True).ingest(return_failures=True)
    assert (len(results), len(failures), memory.store.alias_target("docs")) == (3, 1, "docs_v1")
    assert (memory.store.count("docs_v2") > 0, dimension(memory)) == (True, OLD)

    (memory.source.parent / "beacon.txt").rename(memory.source / "beacon.txt")
    written = {row.id: row for row in memory.store.select("docs_v2", where="")}
    memory.chain(memory.embedder(NEW), reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v2"
    kept = {row.id: row for row in memory.store.select("docs", where="") if "beacon" not in row.text}
    assert (kept, len(memory.store.census("docs"))) == (written, 4), "what was done was kept"


def test_a_document_that_never_had_rows_does_not_stand_in_the_way(memory: Site) -> None:
    (memory.source / "broken.pdf").write_bytes(BROKEN.read_bytes())
    memory.chain(memory.embedder(OLD), reindex=True).ingest(return_failures=True)
    memory.chain(memory.embedder(NEW), reindex=True).ingest(return_failures=True)
    assert (memory.store.alias_target("docs"), dimension(memory)) == ("docs_v2", NEW)
    assert memory.corpora() == ["ingestor:docs"], "else the next build would go on in the collection that serves"


def test_a_document_without_rows_does_not_stand_in_the_way(memory: Site) -> None:
    (memory.source / "sizes.csv").write_text("bolt,size\nM8,13\n")
    for size in (OLD, NEW):
        chain = memory.chain(memory.embedder(size), reindex=True)
        assert len(chain.embed(embed_structured_elements=False).ingest()) == 5
    assert (memory.store.alias_target("docs"), len(memory.store.census("docs"))) == ("docs_v2", 4)


def test_rows_that_no_receipt_vouches_for_are_built_anew(memory: Site) -> None:
    memory.chain(memory.embedder(OLD)).ingest()
    shutil.rmtree(memory.settings.state_dir)
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v2"


def test_documents_that_are_searched_must_all_be_given(memory: Site) -> None:
    memory.chain(memory.embedder(OLD)).ingest()
    with pytest.raises(VerificationError, match=r"1 documents that are searched now are not in it \(davit"):
        memory.chain(memory.embedder(NEW), "anchor.txt", "beacon.txt", "cable.txt", reindex=True).ingest()
    assert dimension(memory) == OLD


def test_rows_that_differ_from_the_receipts_are_never_switched_to(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    with pytest.raises(VerificationError):
        memory.chain(memory.embedder(NEW), "anchor.txt", reindex=True).ingest()
    row = memory.store._collections["docs_v2"].rows  # a row that nobody wrote
    key = next(iter(row))
    row["stray"] = {**row[key], "pk": "stray", "document": "stray"}
    with pytest.raises(VerificationError, match="the rows of 1 documents are not those of their receipts"):
        memory.chain(memory.embedder(NEW), reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v1"


def test_a_document_written_anew_while_it_was_built_is_not_undone(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    chain = memory.chain(memory.embedder(OLD), chunk_size=50, reindex=True)
    finish = Rebuild.finish

    def overtaken(self: Rebuild, **given: Any) -> Any:
        time.sleep(1.1)  # receipts tell whole seconds
        (memory.source / "anchor.txt").write_text("The anchor was painted.")
        memory.chain(memory.embedder(OLD)).ingest()
        return finish(self, **given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Rebuild, "finish", overtaken)
        with pytest.raises(VerificationError, match="1 documents were changed since"):
            chain.ingest()
    assert memory.store.alias_target("docs") == "docs_v1"
    memory.chain(memory.embedder(OLD), chunk_size=50, reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v2"
    assert "The anchor was painted." in {row.text for row in memory.store.select("docs", where="")}


def test_a_document_that_changed_before_it_was_built_serves_in_its_new_version(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    (memory.source / "anchor.txt").write_text("The anchor was painted.")
    memory.chain(memory.embedder(OLD), chunk_size=50, reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v2"
    assert "The anchor was painted." in {row.text for row in memory.store.select("docs", where="")}


def test_a_document_that_went_before_a_build_was_continued_is_not_in_it(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    (memory.source / "extra.txt").write_text("An extra thing.")
    (memory.source / "beacon.txt").write_bytes(b"")  # empty: fails, so that the build stays open
    with pytest.raises(IngestError, match="1 of 5"):
        memory.chain(memory.embedder(NEW), reindex=True).ingest()
    with pytest.warns(IngestWarning, match="docs_v2 is not complete"):
        memory.chain(memory.embedder(NEW), reindex=True).ingest(return_failures=True)
    assert len(memory.store.census("docs_v2")) == 4
    (memory.source / "extra.txt").unlink()
    (memory.source / "beacon.txt").write_text(TEXTS["beacon"])
    memory.chain(memory.embedder(NEW), reindex=True).ingest()
    assert memory.store.alias_target("docs") == "docs_v2"
    assert {row.source["source_name"] for row in memory.store.select("docs", where="")} == {
        str(memory.source / f"{name}.txt") for name in TEXTS
    }


def test_what_was_written_after_the_switch_is_not_handed_over_as_it_was_built(tmp_path: Path) -> None:
    building = f"c{BUILD_MARK}docs_v2"

    def receipt(sha256: str, at: str) -> Receipt:
        facts = {"uri": "a.txt", "generation": sha256, "rows": 1, "run_id": "r", "finished_at": at}
        return Receipt(document="a", collection="docs", sha256=sha256, **facts)

    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.commit(building, receipt("built", "2026-01-01T00:00:01"), version="1")
        ledger.commit("c", receipt("later", "2026-01-01T00:00:02"), version="2")
        hand_over(ledger, building, "c")
        assert [one.sha256 for one in ledger.receipts("c")] == ["later"]
        assert building not in ledger.corpora()


def test_a_build_for_other_options_is_begun_anew(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    with pytest.raises(VerificationError):
        memory.chain(memory.embedder(NEW), "anchor.txt", reindex=True).ingest()
    memory.chain(memory.embedder(OLD), chunk_size=50, reindex=True).ingest()
    assert (memory.store.alias_target("docs"), dimension(memory)) == ("docs_v2", OLD)
    assert len(memory.store.census("docs")) == 4
    assert memory.corpora() == ["ingestor:docs"]


def test_a_build_for_other_options_leaves_no_row_to_be_switched_to(memory: Site) -> None:
    memory.chain(memory.embedder(OLD), reindex=True).ingest()
    with pytest.raises(VerificationError):
        memory.chain(memory.embedder(OLD), "anchor.txt", chunk_size=50, reindex=True).ingest()
    (memory.source / "anchor.txt").write_bytes(b"")  # empty: fails
    with pytest.warns(IngestWarning, match="docs_v2 is not complete"):
        memory.chain(memory.embedder(OLD), chunk_size=25, reindex=True).ingest(return_failures=True)
    assert memory.store.alias_target("docs") == "docs_v1"


def test_kinds_in_collections_of_their_own_switch_together(memory: Site) -> None:
    names = {"words": ("text",), "pictures": ("images",)}
    for size in (OLD, NEW):
        chain = memory.chain(memory.embedder(size))
        chain.vdb_upload(collection_name=names, reindex=True).ingest()
    assert {name: memory.store.alias_target(name) for name in names} == {"words": "words_v2", "pictures": "pictures_v2"}


def test_recreate_and_reindex_contradict_each_other(memory: Site) -> None:
    with pytest.raises(InvalidOptionError, match="contradict"):
        memory.chain(memory.embedder(OLD), recreate=True, reindex=True)


class Died(BaseException):
    """The process, for all that the code can know."""


def test_a_switch_that_died_half_way_stands_in_no_other_build_s_way(memory: Site, monkeypatch) -> None:
    names = {"words": ("text",), "pictures": ("images",)}

    def switched_once(store: AliasStore, alias: str, collection: str) -> str:
        if alias == "pictures":
            raise Died
        return switch(store, alias, collection)

    def run(size: int, **options: Any) -> dict[str, str | None]:
        chain = memory.chain(memory.embedder(size), **options)
        chain.vdb_upload(collection_name=names, reindex=True).ingest()
        return {name: memory.store.alias_target(name) for name in names}

    run(OLD)
    with monkeypatch.context() as patched:
        patched.setattr("nemo_retriever_dagster.reindex.switch", switched_once)
        with pytest.raises(Died):
            run(NEW)
    assert memory.store.alias_target("words") == "words_v2"
    assert run(OLD, chunk_size=50) == {"words": "words_v3", "pictures": "pictures_v3"}


class MortalStore(InMemoryStore):
    """Dies at call ``at`` of those that change something, and so does the ledger: before it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.at = 0, -1

    def reach(self, *_: object) -> None:
        self.reached += 1
        if self.reached - 1 == self.at:
            raise Died

    def upsert(self, *arguments: Any) -> None:
        self.reach()
        super().upsert(*arguments)

    def delete(self, *arguments: Any, **options: Any) -> None:
        self.reach()
        super().delete(*arguments, **options)

    def set_alias(self, *arguments: Any) -> None:
        self.reach()
        super().set_alias(*arguments)

    def drop(self, *arguments: Any) -> None:
        self.reach()
        super().drop(*arguments)

    def flush(self, *arguments: Any) -> None:
        self.reach()
        super().flush(*arguments)


def test_dying_anywhere_leaves_a_whole_collection_and_the_next_run_ends_it(tmp_path: Path) -> None:
    """Every change of store and ledger is a point to die at, in turn, until a run gets through."""
    for at in itertools.count():
        place = tmp_path / str(at)
        place.mkdir()
        store = MortalStore()
        site = Site(place, store)
        for name in ("beacon.txt", "cable.txt", "davit.txt"):
            (site.source / name).unlink()
        site.chain(site.embedder(OLD), reindex=True).ingest()
        old = site.store.census("docs")
        store.reached, store.at = 0, at
        sa.event.listen(sa.Engine, "commit", store.reach)
        try:
            site.chain(site.embedder(NEW), reindex=True).ingest()
            died = False
        except Died:
            died = True
        finally:
            sa.event.remove(sa.Engine, "commit", store.reach)
            store.at = -1
        now = site.store.census("docs")
        assert now == old if dimension(site) == OLD else set(now) == set(old), f"at point {at}"
        site.chain(site.embedder(NEW), reindex=True).ingest()
        assert (store.alias_target("docs"), dimension(site), site.corpora()) == ("docs_v2", NEW, ["ingestor:docs"])
        embedder = site.embedder(NEW)
        site.chain(embedder).ingest()
        assert not embedder.calls
        if not died:
            break
    assert at > 10, "the sweep saw the points"


class Attended(InMemoryStore):
    """Notes the threads in which it is asked."""

    threads: set[int]

    def alias_target(self, alias: str) -> str | None:
        self.threads.add(threading.get_ident())
        return super().alias_target(alias)


def test_no_other_work_waits_for_a_store_that_a_reindex_waits_for(tmp_path: Path) -> None:
    store = Attended()
    store.threads = set()
    site = Site(tmp_path, store)
    site.chain(site.embedder(OLD), reindex=True).ingest()

    async def loop() -> int:
        return threading.get_ident()

    assert store.threads
    assert portal.run(loop()) not in store.threads
