"""The preview: what it shows of each kind of document, that it is bounded, and that nothing in it can act."""

from __future__ import annotations

import re
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from pdf_writer import PdfPage, pdf_bytes

from nemo_retriever_dagster.errors import InvalidOptionError, UnknownOptionError
from nemo_retriever_dagster.model import Chunk, Element, Kind
from nemo_retriever_dagster.preview import DEFAULT, PreviewError, preview
from nemo_retriever_dagster.preview.gather import _stretches
from nemo_retriever_dagster.preview.markup import Html, joined, tag, text
from nemo_retriever_dagster.preview.variants import variants
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.stages import units
from nemo_retriever_dagster.tasks import SplitTask

SAMPLE = Path(__file__).parents[2] / "assets/sample"
FORMATS = ("about-this-folder.md", "expenses.html", "flash-firmware.sh", "launch-plan.pptx", "price-list.csv",
           "service-intervals.json", "spare-parts.xlsx", "travel-policy.pdf", "warranty.docx", "workshop-safety.txt")  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> javascript:alert(3) \" onmouseover=alert(4) ' & \x00\x1b"
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state_dir=tmp_path_factory.mktemp("state"))


@pytest.fixture
def seen(settings: Settings):
    def look(path: Path, *given, **options) -> BeautifulSoup:
        return BeautifulSoup(preview(path, *given, settings=settings, **options), "lxml")

    return look


def cards(page: BeautifulSoup, what: str) -> list[str]:
    chosen = "article[data-c]" if what == "chunks" else "article[data-e]"
    return [" ".join(card.get_text(" ").split()) for card in page.select(chosen)]


# --- markup ---


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", tag("i", '"x"'), None, title='"&<') == (
        '<p title="&quot;&amp;&lt;">&lt;b&gt;<i>&quot;x&quot;</i></p>'
    )
    assert text("a\x00b\ud800\x1b\n") == "a\N{REPLACEMENT CHARACTER}b" + "\N{REPLACEMENT CHARACTER}" * 2 + "\n"
    assert tag("input", checked=True, disabled=False, aria_label=None) == "<input checked>"
    assert isinstance(joined("a", Html("<hr>")), Html)


# --- what is shown ---


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_what_was_read_and_how_it_is_cut(seen, name: str) -> None:
    page = seen(SAMPLE / name)
    elements, chunks = cards(page, "elements"), cards(page, "chunks")
    assert page.h1.get_text() == name
    assert elements
    assert chunks
    assert all(re.match(r"\d+ \w+ [\d,]+ tokens", one) for one in chunks)
    assert any("embedded under" in one for one in chunks), "headings and the document's name are shown"
    assert bool(page.select("img.paper")) == name.endswith(".pdf")
    assert bool(page.select("svg.boxes rect.box")) == name.endswith((".pdf", ".pptx"))
    assert all(picture["alt"] for picture in page.select("img"))


def test_a_page_shows_boxes_bars_places_and_headings(seen) -> None:
    page = seen(SAMPLE / "travel-policy.pdf", replace(DEFAULT, split=SplitTask(chunk_size=40, chunk_overlap=8)))
    first, second = page.select("section.page")
    assert first.select_one("img.paper")["src"].startswith("data:image/webp;base64,")
    assert {"k-text", "k-table"} <= {name for box in first.select("rect.box") for name in box["class"]}
    chunk = next(card for card in first.select("article[data-c]") if "Bicycles" in card.get_text())
    lit = chunk["data-es"].split()
    assert all(page.select(f'rect[data-e="{i}"]') for i in lit)
    assert page.select(f'.bar[data-c="{chunk["data-c"]}"] path')
    assert re.search(r"page 1 \(\d+, \d+\) to \(\d+, \d+\)", chunk.get_text())
    assert "travel policy > Travel policy > Means of transport" in first.get_text()
    assert first.table.th.get_text() == "Distance"
    assert "begins on page 1" in second.get_text(), "a chunk that goes on refers to where it began"
    (link,) = {a["href"] for a in second.select("article a")}
    assert page.select_one(link)


def test_a_picture_shows_its_words_caption_and_that_it_was_read_by_ocr(seen) -> None:
    page = seen(SAMPLE / "label.png")
    warnings = page.select_one(".warnings").get_text()
    assert "Text was read by OCR" in warnings
    assert "Captions were generated (local)" in warnings
    assert any("embedded in its place" in one for one in cards(page, "chunks"))
    assert page.select("img.paper")


def test_invisible_text_is_told(seen, tmp_path: Path) -> None:
    path = tmp_path / "hidden.pdf"
    shown = "BT /F1 12 Tf 72 700 Td (Everybody sees this line of text) Tj ET"
    hidden = "BT /F1 12 Tf 1 1 1 rg 72 650 Td (Nobody sees this line of text) Tj ET"
    path.write_bytes(pdf_bytes(PdfPage(content=f"{shown} {hidden}")))
    told = seen(path).select_one(".warnings").get_text()
    assert "cannot be seen on the page (invisible, white, tiny or off the page). page 1" in told


