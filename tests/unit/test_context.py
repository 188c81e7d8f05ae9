"""What a chunk is embedded under: the name of its document and the headings above it, as far as there is room."""

import asyncio
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from nemo_retriever_dagster import Ingestor, Settings, stages
from nemo_retriever_dagster.engines.ports import EmbedInput, Engines
from nemo_retriever_dagster.model import Document, Element, Kind, Picture
from nemo_retriever_dagster.tasks import EmbedTask, SplitTask
from nemo_retriever_dagster.testing import HashEmbedder
from nemo_retriever_dagster.tokens import load_tokenizer

TOKENIZER = load_tokenizer()


def text(words: str, heading: int = 0) -> Element:
    return Element(kind=Kind.TEXT, text=words, heading=heading, page=1)


MANUAL = [
    text("Pump manual", 1),
    text("Read this first."),
    text("Service", 2),
    text("Oil", 3),
    text("Change it yearly."),
    Element(kind=Kind.TABLE, text="| part | age |", page=1),
    text("Cleaning\nthe  filter", 2),
    text("Use water."),
]


def contexts(name: str, size: int = 0, max_tokens: int = 0) -> dict[str, str]:
    grouped = stages.units(MANUAL, "block")
    task = SplitTask(chunk_size=size, chunk_overlap=0) if size else None
    chunks = stages.split(MANUAL, grouped, task, TOKENIZER, fit=TOKENIZER, max_tokens=max_tokens, max_bytes=9_999)
    passages = [chunk.text for chunk in chunks]
    document = Document(uri=f"files/{name}", key="k")
    found = stages.contexts(document, MANUAL, chunks, passages, fit=TOKENIZER, max_tokens=max_tokens)
    return dict(zip(passages, found, strict=True))


def test_headings_above_an_element_are_the_deeper_the_later() -> None:
    assert stages.outline(MANUAL) == [
        (),
        ("Pump manual",),
        ("Pump manual",),
        ("Pump manual", "Service"),
        ("Pump manual", "Service", "Oil"),
        ("Pump manual", "Service", "Oil"),
        ("Pump manual",),
        ("Pump manual", "Cleaning the filter"),
    ]


def test_a_chunk_stands_under_its_document_and_the_nearest_headings() -> None:
    found = contexts("XR-200_pump.pdf")
    assert found["Change it yearly."] == "XR 200 pump > Service > Oil"
    assert found["| part | age |"] == "XR 200 pump > Service > Oil"
    assert found["Use water."] == "XR 200 pump > Pump manual > Cleaning the filter"
    assert found["Pump manual"] == "XR 200 pump"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("3M_2018_10K.pdf", "3M 2018 10K"),
        ("annual report.v2.docx", "annual report v2"),
        ("0103000000.pdf", ""),
        ("d41d8cd98f00b204e9800998ecf8427e.pdf", ""),
        ("550e8400-e29b-41d4-a716-446655440000.txt", ""),
        ("Jahresbericht_Größe.html", "Jahresbericht Größe"),
    ],
)
def test_names_that_say_nothing_are_left_out(name: str, title: str) -> None:
    assert contexts(name)["Pump manual"] == title


def test_the_passage_comes_first_and_the_context_takes_what_is_left() -> None:
    words = len(TOKENIZER.spans("Change it yearly."))
    assert contexts("pump.pdf", max_tokens=words + 3)["Change it yearly."] == "pump > Service"
    assert contexts("pump.pdf", max_tokens=words)["Change it yearly."] == ""
    long = contexts("word " * 500 + ".pdf")["Use water."]
    assert 0 < TOKENIZER.count(long) <= 64


def test_room_is_kept_where_the_size_of_chunks_is_ours_to_choose() -> None:
    def longest(task: SplitTask | None, spare: int) -> int:
        elements = [text("bicycle " * 400)]
        options = {"fit": TOKENIZER, "max_tokens": 100, "max_bytes": 9_999, "spare": spare}
        return max(c.tokens for c in stages.split(elements, stages.units(elements, "page"), task, TOKENIZER, **options))

    assert stages.spare_tokens(254) == 40
    assert stages.spare_tokens(40) == 10
    assert longest(SplitTask(), 25) == 75
    assert longest(None, 25) == 67, "400 words in six equal parts"
    assert longest(SplitTask(chunk_size=90), 25) == 90


