from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster import stages
from nemo_retriever_dagster.engines.ports import Caption, CaptionRequest
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError, MissingDependencyError
from nemo_retriever_dagster.images import ImageStore
from nemo_retriever_dagster.model import Box, Element, Kind, Picture
from nemo_retriever_dagster.tasks import (
    CaptionTask,
    DedupTask,
    EmbedTask,
    FilterTask,
    SplitTask,
    StoreTask,
    UploadTask,
)
from nemo_retriever_dagster.testing.engines import WatchedEmbedder
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.tokens import load_tokenizer

TOKENIZER = load_tokenizer()
PAGE = (600.0, 800.0)


def text(words: str, page: int, y: float = 0.0) -> Element:
    return Element(kind=Kind.TEXT, text=words, page=page, box=Box(50, y, 550, y + 20), page_size=PAGE)


def picture(width: int = 300, height: int = 300, data: bytes = b"png") -> Picture:
    return Picture(data=data, width=width, height=height)


def image(page: int = 1, **fields: object) -> Element:
    return Element(kind=Kind.IMAGE, page=page, **{"picture": picture(), **fields})


def cut(elements, task=None, depth="document", max_tokens=0, max_bytes=65_535):
    grouped = stages.units(elements, depth)
    return stages.split(elements, grouped, task, TOKENIZER, fit=TOKENIZER, max_tokens=max_tokens, max_bytes=max_bytes)


def test_text_is_one_unit_a_document_a_page_or_a_block() -> None:
    elements = [text("one", 1), image(1), text("two", 1, 30), text("three", 2)]
    assert [u.text for u in stages.units(elements, "document")] == ["one\ntwo\nthree", ""]
    assert [u.text for u in stages.units(elements, "page")] == ["one\ntwo", "", "three"]
    assert [u.text for u in stages.units(elements, "block")] == ["one", "two", "", "three"]


def test_a_chunk_knows_the_pages_and_boxes_it_came_from() -> None:
    elements = [text("alpha beta", 1, 0), text("gamma delta", 1, 40), text("epsilon", 2, 0)]
    (chunk,) = cut(elements)
    assert [place.page for place in chunk.places] == [1, 2]
    assert chunk.places[0].box == Box(50, 0, 550, 60)
    first, *_ = cut(elements, SplitTask(chunk_size=3, chunk_overlap=0))
    assert first.text.startswith("alpha")
    assert [place.page for place in first.places] == [1]
    for chunk in cut(elements, SplitTask(chunk_size=3, chunk_overlap=0)):
        assert chunk.element == 0
        assert chunk.text.split()[0] in elements[chunk.begins].text


def test_hidden_text_shares_no_chunk_with_what_is_shown() -> None:
    secret, later = (
        replace(text(words, page), attributes={"hidden": True}) for words, page in (("two", 1), ("four", 2))
    )
    elements = [text("one", 1), secret, text("three", 1), later, text("five", 2)]
    assert [u.text for u in stages.units(elements, "document")] == ["one\nthree\nfive", "two\nfour"]
    assert [u.text for u in stages.units(elements, "page")] == ["one\nthree", "two", "five", "four"]
    shown, hidden = cut(elements)
    assert (shown.begins, hidden.begins) == (0, 1)
    assert [place.page for place in hidden.places] == [1, 2]


@given(st.lists(st.text(alphabet="ab cdé\n", max_size=60), min_size=1, max_size=6), st.integers(1, 20))
def test_splitting_loses_no_letter(texts: list[str], size: int) -> None:
    elements = [text(words, n + 1) for n, words in enumerate(texts)]
    chunks = cut(elements, SplitTask(chunk_size=size, chunk_overlap=0))
    letters = "".join("".join(texts).split())
    assert "".join("".join(chunk.text for chunk in chunks).split()) == letters


