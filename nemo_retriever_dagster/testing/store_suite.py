"""What every vector store must do, as tests: subclass `VectorStoreSuite` and give it a ``store`` fixture.

::

    class TestMyStore(VectorStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path) as store:
                yield store

The commit protocol rests on these behaviours: a store that passes keeps its promises, one that fails would lose rows.
Over 400 lines because a user subclasses one suite, whole.
"""

# ruff: noqa: PLR2004 - in a test the number beside the call is the clearest
from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.codec import digest_row, digest_rows
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError, RetrieverError
from nemo_retriever_dagster.model import Record
from nemo_retriever_dagster.vdb.contract import CollectionSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.vdb.contract import AliasStore, Metric, VectorStore

DIMENSION = 4
HOSTILE = (
    "it's",
    'say "hi"',
    "a' or 1==1 or document != '",
    'a" or pk != "" or document == "',
    "back\\slash\\",
    "{document}",
    "100%_like",
    "line\nbreak\ttab\r",
    "ünïcödé 文档 \U0001f4c4",
    "",
)


def record(
    number: int,
    *,
    document: str = "doc",
    generation: str = "g1",
    text: str = "",
    vector: Sequence[float] = (),
    prefix: str = "",
    **metadata: type_json,
) -> Record:
    """Make a record whose vector points to ``number`` on a line."""
    return Record(
        id=f"{prefix or document[:20]}-{number:04d}",
        document=document,
        generation=generation,
        text=text or f"row number {number}",
        vector=tuple(vector) or (float(number), 0.0, 0.0, 1.0),
        source={"source_name": document},
        content_metadata={"page_number": number, **metadata},
    )


def records(count: int, **same: type_json) -> list[Record]:
    """Make ``count`` records numbered from 0."""
    return [record(number, **same) for number in range(count)]


