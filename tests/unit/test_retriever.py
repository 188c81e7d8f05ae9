import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nemo_retriever_dagster.engines.ports import EmbedInput, Engines, Purpose
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError
from nemo_retriever_dagster.hits import Hit
from nemo_retriever_dagster.model import Box, Record
from nemo_retriever_dagster.retriever import Retriever
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.vdb.contract import CollectionSpec


class Words:
    """An embedder without a model: every word is a direction, given by its hash."""

    name, dimension, max_tokens = "words", 256, 0

    def __init__(self) -> None:
        self.purposes: list[Purpose] = []
        self.closed = 0

    async def check(self) -> None: ...

    async def aclose(self) -> None:
        self.closed += 1

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        self.purposes.append(purpose)
        return np.stack([self.vector(one.text) for one in inputs])

    def vector(self, text: str) -> np.ndarray:
        made = np.zeros(self.dimension, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            made[hashlib.sha256(word.encode()).digest()[0]] += 1
        return made / (np.linalg.norm(made) or 1)


class Longest:
    """A reranker that prefers long passages."""

    name = "longest"

    async def check(self) -> None: ...

    async def aclose(self) -> None: ...

    async def rank(self, query: str, passages: Sequence[str]) -> list[float]:
        return [float(len(passage)) for passage in passages]


def row(page: int, element: int, position: int, text: str, *, document: str = "guide-1", **meta: object) -> Record:
    return Record(
        id=f"{document}-{element}-{position}".replace("'", ""),
        document=document,
        generation="g1",
        text=text,
        vector=Words().vector(text),
        source={"source_name": f"docs/{document}.pdf", "source_location": ""},
        content_metadata={
            "page_number": page,
            "location": [10, 20.5, 300, 40],
            "max_dimensions": [612, 792],
            "run_id": "run-1",
            "document": document,
            "version": "ab" * 32,
            "element": element,
            "position": position,
            "kind": "text",
            **meta,
        },
    )


@pytest.fixture
def retriever() -> Retriever:
    store = InMemoryStore()
    store.ensure(CollectionSpec(name="guide", dimension=Words.dimension, sparse=True))
    picture = {"image_metadata": {"uploaded_image_url": "https://pictures/valve.png"}, "kind": "image"}
    store.upsert(
        "guide",
        [
            row(1, 0, 0, "The pump moves water to the boiler"),
            row(2, 1, 0, "Close the red valve before you open the blue one."),
            row(2, 1, 1, "open the blue one. Then wait.", custom_content={"places": [{"page": 2}, {"page": 3}]}),
            row(3, 2, 0, "Service the boiler every year"),
            row(4, 3, 0, "A drawing of the valve", **picture),
            row(1, 0, 0, "Water the plants", document="garden's"),
            row(0, 0, 0, "Remarks without a page", document="notes", location=[-1, -1, -1, -1]),
        ],
    )
    return Retriever("guide", embedder=Words(), reranker=Longest(), store=store)


def test_a_hit_leads_back_to_its_place(retriever: Retriever) -> None:
    [hit] = retriever.query("close the red valve", top_k=1)
    assert (hit.text[:19], hit.source, hit.page) == ("Close the red valve", "docs/guide-1.pdf", 2)
    assert (hit.box, hit.page_size) == (Box(10, 20.5, 300, 40), (612.0, 792.0))
    assert (hit.id, hit.element, hit.position, hit.kind) == ("guide-1-1-0", 1, 0, "text")
    assert (hit.run_id, hit.document, hit.version, hit.image_url) == ("run-1", "guide-1", "ab" * 32, "")
    assert 0 < hit.score <= 1
    assert hit.metadata["page_number"] == 2
    [drawing] = retriever.query("drawing of the valve", top_k=1)
    assert (drawing.image_url, drawing.kind) == ("https://pictures/valve.png", "image")
    [remark] = retriever.query("remarks without a page", top_k=1)
    assert (remark.page, remark.box) == (0, None)


def test_a_hit_over_all_pages_of_a_document_has_the_first() -> None:
    retriever = Retriever("guide", embedder=Words(), store=InMemoryStore())
    retriever._store.ensure(CollectionSpec(name="guide", dimension=Words.dimension))
    places = [{"page": page, "box": [10, 20, 300, 40]} for page in (1, 2)]
    whole = row(-1, 0, 0, "Both slides", location=[-0.4, 20, 300, 40], custom_content={"places": places})
    retriever._store.upsert("guide", [whole])
    [hit] = retriever.query("slides", top_k=1)
    assert (hit.page, hit.box) == (1, Box(-0.4, 20, 300, 40))
    assert retriever.reconstruct(hit) == "Both slides"


def test_questions_are_embedded_as_questions(retriever: Retriever) -> None:
    words = Words()
    retriever = Retriever("guide", embedder=words, store=retriever._store)
    retriever.query("boiler")
    retriever.query("boiler", mode="sparse")
    assert words.purposes == ["query"]


def test_engines_of_its_own_are_closed_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Words] = []

    def engines(**_: object) -> Engines:
        made.append(Words())
        return Engines(embedder=made[-1])

    monkeypatch.setattr("nemo_retriever_dagster.engines.local.local_engines", engines)
    store = InMemoryStore()
    store.ensure(CollectionSpec(name="guide", dimension=Words.dimension))
    retriever = Retriever("guide", store=store)
    with retriever:
        retriever.query("one")
        with retriever:
            retriever.query("two")
        assert [words.closed for words in made] == [0]
    assert [words.closed for words in made] == [1]
    retriever.query("three")
    retriever.query("four")
    assert [words.closed for words in made] == [1, 0], "outside a block they stay for the next query"
    retriever.close()
    retriever.close()
    assert [words.closed for words in made] == [1, 1]