def test_ids_of_chunks_are_unique() -> None:
    elements = [text("word " * 40, 1), Element(kind=Kind.TABLE, text="| a |", page=1), image(1), text("b " * 30, 2)]
    for depth in ("document", "page", "block"):
        chunks = cut(elements, SplitTask(chunk_size=7, chunk_overlap=2), depth)
        assert len({(chunk.element, chunk.position) for chunk in chunks}) == len(chunks)


def test_what_the_embedder_or_the_store_cannot_take_whole_is_cut_not_dropped() -> None:
    elements = [text("bicycle " * 500, 1)]
    chunks = cut(elements, max_tokens=100)
    assert max(chunk.tokens for chunk in chunks) <= 100
    assert sum(chunk.text.count("bicycle") for chunk in chunks) == 500
    small = cut(elements, max_bytes=200)
    assert max(len(chunk.text.encode()) for chunk in small) <= 200
    assert "".join("".join(c.text for c in small).split()) == "bicycle" * 500


def test_a_chunk_size_the_embedder_cannot_read_becomes_the_longest_it_reads() -> None:
    words = [text("bicycle " * 50, 1)]
    assert [chunk.tokens for chunk in cut(words, SplitTask(chunk_size=40, chunk_overlap=0), max_tokens=12)][:6] == [
        8
    ] * 6
    kept = cut(words, SplitTask(chunk_size=36, chunk_overlap=0), max_tokens=40)
    assert [chunk.tokens for chunk in kept] == [36, 14]
    shared = cut(
        [text("".join(f"w{n} " for n in range(300)), 1)], SplitTask(chunk_size=400, chunk_overlap=200), max_tokens=104
    )
    assert {chunk.tokens for chunk in shared[:-1]} == {100}
    assert shared[1].text.split()[0] in shared[0].text.split()


def test_an_overlap_without_a_size_is_one_of_the_default_size() -> None:
    words = [text(" ".join(f"w{n}" for n in range(3_000)), 1)]
    for max_tokens in (0, 256):
        assert cut(words, SplitTask(chunk_overlap=250), max_tokens=max_tokens) == cut(
            words, SplitTask(chunk_size=1024, chunk_overlap=250), max_tokens=max_tokens
        )
    assert SplitTask(chunk_overlap=250).window(214) == (214, 52)
    assert SplitTask(chunk_overlap=250).window(0) == (1024, 250)
    assert SplitTask(chunk_overlap=0).window(214) == (214, 0)


def test_a_long_table_is_cut_to_fit_beside_split_text() -> None:
    table = Element(kind=Kind.TABLE, text="| bicycle |\n" * 60, page=1)
    chunks = cut([table], SplitTask(chunk_size=20, chunk_overlap=0), max_tokens=50)
    assert len(chunks) > 1
    assert max(chunk.tokens for chunk in chunks) <= 50
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))


def test_every_chunk_of_a_table_fits_with_its_caption() -> None:
    caption = "Table 3:" + " wheel" * 20
    table = Element(kind=Kind.TABLE, text="| bicycle |\n" * 60, page=1, caption=caption)
    chunks = cut([table], max_tokens=60, max_bytes=400)
    passages = [stages.passage(chunk, table, {}) for chunk in chunks]
    assert len(passages) > 1
    assert all(passage.startswith(caption) for passage in passages)
    assert max(map(TOKENIZER.count, passages)) <= 60
    assert max(len(passage.encode()) for passage in passages) <= 400
    assert "".join(chunk.text for chunk in chunks).count("bicycle") == 60
    plain = cut([replace(table, caption="")], max_tokens=60)
    assert [stages.passage(chunk, replace(table, caption=""), {}) for chunk in plain] == [c.text for c in plain]


def test_a_caption_that_stands_in_the_chart_already_is_not_written_twice() -> None:
    chart = Element(kind=Kind.CHART, text="Chart 2 Speakers 10 - 100", caption="Chart 2 Speakers")
    (chunk,) = cut([chart])
    assert stages.passage(chunk, chart, {}) == chart.text