def refused(kind: type[RetrieverError], call: Callable[[], object]) -> str:
    """Return the message of the error that ``call`` must raise."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was not raised")


# mypy knows no type for a lambda whose arguments have defaults, which the loops below need: hence the ignores.
class VectorStoreSuite:
    """The behaviours. `reopen` may be overridden where closing and using again is not the way to open anew."""

    def reopen(self, store: VectorStore) -> VectorStore:
        """Return a store opened anew on the same rows."""
        store.close()
        return store

    def collection(self, store: VectorStore, *, sparse: bool = False, metric: Metric = "L2") -> str:
        """Create a collection of its own for one test."""
        name = f"suite_{uuid.uuid4().hex[:12]}"
        store.ensure(CollectionSpec(name=name, dimension=DIMENSION, sparse=sparse, metric=metric))
        return name

    def test_a_new_collection_is_empty_and_ensure_may_be_repeated(self, store: VectorStore) -> None:
        """Ensure is idempotent and keeps rows."""
        name = self.collection(store)
        assert store.exists(name)
        assert store.count(name) == 0
        store.upsert(name, records(3))
        store.ensure(CollectionSpec(name=name, dimension=DIMENSION))
        assert store.count(name) == 3

    def test_another_dimension_is_refused_and_named(self, store: VectorStore) -> None:
        """The message names both dimensions; the rows stay."""
        name = self.collection(store)
        store.upsert(name, records(2))
        message = refused(InvalidOptionError, lambda: store.ensure(CollectionSpec(name=name, dimension=8)))
        assert " 4" in message
        assert " 8" in message
        assert "recreate" in message
        assert store.count(name) == 2

    def test_another_metric_or_a_missing_sparse_field_is_refused(self, store: VectorStore) -> None:
        """Shape is more than the dimension."""
        name = self.collection(store)
        cosine = CollectionSpec(name=name, dimension=DIMENSION, metric="COSINE")
        assert "COSINE" in refused(InvalidOptionError, lambda: store.ensure(cosine))
        sparse = CollectionSpec(name=name, dimension=DIMENSION, sparse=True)
        refused(InvalidOptionError, lambda: store.ensure(sparse))

    def test_recreate_drops_what_was_there(self, store: VectorStore) -> None:
        """Recreate gives an empty collection, of another dimension too."""
        name = self.collection(store)
        store.upsert(name, records(2))
        store.ensure(CollectionSpec(name=name, dimension=8), recreate=True)
        assert store.count(name) == 0
        store.upsert(name, [record(1, vector=[1.0] * 8)])
        assert store.count(name) == 1

    def test_impossible_collections_are_refused(self, store: VectorStore) -> None:
        """Names and dimensions are checked before any work."""
        for name in ("", "1st", "with-dash", "with space", "x" * 256, 'quo"te'):
            refused(InvalidOptionError, lambda name=name: store.ensure(CollectionSpec(name=name, dimension=DIMENSION)))  # type: ignore[misc]
        refused(InvalidOptionError, lambda: store.ensure(CollectionSpec(name="none", dimension=0)))

    def test_a_collection_that_is_not_there_is_an_error_everywhere(self, store: VectorStore) -> None:
        """Nothing creates a collection by accident."""
        calls: list[Callable[[], object]] = [
            lambda: store.count("absent"),
            lambda: store.upsert("absent", records(1)),
            lambda: store.delete("absent", "doc"),
            lambda: store.search("absent", vector=[0.0] * DIMENSION),
            lambda: store.select("absent", where=""),
            lambda: store.census("absent"),
            lambda: list(store.records("absent")),
            lambda: store.flush("absent"),
        ]
        for call in calls:
            assert "absent" in refused(InvalidOptionError, call)
        assert not store.exists("absent")

    def test_upsert_replaces_by_id(self, store: VectorStore) -> None:
        """Writing twice leaves one row, the second."""
        name = self.collection(store)
        store.upsert(name, records(3))
        store.upsert(name, [record(1, text="rewritten", generation="g2")])
        assert store.count(name) == 3
        assert [row.text for row in store.select(name, where="pk == {id}", values={"id": "doc-0001"})] == ["rewritten"]
        assert store.count(name, "doc", generation="g2") == 1

    def test_a_document_that_shrinks_leaves_no_stale_rows(self, store: VectorStore) -> None:
        """Upsert, count, sweep other generations, count: the commit protocol."""
        name = self.collection(store)
        store.upsert(name, [*records(5), *records(2, document="other")])
        store.upsert(name, records(2, generation="g2"))
        assert store.count(name, "doc", generation="g2") == 2
        store.delete(name, "doc", keep_generation="g2")
        assert store.count(name, "doc") == 2
        assert store.count(name, "other") == 2
        assert store.census(name) == {"doc": {"g2": 2}, "other": {"g1": 2}}

    def test_delete_takes_only_its_document(self, store: VectorStore) -> None:
        """Repeating a delete, or deleting what never was, is no error."""
        name = self.collection(store)
        store.upsert(name, [*records(3), *records(2, document="other")])
        for _ in range(2):
            store.delete(name, "doc")
            store.delete(name, "never")
        assert store.count(name) == 2
        assert store.count(name, "doc") == 0

    def test_hostile_ids_are_values_not_expressions(self, store: VectorStore) -> None:
        """Quotes, backslashes, braces and operators in an id never reach another document's rows."""
        name = self.collection(store)
        store.upsert(name, [record(at, document=evil, prefix="evil") for at, evil in enumerate(HOSTILE)])
        store.upsert(name, records(2, document="victim"))
        assert {evil: store.count(name, evil) for evil in HOSTILE} == dict.fromkeys(HOSTILE, 1)
        for left, evil in enumerate(reversed(HOSTILE), start=1):
            store.delete(name, evil)
            assert store.count(name) == len(HOSTILE) - left + 2
        assert store.count(name, "victim") == 2

    def test_generations_are_counted_apart(self, store: VectorStore) -> None:
        """Counts by document and generation."""
        name = self.collection(store)
        store.upsert(name, [*records(3, prefix="a"), *records(2, prefix="b", generation="g'2")])
        assert store.count(name, "doc") == 5
        assert store.count(name, "doc", generation="g1") == 3
        assert store.count(name, "doc", generation="g'2") == 2
        assert store.count(name, generation="g1") == 3
        assert store.count(name, "doc", generation="g3") == 0

    def test_counts_and_searches_see_every_write_at_once(self, store: VectorStore) -> None:
        """Strong consistency, ten times over."""
        name = self.collection(store)
        for at in range(10):
            store.upsert(name, [record(at)])
            assert store.count(name) == at + 1
            assert store.search(name, vector=[at, 0, 0, 1], top_k=1)[0].id == f"doc-{at:04d}"
        store.delete(name, "doc")
        assert store.count(name) == 0
        assert store.search(name, vector=[0, 0, 0, 1]) == []

    def test_bad_batches_are_refused_whole(self, store: VectorStore) -> None:
        """A repeated id, NaN, infinity, a wrong length, a text too long: nothing of the batch is written."""
        name = self.collection(store)
        good = record(1)
        limit = store.capabilities.max_text_bytes
        bad: list[tuple[type[RetrieverError], Record]] = [
            (InvalidOptionError, good),
            (EngineReplyError, record(2, vector=(float("nan"), 0, 0, 0))),
            (EngineReplyError, record(2, vector=(0, float("-inf"), 0, 0))),
            (EngineReplyError, record(2, vector=(1e39, 0, 0, 0))),
            (InvalidOptionError, record(2, vector=(1, 2, 3))),
            (InvalidOptionError, record(2, text="x" * (limit + 1))),
            (InvalidOptionError, record(2, text="ü" * (limit // 2 + 1))),
            (InvalidOptionError, record(2, text="\ud800")),
            (InvalidOptionError, record(2, prefix='quo"te')),
            (InvalidOptionError, record(2, prefix="back\\slash")),
        ]
        for kind, second in bad:
            refused(kind, lambda second=second: store.upsert(name, [good, second]))  # type: ignore[misc]
            assert store.count(name) == 0

    def test_values_come_back_as_they_went_in(self, store: VectorStore) -> None:
        """The longest text, Unicode, nested metadata."""
        name = self.collection(store)
        limit = store.capabilities.max_text_bytes
        nested = {"list": [1, 2.5, "ü\"'\\", None, True], "deep": {"a": {"b": []}}}
        store.upsert(name, [record(1, text="x" * limit, nested=nested), record(2, text="文" * 100)])
        rows = store.select(name, where="")
        assert [row.text for row in rows] == ["x" * limit, "文" * 100]
        assert rows[0].content_metadata == {"page_number": 1, "nested": nested}
        assert rows[0].source == {"source_name": "doc"}
        assert (rows[0].fields["document"], rows[0].fields["generation"]) == ("doc", "g1")
        assert store.search(name, vector=[1, 0, 0, 1], top_k=1)[0].content_metadata == rows[0].content_metadata

    def test_an_empty_upsert_does_nothing(self, store: VectorStore) -> None:
        """No rows, no error."""
        name = self.collection(store)
        store.upsert(name, [])
        assert store.count(name) == 0

    def test_more_rows_than_one_request_holds(self, store: VectorStore) -> None:
        """A large upsert arrives whole; census and select page through it."""
        name = self.collection(store)
        store.upsert(name, records(2_500))
        assert store.count(name) == 2_500
        assert store.census(name) == {"doc": {"g1": 2_500}}
        assert len(store.select(name, where="document == {d}", values={"d": "doc"})) == 2_500
        assert len(store.select(name, where="", limit=7)) == 7
        assert len(store.select(name, where="", limit=None)) == 2_500

    def test_rows_are_read_as_they_were_written(self, store: VectorStore) -> None:
        """Text, metadata and every number of a vector come back as they are, and all pages of them."""
        name = self.collection(store)
        odd: dict[str, type_json] = {"n": 0.1, "none": None, "list": [1, {"a": "\\"}], "ключ": True}
        text, vector = "o'brien\n文档", [0.1, -3e-7, 1e8, 0.0]
        written = [*records(2_100), record(9_999, text=text, vector=vector, **odd)]
        store.upsert(name, written)
        read = sorted(store.records(name), key=lambda one: one.id)
        assert digest_rows(map(digest_row, read)) == digest_rows(map(digest_row, written))
        assert (read[-1].text, read[-1].content_metadata) == (text, {"page_number": 9_999, **odd})

    def test_the_nearest_come_first(self, store: VectorStore) -> None:
        """Search order, scores, distances (squared, L2), limits."""
        name = self.collection(store)
        store.upsert(name, records(10))
        rows = store.search(name, vector=[3.1, 0, 0, 1], top_k=3)
        assert [row.id for row in rows] == ["doc-0003", "doc-0004", "doc-0002"]
        assert rows[0].score > rows[1].score > rows[2].score
        assert abs(rows[0].distance - 0.01) < 0.001
        assert len(store.search(name, vector=[0, 0, 0, 1], top_k=100)) == 10
        for top_k in (0, -1, 1_000_000):
            refused(InvalidOptionError, lambda top_k=top_k: store.search(name, vector=[0, 0, 0, 1], top_k=top_k))  # type: ignore[misc]
        refused(InvalidOptionError, lambda: store.search(name, vector=[0, 0, 1]))
        refused(InvalidOptionError, lambda: store.search(name))

    def test_cosine_and_inner_product_rank_by_similarity(self, store: VectorStore) -> None:
        """The score is the similarity, higher first."""
        for metric, best in (("COSINE", "doc-0001"), ("IP", "doc-0002")):
            name = self.collection(store, metric=metric)  # type: ignore[arg-type] # one of the two
            vectors = [(0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (5.0, 5.0, 0.0, 0.0)]
            store.upsert(name, [record(at, vector=vector) for at, vector in enumerate(vectors)])
            rows = store.search(name, vector=[1, 0, 0, 0], top_k=3)
            assert rows[0].id == best
            assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)

    def test_filters_bind_their_values(self, store: VectorStore) -> None:
        """Values of every type, hostile ones too, in searches and selections."""
        name = self.collection(store)
        rows = [record(at, prefix="r", document=evil, word=evil) for at, evil in enumerate(HOSTILE)]
        store.upsert(name, rows)
        for at, evil in enumerate(HOSTILE):
            for where in ("document == {v}", 'content_metadata["word"] == {v}'):
                found = store.search(name, vector=[0, 0, 0, 1], where=where, values={"v": evil})
                assert [row.id for row in found] == [f"r-{at:04d}"]
        both = store.select(name, where="document in {v}", values={"v": [HOSTILE[0], HOSTILE[2]]})
        assert [row.id for row in both] == ["r-0000", "r-0002"]
        pages = 'content_metadata["page_number"] > {low} and content_metadata["page_number"] < {high}'
        assert len(store.select(name, where=pages, values={"low": 2, "high": 5.5})) == 3

    def test_bad_filters_are_refused(self, store: VectorStore) -> None:
        """A value that is missing, unused or no value; a broken expression."""
        name = self.collection(store)
        store.upsert(name, records(1))
        bad: list[tuple[str, dict[str, type_json]]] = [
            ("document == {d}", {}),
            ("document == {d}", {"d": "x", "e": 1}),
            ("document == '{d}'", {"d": "x"}),
            ("document == {d}", {"d": {"a": 1}}),
            ("document == {d}", {"d": float("nan")}),
            ("document == {", {}),
            ("document ==", {}),
            ("document == 'open", {}),
        ]
        for where, values in bad:
            refused(
                InvalidOptionError,
                lambda where=where, values=values: store.search(  # type: ignore[misc]
                    name, vector=[0, 0, 0, 1], where=where, values=values
                ),
            )

    def test_full_text_and_hybrid_search(self, store: VectorStore) -> None:
        """Words are found; hybrid ranks what both searches like first; where impossible, it is said."""
        if not store.capabilities.sparse:
            spec = CollectionSpec(name="no_sparse", dimension=DIMENSION, sparse=True)
            assert "sparse" in refused(InvalidOptionError, lambda: store.ensure(spec))
            return
        name = self.collection(store, sparse=True)
        texts = ["a red apple", "a green pear", "a yellow apple pie", "nothing of the kind"]
        store.upsert(name, [record(at, text=text) for at, text in enumerate(texts)])
        rows = store.search(name, text="Apple pie", mode="sparse")
        assert rows[0].id == "doc-0002"
        assert rows[0].score > rows[1].score > 0
        both = store.search(name, vector=[2, 0, 0, 1], text="apple", mode="hybrid", top_k=2)
        assert both[0].id == "doc-0002"
        nowhere: dict[str, Any] = {"text": "apple", "where": "document == {d}", "values": {"d": "x"}}
        assert store.search(name, mode="sparse", **nowhere) == []
        assert store.search(name, vector=[2, 0, 0, 1], mode="hybrid", **nowhere) == []
        refused(InvalidOptionError, lambda: store.search(name, vector=[2, 0, 0, 1], mode="hybrid"))

    def test_words_are_weighed_by_the_whole_collection(self, store: VectorStore) -> None:
        """What a document is about is not taken for a common word because its rows were written together."""
        if not store.capabilities.sparse:
            return
        name = self.collection(store, sparse=True)
        store.upsert(name, [record(at, document="zebras", text=f"zebra note {at}") for at in range(20)])
        store.flush(name)
        passing = ["another line about horses and a zebra", *(f"another line about horses {at}" for at in range(19))]
        store.upsert(name, [record(at, document="horses", text=text) for at, text in enumerate(passing)])
        store.flush(name)
        for _ in range(2):
            rows = store.search(name, text="zebra", mode="sparse", top_k=20)
            assert {row.fields["document"] for row in rows} == {"zebras"}
            store.upsert(name, [record(20, document="horses", text="one horse more")])
        both = store.search(name, vector=[30, 0, 0, 1], text="zebra", mode="hybrid", top_k=5)
        assert {row.fields["document"] for row in both} == {"zebras"}

    def test_a_dense_collection_refuses_full_text_search(self, store: VectorStore) -> None:
        """Not an empty answer: an error that says what to do."""
        name = self.collection(store)
        refused(InvalidOptionError, lambda: store.search(name, text="apple", mode="sparse"))
        refused(InvalidOptionError, lambda: store.search(name, vector=[0, 0, 0, 1], text="a", mode="hybrid"))

    def test_rows_survive_closing_and_opening(self, store: VectorStore) -> None:
        """Count, search, write and delete work on a collection that was not created by this opening."""
        name = self.collection(store)
        store.upsert(name, records(5))
        store.flush(name)
        again = self.reopen(store)
        assert again.count(name) == 5
        again = self.reopen(again)
        assert again.search(name, vector=[2, 0, 0, 1], top_k=1)[0].id == "doc-0002"
        again = self.reopen(again)
        again.upsert(name, [record(9)])
        again.ensure(CollectionSpec(name=name, dimension=DIMENSION))
        again.delete(name, "doc")
        assert again.count(name) == 0
        again.close()
        again.close()

    def test_threads_share_a_store(self, store: VectorStore) -> None:
        """Concurrent commits of different documents lose nothing."""
        name = self.collection(store)

        def commit(document: str) -> int:
            store.upsert(name, records(20, document=document))
            store.delete(name, document, keep_generation="g1")
            return store.count(name, document)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(commit, [f"doc{at}" for at in range(8)])) == [20] * 8
        assert store.count(name) == 160

    def test_an_alias_switches_at_once(self, store: AliasStore) -> None:
        """Readers of the alias see the old rows, then the new; what is written under it goes to what it stands for."""
        if not store.capabilities.aliases:
            return
        old, new, alias = self.collection(store), self.collection(store), f"alias_{uuid.uuid4().hex[:8]}"
        store.upsert(old, records(2))
        store.upsert(new, records(3))
        assert store.alias_target(alias) is None
        for target, rows in ((old, 2), (new, 3), (old, 2)):
            store.set_alias(alias, target)
            assert (store.alias_target(alias), store.count(alias), store.count(alias, "doc")) == (target, rows, rows)
        store.ensure(CollectionSpec(name=alias, dimension=DIMENSION))
        store.upsert(alias, records(3, document="late"))
        store.flush(alias)
        assert (store.count(old, "late"), store.census(alias)["late"]) == (3, {"g1": 3})
        store.delete(alias, "late")
        assert store.count(old, "late") == 0
        refused(InvalidOptionError, lambda: store.set_alias(old, new))
        refused(InvalidOptionError, lambda: store.drop(old))
        store.drop_alias(alias)
        assert not store.exists(alias)
        assert store.count(old) == 2

    def test_a_dropped_collection_is_gone(self, store: VectorStore) -> None:
        """Its name can be used anew."""
        name = self.collection(store)
        store.upsert(name, records(1))
        store.drop(name)
        assert not store.exists(name)
        store.ensure(CollectionSpec(name=name, dimension=8))
        assert store.count(name) == 0