def test_sound_is_shown_without_a_page(seen, tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(16_000) / 5) * 9_000).astype("<i2").tobytes())
    page = seen(path)
    assert page.select_one("section.page h2").get_text() == "The whole document"


def test_two_configurations_stand_side_by_side_on_one_page(seen) -> None:
    page = seen(SAMPLE / "travel-policy.pdf", compare=variants(DEFAULT, "chunk_size=20,100"))
    columns = [h3.get_text() for h3 in page.select_one("section.page").select("h3")]
    assert columns == ["Chunks, chunk_size=20", "Chunks, chunk_size=100"]
    small, large = (page.select(f'article[id^="c{c}-"]') for c in (0, 1))
    assert len(small) > len(large)
    assert page.select("g.left .bar path")
    assert page.select("g.right .bar path")
    assert page.select("details article[data-e]"), "the elements are the same for both"


# --- bounds and failures ---


def test_only_the_pages_asked_for_are_shown_and_a_line_says_so(seen) -> None:
    page = seen(SAMPLE / "travel-policy.pdf", pages=(2, 2))
    assert [h2.get_text() for h2 in page.select("section.page > h2")] == ["Page 2"]
    assert "Page 2 of 2 is shown" in page.select_one(".limited").get_text()
    assert len(page.select("img.paper")) == 1
    assert not seen(SAMPLE / "travel-policy.pdf").select(".limited")
    with pytest.raises(InvalidOptionError, match="has no page 7"):
        seen(SAMPLE / "travel-policy.pdf", pages=(7, 9))


def test_a_long_document_is_shown_in_part(seen, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("\n\n".join(f"Paragraph {n}. " + "word " * (2_000 if n == 0 else 5) for n in range(900)))
    page = seen(path, replace(DEFAULT, split=SplitTask(chunk_size=20, chunk_overlap=0)))
    assert len(cards(page, "elements")) == len(cards(page, "chunks")) == 400
    assert "and 500 elements more" in page.get_text()
    assert "characters more" in page.get_text()


def test_a_bad_file_fails_as_in_an_ingest(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PreviewError) as caught:
        preview(SAMPLE / "broken.pdf", settings=settings)
    failure = caught.value.failure
    assert (failure.stage, failure.category) == ("extract", "data")
    assert failure.hint
    with pytest.raises(InvalidOptionError, match="documents"):
        preview(SAMPLE, settings=settings)
    with pytest.raises(InvalidOptionError, match="pages are 3 to 2"):
        preview(SAMPLE / "price-list.csv", settings=settings, pages=(3, 2))


def test_hostile_text_stays_text(settings: Settings, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(5)>.md"
    (tmp_path / name).write_text(
        f"# {HOSTILE}\n\n[click](javascript:alert(6))\n\n{HOSTILE}\n\n| {HOSTILE} |\n|---|\n| {HOSTILE} |\n"
    )
    made = preview(tmp_path / name, settings=settings)
    page = BeautifulSoup(made, "html.parser")
    assert len(page.select("script")) == 1
    assert not page.select("img, iframe, object, embed, base, link, form")
    assert not [a for one in page.find_all(True) for a in one.attrs if a.startswith("on") or a == "style"]
    assert all(a["href"].startswith("#") for a in page.select("a"))
    assert "<script>alert(1)</script>" in page.select_one("article").get_text()
    policy = page.select_one("meta[http-equiv]")["content"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


# --- pieces and variants ---


def test_a_chunk_knows_which_shares_of_which_elements_it_has() -> None:
    elements = [Element(kind=Kind.TEXT, text="aaaa aaaa"), Element(kind=Kind.TEXT, text="aaaa bbbb")]
    (unit,) = units(elements, "document")
    whole = Chunk(element=0, position=0, kind=Kind.TEXT, text=unit.text, begins=0)
    assert [(s.element, s.begin, s.end) for s in _stretches(whole, unit)] == [(0, 0, 1), (1, 0, 1)]
    second = Chunk(element=0, position=1, kind=Kind.TEXT, text="aaaa", begins=1)
    (only,) = _stretches(second, unit)
    assert (only.element, only.begin, round(only.end, 2)) == (1, 0, 0.44), "equal words earlier are not meant"


def test_variants_change_one_option() -> None:
    two = variants(DEFAULT, "chunk_size=256,512")
    assert [(label, one.split.chunk_size) for label, one in two.items()] == [
        ("chunk_size=256", 256),
        ("chunk_size=512", 512),
    ]
    one = variants(DEFAULT, "sentences=yes")
    assert list(one) == ["as it is", "sentences=yes"]
    assert one["sentences=yes"].split.sentences is True
    assert variants(DEFAULT, "text_depth=page")["text_depth=page"].extract.text_depth == "page"
    with pytest.raises(UnknownOptionError, match="chunk_size"):
        variants(DEFAULT, "chunk_sise=3")
    for wrong in (
        "chunk_size",
        "chunk_size=1,2,3",
        "chunk_size=1,",
        "chunk_size=x",
        "sentences=perhaps",
        "text_depth=x",
    ):
        with pytest.raises(InvalidOptionError):
            variants(DEFAULT, wrong)