def test_the_documents_caption_stands_in_where_no_engine_wrote_one() -> None:
    drawing = image(caption="Figure 1: A pump", caption_source="document")
    (chunk,) = cut([drawing])
    assert stages.passage(chunk, drawing, {}) == "Figure 1: A pump"
    assert stages.passage(chunk, drawing, {0: Caption(text="A red pump.", source="vlm")}) == "A red pump."


@pytest.mark.parametrize(
    ("types", "name", "applies"),
    [
        (None, "pdf", True),
        (("PDF",), "pdf", True),
        (("text",), "md", True),
        (("text",), "pdf", False),
        (("mp3",), "mp3", True),
        ((), "txt", False),
    ],
)
def test_split_applies_to_the_types_it_names(types, name: str, applies: bool) -> None:
    assert SplitTask(source_types=types).applies_to(name) is applies


def test_repeated_covered_and_tiny_pictures_are_left_out() -> None:
    table = Element(kind=Kind.TABLE, text="t", page=1, box=Box(0, 0, 100, 100))
    covered = image(1, box=Box(0, 0, 90, 100), picture=picture(data=b"c"))
    tiny = image(1, picture=picture(20, 20, b"t"))
    elements = [image(1, picture=picture(data=b"x")), image(2, picture=picture(data=b"x")), table, covered, tiny]
    assert stages.tidy(elements, None, None) == {0, 1, 2, 3, 4}
    assert stages.tidy(elements, DedupTask(), None) == {0, 2, 4}
    assert stages.tidy(elements, None, FilterTask()) == {0, 1, 2, 3}


def test_captions_become_what_a_picture_is_found_by() -> None:
    elements = [image(1), text("near it", 1)]
    captions = {0: Caption(text="a red wheel", source="model")}
    chunks = cut(elements)
    by_kind = {chunk.kind: chunk for chunk in chunks}
    assert stages.passage(by_kind[Kind.IMAGE], elements[0], captions) == "a red wheel"
    assert stages.passage(by_kind[Kind.TEXT], elements[1], captions) == "near it"


def test_a_picture_without_words_gets_no_vector_and_is_not_lost() -> None:
    elements = [image(1), text("near it", 1)]
    chunks = cut(elements)
    vectors = asyncio.run(stages.embed(chunks, elements, {}, EmbedTask(), HashEmbedder(8)))
    assert np.isfinite(vectors).all(axis=1).tolist() == [chunk.kind is Kind.TEXT for chunk in chunks]


def test_every_chunk_gets_the_vector_of_its_own_text_under_its_own_context() -> None:
    elements = [text("one", 1), image(1), text("two", 2)]
    chunks = cut(elements, depth="page")
    contexts = [f"Part {n}" for n in range(len(chunks))]
    watched = WatchedEmbedder(HashEmbedder(8))
    vectors = asyncio.run(stages.embed(chunks, elements, {}, EmbedTask(), watched, contexts=contexts))
    worded = [i for i, chunk in enumerate(chunks) if chunk.text]
    assert worded == [0, 2], "a chunk without a vector stands between"
    (made,) = watched.calls
    assert [one.text for one in made] == ["Part 0\none", "Part 2\ntwo"]
    expected = asyncio.run(HashEmbedder(8).embed(made, purpose="passage"))
    np.testing.assert_array_equal(vectors[worded], expected)


class Asked(HashEmbedder):
    purposes: tuple[str, ...] = ()

    async def embed(self, inputs, *, purpose="query"):
        self.purposes += (purpose,)
        return await super().embed(inputs, purpose=purpose)


def test_chunks_are_embedded_as_passages() -> None:
    elements, embedder = [text("one", 1)], Asked(8)
    asyncio.run(stages.embed(cut(elements), elements, {}, EmbedTask(), embedder))
    assert embedder.purposes == ("passage",)


class Short(HashEmbedder):
    async def embed(self, inputs, *, purpose="passage"):
        return (await super().embed(inputs, purpose=purpose))[:1]