def test_engines_that_were_given_stay_open() -> None:
    store, words = InMemoryStore(), Words()
    store.ensure(CollectionSpec(name="guide", dimension=Words.dimension))
    with Retriever("guide", embedder=words, store=store) as retriever:
        retriever.query("one")
    assert words.closed == 0


def test_modes_agree_on_the_obvious_and_say_what_they_scored(retriever: Retriever) -> None:
    for mode in ("dense", "sparse", "hybrid"):
        hits = retriever.query("service the boiler every year", top_k=3, mode=mode)  # type: ignore[arg-type]
        assert hits[0].text == "Service the boiler every year"
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_several_questions_give_a_list_each(retriever: Retriever) -> None:
    found = retriever.query(["red valve", "water the plants"], top_k=2)
    assert [len(hits) for hits in found] == [2, 2]
    assert found[1][0].document == "garden's"
    assert retriever.query([], top_k=2) == []


def test_filters_are_bound(retriever: Retriever) -> None:
    hits = retriever.query("water", filter="document == {document}", filter_params={"document": "garden's"})
    assert [hit.document for hit in hits] == ["garden's"]
    pages = retriever.query("the", filter='content_metadata["page_number"] >= {page}', filter_params={"page": 3})
    assert {hit.page for hit in pages} == {3, 4}
    with pytest.raises(InvalidOptionError, match="no value for"):
        retriever.query("water", filter="document == {document}")


def test_rerank_orders_candidates_beyond_top_k(retriever: Retriever) -> None:
    hits = retriever.query("remarks", top_k=2, rerank=True)
    assert hits[0].text.startswith("Close the red valve")
    assert hits[0].score == len(hits[0].text)
    assert len(hits) == 2
    assert retriever.query("x", rerank=True, filter='document == "none"') == []
    few = Retriever("guide", embedder=Words(), reranker=Longest(), store=retriever._store, rerank_candidates=1)
    assert len(few.query("remarks", top_k=2, rerank=True)) == 2


