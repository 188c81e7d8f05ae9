"""What the reference's own tests expect of its sample files, held with local engines: no GPU, no network, no key."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_retriever_dagster import Ingestor, Retriever, Settings

FILES = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "dev" / "files"
TITLE = "multimodal_test"
ANIMALS = (
    "| Animal | Activity | Place | | Giraffe | Driving a car | At the beach | "
    "| Lion | Putting on sunscreen | At the park | | Cat | Jumping onto a laptop | In a home office | "
    "| Dog | Chasing a squirrel | In the front yard |"
)
CARS = (
    "| Car | Color1 | Color2 | Color3 | | Coupe | White | Silver | Flat Gray | | Sedan | White | Metallic Gray | Matte Gray | "
    "| Minivan | Gray | Beige | Black | | Truck | Dark Gray | Titanium Gray | Charcoal | "
    "| Convertible | Light Gray | Graphite | Slate Gray |"
)
GADGETS = "Hammer - Powerdrill - Bluetooth speaker - Minifridge - Premium desk fan"
DOLLARS = "$20.00 - $40.00 - $60.00 - $80.00 - $100.00 - $120.00 - $140.00 - $160.00"
DRIVERS = "Tweeter - Midrange - Midwoofer - Subwoofer"
HERTZ = "10 - 100 - 1000 - 10000 - 100000"
SPOKEN = (
    "Section one, this is the first section of the document. It has some more placeholder text to show how the document "
    "looks like. The text is not meant to be meaningful or informative, but rather to demonstrate the layout and "
    "formatting of the document."
)
COLOURS = "Which table shows some popular colors that cars might come in?"
EVERYTHING = {
    "extract_text": True,
    "extract_tables": True,
    "extract_charts": True,
    "extract_images": True,
    "extract_infographics": True,
    "table_output_format": "markdown",
    "text_depth": "page",
}

pytestmark = [
    pytest.mark.skipif(not FILES.is_dir(), reason="the development corpus is not here"),
    pytest.mark.timeout(600),  # the first test waits for all files
]
Documents = dict[str, list[dict[str, Any]]]


def ingested(kinds: tuple[str, ...], state: Path) -> Documents:
    ingestor = Ingestor(settings=Settings(state_dir=state)).files([str(FILES / f"{TITLE}.{kind}") for kind in kinds])
    results = ingestor.extract(**EVERYTHING).ingest()
    assert len(results) == len(kinds)
    return {kind: list(found) for kind, found in zip(kinds, results, strict=True)}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def documents(state: Path) -> Documents:
    return ingested(("pdf", "docx", "pptx", "png", "wav"), state)


@pytest.fixture(scope="module")
def pictures(state: Path) -> Documents:
    return ingested(("jpeg", "tiff"), state)


def contents(document: list[dict[str, Any]], subtype: str) -> list[str]:
    found = [one["metadata"] for one in document]
    wanted = [one for one in found if one["content_metadata"]["subtype"] == subtype]
    return [one["table_metadata"]["table_content"] for one in wanted]


def count(document: list[dict[str, Any]], kind: str) -> int:
    return sum(one["metadata"]["content_metadata"]["type"] == kind for one in document)


def canonical(table: str) -> str:
    """Compare as the reference does: without separator rows and asterisks, white space collapsed."""
    lines = [line for line in table.splitlines() if not re.fullmatch(r"[\s|:-]+", line)]
    return " ".join(" ".join(lines).replace("*", "").split())


def tokens(text: str) -> list[str]:
    return re.findall(r"[\w.$-]+", text.replace("-", " "))


def recall(expected: str, found: str) -> float:
    """Return the share of the expected tokens that were found, each as often as it is expected."""
    left, wanted = tokens(found), tokens(expected)
    hits = 0
    for token in wanted:
        if token in left:
            left.remove(token)
            hits += 1
    return hits / len(wanted)


def test_pdf_has_three_page_texts(documents: Documents) -> None:
    texts = [one["metadata"] for one in documents["pdf"] if one["document_type"] == "text"]
    assert [text["content_metadata"]["page_number"] for text in texts] == [1, 2, 3]
    first, second, third = (" ".join(text["content"].split()) for text in texts)
    assert first.startswith("TestingDocument")
    assert "Animal Activity Place" in first
    assert second.startswith("Section One")
    assert second.count("\N{BULLET}") == 3
    assert third.startswith("Chart 2")
    assert third.endswith("including 3 bullet points.")
    assert "\N{LATIN SMALL LIGATURE FF}" not in first
    assert "Giraffe" in first
    assert "home office" in first


def test_pdf_has_its_two_tables_cell_for_cell(documents: Documents) -> None:
    assert list(map(canonical, contents(documents["pdf"], "table"))) == [ANIMALS, CARS]


def test_pdf_has_its_charts_and_pictures_and_no_infographic(documents: Documents) -> None:
    check_charts(documents["pdf"])
    assert len(contents(documents["pdf"], "chart")) + count(documents["pdf"], "image") >= 3
    assert contents(documents["pdf"], "infographic") == []


@pytest.mark.parametrize("kind", ["docx", "pptx"])
def test_office_files_have_the_same_table_and_charts(documents: Documents, kind: str) -> None:
    assert ANIMALS in map(canonical, contents(documents[kind], "table"))
    check_charts(documents[kind])
    assert contents(documents[kind], "infographic") == []


def check_charts(document: list[dict[str, Any]]) -> None:
    gadgets, drivers = contents(document, "chart")
    assert GADGETS in gadgets
    assert DOLLARS in gadgets
    assert DRIVERS in drivers
    assert HERTZ in drivers


def test_png_has_its_table_and_its_chart(documents: Documents) -> None:
    check_picture(documents["png"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_other_pictures_have_the_table_and_the_chart(pictures: Documents, kind: str) -> None:
    check_picture(pictures[kind])


def check_picture(document: list[dict[str, Any]]) -> None:
    """The reference compares pictures by tokens: its own cells fall apart into words there."""
    (table,), (chart,) = contents(document, "table"), contents(document, "chart")
    assert recall(ANIMALS, table) >= 0.95
    assert recall(f"{GADGETS} {DOLLARS}", chart) >= 0.95


def test_speech_becomes_words(documents: Documents) -> None:
    said = [one["metadata"]["audio_metadata"]["audio_transcript"] for one in documents["wav"]]
    assert recall(re.sub(r"[,.]", "", SPOKEN).lower(), " ".join(said)) >= 0.8


def test_the_question_finds_the_table_it_asks_for(state: Path, tmp_path: Path) -> None:
    uri = str(tmp_path / "milvus.db")
    ingestor = Ingestor(settings=Settings(state_dir=state)).files(str(FILES / f"{TITLE}.pdf"))
    ingestor.extract(**EVERYTHING).embed().vdb_upload(collection_name="sample", milvus_uri=uri).ingest()
    with Retriever("sample", milvus_uri=uri) as retriever:
        hits = retriever.query(COLOURS, top_k=10)
    kinds = Counter(hit.kind for hit in hits)
    assert kinds == {"text": 4, "table": 2, "chart": 2}, "page 1 is longer than the embedder reads under its headings"
    assert (hits[0].kind, hits[0].page) == ("table", 2)
    caption, _, table = hits[0].text.partition("\n")
    assert "This table shows some popular colors that cars might come in" in caption
    assert canonical(table) == CARS