def test_one_vector_for_several_chunks_is_refused() -> None:
    elements = [text("one", 1), text("two", 2)]
    with pytest.raises(EngineReplyError, match="shape"):
        asyncio.run(stages.embed(cut(elements, depth="page"), elements, {}, EmbedTask(), Short(8)))


class Listening:
    """A captioner that tells what it was asked."""

    name = "listening"

    def __init__(self) -> None:
        self.asked: list[CaptionRequest] = []

    async def caption(self, request: CaptionRequest, *, prompt: str, system_prompt: str) -> Caption:
        self.asked.append(request)
        return Caption(text="a wheel", source="model")


def test_pictures_that_are_kept_are_captioned_with_the_text_of_their_own_page() -> None:
    elements = [text("other", 1), text("near it", 2), image(2), image(2, picture=picture(data=b"left out"))]
    listening = Listening()
    task = CaptionTask(context_text_max_chars=100)
    made = asyncio.run(stages.caption(elements, frozenset({0, 1, 2}), task, listening, None))  # type: ignore[arg-type]
    assert list(made) == [2]
    assert [request.context for request in listening.asked] == ["near it"]


def test_pictures_that_are_kept_are_stored() -> None:
    elements = [image(1, picture=picture(data=b"kept")), image(1, picture=picture(data=b"left out"))]
    images = ImageStore("memory://kept_pictures")
    links = stages.store_pictures(elements, frozenset({0}), StoreTask(images=True), images)
    assert list(links) == ["0"]
    assert images.missing({element.picture.sha256 for element in elements}) == {elements[1].picture.sha256}


def test_a_picture_beside_a_table_is_not_covered_by_it() -> None:
    table = Element(kind=Kind.TABLE, text="t", page=1, box=Box(0, 0, 100, 100))
    elements = [table, image(1, box=Box(0, 60, 100, 160))]
    assert stages.tidy(elements, DedupTask(), None) == {0, 1}


class Broken(HashEmbedder):
    async def embed(self, inputs, *, purpose="passage"):
        found = await super().embed(inputs, purpose=purpose)
        found[0, 0] = np.nan
        return found


def test_a_vector_that_is_no_number_is_refused() -> None:
    elements = [text("one", 1)]
    with pytest.raises(EngineReplyError, match="no numbers"):
        asyncio.run(stages.embed(cut(elements), elements, {}, EmbedTask(), Broken(8)))


def test_a_missing_engine_is_named() -> None:
    with pytest.raises(MissingDependencyError, match="embed"):
        asyncio.run(stages.embed((), (), {}, EmbedTask(), None))


def test_collections_take_the_kinds_they_ask_for() -> None:
    one = stages.collections(UploadTask(collection_name="c", enable_images=False))
    assert Kind.TEXT in one["c"]
    assert Kind.IMAGE not in one["c"]
    two = stages.collections(UploadTask(collection_name={"t": ("text",), "s": ("tables", "charts")}))
    assert two == {"t": {Kind.TEXT, Kind.AUDIO}, "s": {Kind.TABLE, Kind.CHART}}
    pictures = UploadTask(collection_name={"p": ("images",)}, enable_images=True)
    assert stages.collections(pictures) == {"p": {Kind.IMAGE, Kind.PAGE_IMAGE}}
    assert stages.collections(replace(pictures, enable_images=False)) == {"p": frozenset()}
    with pytest.raises(InvalidOptionError, match="tabels"):
        stages.check_collections({"t": ("tabels",)})


@pytest.mark.parametrize(
    ("modality", "embedded"), [("text", ("| a |", None)), ("image", ("", b"png")), ("text_image", ("| a |", b"png"))]
)
def test_text_picture_or_both_of_a_table_are_embedded(modality: str, embedded: tuple[str, bytes | None]) -> None:
    table = Element(kind=Kind.TABLE, page=1, text="| a |", picture=picture())
    watched = WatchedEmbedder(HashEmbedder(8))
    asyncio.run(stages.embed(cut([table]), [table], {}, EmbedTask(structured_elements_modality=modality), watched))
    ((made,),) = watched.calls
    assert (made.text, made.picture and made.picture.data) == embedded