class Listening(HashEmbedder):
    """Keeps what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__(16)
        self.heard: list[str] = []

    async def embed(self, inputs, *, purpose="passage"):
        self.heard += [one.text for one in inputs]
        return await super().embed(inputs, purpose=purpose)


def vectors(folder: Path, files: list[Path], **options: object) -> tuple[list[str], list[list[float]]]:
    embedder = Listening()
    settings = Settings(state_dir=folder / "state")
    chain = Ingestor(engines=Engines(embedder=embedder), settings=settings, workers=1)
    results = chain.files([str(path) for path in files]).extract(text_depth="block").embed(**options).ingest()
    return embedder.heard, [element["metadata"]["embedding"] for result in results for element in result]


def test_equal_files_of_other_names_are_embedded_under_their_own(tmp_path: Path) -> None:
    files = [tmp_path / "winter tyres.md", tmp_path / "summer tyres.md"]
    for path in files:
        path.write_text("Keep them dry.")
    heard, found = vectors(tmp_path, files)
    assert sorted(heard) == ["summer tyres\nKeep them dry.", "winter tyres\nKeep them dry."]
    assert not np.allclose(found[0], found[1])
    again, same = vectors(tmp_path, files)
    assert (again, same) == ([], found)
    plain, equal = vectors(tmp_path, files, context=False)
    assert set(plain) == {"Keep them dry."}
    assert equal[0] == equal[1]


def test_results_keep_the_text_and_tell_the_headings(tmp_path: Path) -> None:
    page = tmp_path / "guide.html"
    page.write_text("<h1>Pumps</h1><h2>Oil</h2><p>Change it yearly.</p>")
    chain = Ingestor(engines=Engines(), settings=Settings(state_dir=tmp_path / "state"), workers=1)
    (result,) = chain.files(str(page)).extract(text_depth="block").ingest()
    last = result[-1]["metadata"]
    assert last["content"] == "Change it yearly."
    assert last["custom_content"]["headings"] == ["Pumps", "Oil"]
    assert "headings" not in result[0]["metadata"]["custom_content"]


def test_results_tell_what_is_hidden_and_what_part_of_the_document_it_is(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Shown"
    book.create_sheet("Secret").sheet_state = "veryHidden"
    book.save(tmp_path / "book.xlsx")
    chain = Ingestor(engines=Engines(), settings=Settings(state_dir=tmp_path / "state"), workers=1)
    (result,) = chain.files(str(tmp_path / "book.xlsx")).extract(text_depth="document").ingest()
    told = [(one["metadata"]["content"], one["metadata"]["custom_content"]) for one in result]
    assert [(content, custom["part"], custom.get("hidden")) for content, custom in told] == [
        ("Shown", "sheet", None),
        ("Secret", "sheet", True),
    ]


def test_a_picture_that_is_embedded_as_such_gets_no_context() -> None:
    image = Element(kind=Kind.IMAGE, picture=Picture(data=b"png", width=9, height=9), alt_text="A pump")
    (chunk,) = stages.split(
        [image], stages.units([image], "page"), None, TOKENIZER, fit=TOKENIZER, max_tokens=0, max_bytes=99
    )
    given: list[EmbedInput] = []

    class Seeing(HashEmbedder):
        async def embed(self, inputs, *, purpose="passage"):
            given.extend(inputs)
            return await super().embed(inputs, purpose=purpose)

    for modality in ("image", "text_image", "text"):
        task = EmbedTask(image_elements_modality=modality)
        asyncio.run(stages.embed([chunk], [image], {}, task, Seeing(8), contexts=["manual > Oil"]))
    assert [one.text for one in given] == ["", "manual > Oil\nA pump", "manual > Oil\nA pump"]