def test_it_works_inside_a_running_loop_and_without_blocking_it(retriever: Retriever) -> None:
    async def ask() -> tuple[list[Hit], list[Hit], list[list[Hit]]]:
        blocking = retriever.query("red valve", top_k=1)
        first, second = await asyncio.gather(
            retriever.aquery("red valve", top_k=1), retriever.aquery(["red valve", "boiler"], top_k=1)
        )
        return blocking, first, second

    blocking, first, second = asyncio.run(ask())
    assert blocking == first == second[0]


def test_reconstruct_gives_the_page_in_order_once(retriever: Retriever) -> None:
    [hit] = retriever.query("open the blue one. Then wait.", top_k=1)
    page = "Close the red valve before you open the blue one. Then wait."
    assert hit.page == 2
    assert retriever.reconstruct(hit) == page
    around = retriever.reconstruct(hit, pages=1)
    assert around == f"The pump moves water to the boiler\n\n{page}\n\nService the boiler every year"
    [next_page] = retriever.query("service the boiler every year", top_k=1)
    assert retriever.reconstruct(next_page) == "open the blue one. Then wait.\n\nService the boiler every year"


def test_reconstruct_finds_the_last_page_of_the_longest_document(retriever: Retriever) -> None:
    store = retriever._store
    store.upsert("guide", [row(at, at, 0, f"page {at}", document="long") for at in range(1, 10_051)])
    [hit] = retriever.query("10050", top_k=1)
    assert retriever.reconstruct(hit, pages=1) == "page 10049\n\npage 10050"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "not a question"),
        (["fine", "  "], {}, "not a question"),
        ("fine", {"mode": "fuzzy"}, "no search mode"),
        (None, {}, "None is not a question"),
        (3, {}, "3 is not a question"),
        ("fine", {"top_k": 0}, "top_k"),
        ("fine", {"top_k": None}, "top_k is None"),
        ("fine", {"top_k": "many"}, "top_k is 'many'"),
        ("fine", {"filter": "document =="}, "not understood"),
        ("fine", {"filter": None}, "filter is None"),
        ("half \ud800", {}, "not a question"),
    ],
)
def test_bad_questions_are_refused(retriever: Retriever, text: object, options: dict, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        retriever.query(text, **options)  # type: ignore[call-overload]


def test_a_number_of_hits_may_be_written_as_text(retriever: Retriever) -> None:
    assert retriever.query("red valve", top_k="2") == retriever.query("red valve", top_k=2)  # type: ignore[call-overload]


def test_what_is_missing_is_named(retriever: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOptionError, match="'absent'"):
        Retriever("absent", embedder=Words(), store=InMemoryStore()).query("x")

    class Other(Words):
        dimension = 8

        def vector(self, text: str) -> np.ndarray:
            return np.ones(8, np.float32)

    with pytest.raises(InvalidOptionError, match="8 dimensions"):
        Retriever("guide", embedder=Other(), store=retriever._store).query("x")


@pytest.mark.parametrize(
    ("meta", "page", "place", "headings"),
    [
        ({"page_number": "iv"}, 0, (1, 0), ()),
        ({"page_number": "7"}, 7, (1, 0), ()),
        ({"page_number": [1], "custom_content": {"places": [{"page": None}, 3]}}, 0, (1, 0), ()),
        ({"element": None, "position": {}}, 2, (-1, -1), ()),
        ({"custom_content": {"places": None, "headings": "Pumps"}}, 2, (1, 0), ()),
        ({"custom_content": {"headings": ["Pumps", 3]}}, 2, (1, 0), ("Pumps", "3")),
    ],
)
def test_rows_of_another_program_are_hits(retriever: Retriever, meta: dict, page: int, place: tuple, headings) -> None:
    theirs = row(2, 1, 0, "unheard of", document="theirs")
    retriever._store.upsert("guide", [replace(theirs, content_metadata={**theirs.content_metadata, **meta})])
    [hit] = retriever.query("unheard of", top_k=1)
    assert (hit.page, (hit.element, hit.position), hit.headings) == (page, place, headings)
    assert retriever.reconstruct(replace(hit, document="theirs")) == "unheard of"


def test_the_page_of_a_row_that_names_no_document_is_not_made_up(retriever: Retriever) -> None:
    with pytest.raises(InvalidOptionError, match="The row 'a' names no document"):
        retriever.reconstruct(Hit(text="pump", score=1.0, source="", id="a"))


def test_reconstruct_takes_any_number_of_pages(retriever: Retriever) -> None:
    [hit] = retriever.query("close the red valve", top_k=1)
    assert retriever.reconstruct(hit, pages=10**12) == retriever.reconstruct(hit, pages=3)
    for wrong in (-1, "x"):
        with pytest.raises(InvalidOptionError, match="reconstruct\\(\\): pages is"):
            retriever.reconstruct(hit, pages=wrong)  # type: ignore[arg-type]


def test_questions_that_are_read_once_are_asked(retriever: Retriever) -> None:
    found = retriever.query((one for one in ("red valve", "boiler")), top_k=1)  # type: ignore[call-overload]
    assert found == retriever.query(["red valve", "boiler"], top_k=1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "collection_name is ''"),
        (None, {}, "collection_name is None"),
        ("guide", {"rerank_candidates": 0}, "rerank_candidates is 0"),
        ("guide", {"rerank_candidates": 16_385}, "rerank_candidates is 16385"),
    ],
)
def test_a_retriever_of_nothing_is_refused_when_it_is_made(name: object, options: dict, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        Retriever(name, store=InMemoryStore(), **options)  # type: ignore[arg-type]


def test_rows_of_another_model_are_refused_unless_it_is_the_same_by_another_name(retriever: Retriever) -> None:
    class Renamed(Words):
        name = "nim/words@256"

    store = retriever._store
    store.upsert("guide", [row(9, 9, 0, "The meter reads zero", document="meter", embedder="nim/other")])
    [hit] = retriever.query("boiler", top_k=1)
    assert hit.embedder == ""  # of a former version: nobody knows
    refusal = "The rows were embedded by nim/other, the question by words"
    for mode in ("dense", "hybrid"):
        with pytest.raises(InvalidOptionError, match=refusal):
            retriever.query("the meter reads zero", top_k=1, mode=mode)
    assert retriever.query("meter", top_k=1, mode="sparse")[0].embedder == "nim/other"
    told = Retriever("guide", embedder=Words(), store=store, same_model=True)
    assert told.query("the meter reads zero", top_k=1)[0].document == "meter"

    store.upsert("guide", [row(9, 9, 1, "The gauge reads zero", document="meter", embedder="nim/words")])
    mixed = Retriever("guide", embedder=Renamed(), store=store)  # as while a collection is embedded anew
    assert {hit.embedder for hit in mixed.query("reads zero", top_k=2)} == {"nim/other", "nim/words"}


@pytest.mark.parametrize("answer", [[[float("nan")] * 256], [], [[1.0], [2.0]], [None], "no"])
def test_an_embedder_that_answers_nonsense_finds_nothing(retriever: Retriever, answer: object) -> None:
    class Broken(Words):
        async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
            return answer  # type: ignore[return-value]

    with pytest.raises(EngineReplyError, match="words did not return finite numbers for each of 1 texts"):
        Retriever("guide", embedder=Broken(), store=retriever._store).query("red valve")


@pytest.mark.parametrize("answer", [[1.0], [float("nan")] * 7, [None] * 7])
def test_a_reranker_that_answers_nonsense_orders_nothing(retriever: Retriever, answer: list[float]) -> None:
    class Broken(Longest):
        async def rank(self, query: str, passages: Sequence[str]) -> list[float]:
            return answer

    broken = Retriever("guide", embedder=Words(), reranker=Broken(), store=retriever._store)
    with pytest.raises(EngineReplyError, match="longest did not return finite numbers for each of 7 texts"):
        broken.query("red valve", rerank=True)