def test_a_page_image_has_the_text_of_its_page_where_it_stands_for_it() -> None:
    page_image = Element(kind=Kind.PAGE_IMAGE, page=1, picture=picture())
    elements = [text("one", 1), text("two", 1, 30), page_image, text("three", 2)]
    assert [unit.text for unit in stages.units(elements, "page", page_texts=True)] == [
        "one\ntwo",
        "one\n\ntwo",
        "three",
    ]
    assert [unit.text for unit in stages.units(elements, "page")] == ["one\ntwo", "", "three"]
    grouped = stages.units(elements, "page", page_texts=True)
    chunks = stages.split(elements, grouped, None, TOKENIZER, fit=TOKENIZER, max_tokens=0, max_bytes=65_535)
    captions = {2: Caption(text="A page.", source="m")}
    assert [stages.passage(chunk, elements[chunk.element], captions) for chunk in chunks][1] == "one\n\ntwo"


def test_repeats_stay_where_only_what_is_a_table_is_to_be_left_out() -> None:
    box = Box(0, 0, 100, 100)
    elements = [Element(kind=Kind.TABLE, page=1, text="| a |", box=box), image(1, box=box), image(1), image(2)]
    assert stages.tidy(elements, DedupTask(repeats=False), None) == {0, 2, 3}
    assert stages.tidy(elements, DedupTask(), None) == {0}


def test_a_document_that_is_a_picture_of_a_table_stays_beside_its_table() -> None:
    whole = Box(0, 0, 100, 50)
    table = Element(kind=Kind.TABLE, page=1, text="| a |", box=Box(5, 5, 95, 45), page_size=(100, 50))
    elements = [table, image(1, box=whole, page_size=(100, 50)), image(1, box=table.box, page_size=(100, 50))]
    assert stages.tidy(elements, DedupTask(), None) == {0, 1}


class OneTokenAWord:
    """Counts a word as one token, however long it is."""

    def spans(self, words: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", words)]

    def count(self, words: str) -> int:
        return len(words.split())


def test_windows_of_another_tokenizer_are_held_to_what_the_embedder_reads() -> None:
    elements = [text("\u0939\u093f\u0928\u094d\u0926\u0940\u092d\u093e\u0937\u093e " * 120, 1)]
    task = SplitTask(tokenizer="words", chunk_size=50, chunk_overlap=0)
    units = stages.units(elements, "document")
    chunks = stages.split(elements, units, task, OneTokenAWord(), fit=TOKENIZER, max_tokens=64, max_bytes=9_999)
    assert len(chunks) > 3
    assert max(TOKENIZER.count(chunk.text) for chunk in chunks) <= 64


def test_long_alt_texts_and_captions_are_cut_where_nothing_else_cuts_them() -> None:
    long = "alt " * 20_000
    table = Element(kind=Kind.TABLE, text="| a |", caption=long)
    for element in (image(alt_text=long), table):
        (chunk,) = cut([element])
        assert len(stages.passage(chunk, element, {})) <= stages.CAPTION_CHARS + len("\n| a |")


def test_pictures_are_covered_by_what_is_on_their_own_page_only() -> None:
    box, page = Box(0, 0, 100, 100), (600.0, 800.0)
    table = Element(kind=Kind.TABLE, text="| a |", page=1, box=box, page_size=page)
    elements = [table, *(image(n, box=box, page_size=page, picture=picture(data=bytes([n]))) for n in (1, 2))]
    assert stages.tidy(elements, DedupTask(), None) == {0, 2}
    assert stages.tidy(elements, DedupTask(bbox_dedup_prefer_structured=False), None) == {1, 2}


def test_half_a_character_is_cut_like_any_other() -> None:
    chunks = cut(
        [text("half a character \ud83d here " * 40, 1)], SplitTask(chunk_size=50, chunk_overlap=0), max_tokens=64
    )
    assert len(chunks) > 3
