"""Every Office file, picture, drawing and sound of the development corpus against what its manifest expects."""

from __future__ import annotations

import csv
import re
import zipfile
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from nemo_retriever_dagster.errors import DataError, EmptyFileError, EncryptedFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "dev"
MANIFEST = CORPUS / "MANIFEST.csv"
KINDS = {"docx", "pptx", "png", "jpeg", "bmp", "tiff", "svg", "wav", "mp3"}
ANIMALS = (
    "| Animal | Activity | Place |\n| --- | --- | --- |\n| Giraffe | Driving a car | At the beach |\n"
    "| Lion | Putting on sunscreen | At the park |\n| Cat | Jumping onto a laptop | In a home office |\n"
    "| Dog | Chasing a squirrel | In the front yard |"
)
CONTAINS = re.compile(r"text contains '(.*)' \(from", re.DOTALL)
TEXT_PARTS = re.compile(
    r"word/(?:document|footnotes|endnotes|comments|header\d*|footer\d*)\.xml|ppt/(?:slides|notesSlides|comments)/\w+\.xml"
)

pytestmark = pytest.mark.skipif(not MANIFEST.exists(), reason="the development corpus is not here")


def rows() -> list[dict[str, str]]:
    if not MANIFEST.exists():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] in KINDS]


def read(name: str, **options: object) -> list[Page]:
    path = CORPUS / "files" / name
    kind = path.suffix[1:]
    chosen = ExtractOptions(format=kind, **options)  # type: ignore[arg-type]
    return list(extractor_for(kind).extract(path, chosen, Budget(limits=Limits())))


@cache
def elements(name: str) -> tuple[Element, ...]:
    return tuple(element for page in read(name) for element in page.elements)


def squeezed(text: str) -> str:
    """Leave letters and digits: where blanks and line ends stand is a matter of layout."""
    return "".join(sign for sign in text if sign.isalnum())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"].removeprefix("files/"))
def test_manifest(row):
    name, expected = row["file"].removeprefix("files/"), row["expected"]
    if refusal := refusal_of(expected):
        with pytest.raises(refusal):
            read(name)
    elif "either text or one typed" in expected or "must not be resolved" in expected:
        try:
            read(name)
        except DataError as error:
            assert error.hint, "the next step is named"  # noqa: PT017 -- text is as good an outcome
    elif wanted := CONTAINS.search(expected):
        assert squeezed(wanted[1]) in squeezed(" ".join(element.text for element in elements(name)))
    else:
        check_kind(row["kind"], read(name))


def refusal_of(expected: str) -> type[Exception] | None:
    if "encrypted error" in expected:
        return EncryptedFileError
    if "empty-file" in expected:
        return EmptyFileError
    if "refused" in expected:
        return LimitExceededError
    return DataError if "must fail" in expected or "must not be read as" in expected else None


def check_kind(kind: str, pages: list[Page]) -> None:
    if kind in {"wav", "mp3"}:
        assert pages[0].sound.sample_rate == 16_000
    elif kind in {"docx", "pptx"}:
        assert pages
    else:
        (page,) = pages
        assert page.needs_ocr
        assert page.scan is not None
        assert [element.kind for element in page.elements] == [Kind.IMAGE]


@pytest.mark.parametrize("row", [r for r in rows() if r["kind"] in {"docx", "pptx"}], ids=lambda row: row["file"][6:])
def test_no_run_of_text_is_lost(row):
    """Every text node of the file's own XML is found again."""
    name = row["file"].removeprefix("files/")
    try:
        found = squeezed(" ".join(element.text for element in elements(name)))
    except DataError:
        return  # whether it may be refused is the manifest's matter
    with zipfile.ZipFile(CORPUS / "files" / name) as package:
        for part in filter(TEXT_PARTS.fullmatch, package.namelist()):
            for node in etree.fromstring(package.read(part)).iter("{*}t", "{*}text"):
                assert squeezed(node.text or "") in found, part


@pytest.mark.parametrize("name", ["multimodal_test.docx", "multimodal_test.pptx"])
def test_the_reference_sample_gives_its_table_and_the_pictures_to_look_into(name):
    assert [element.text for element in elements(name) if element.kind is Kind.TABLE] == [ANIMALS]
    pictures = [element for element in elements(name) if element.kind is Kind.IMAGE]
    assert len(pictures) == 4
    assert all(picture.attributes["look_inside"] and picture.picture for picture in pictures)


def test_tables_of_the_corpus_cell_for_cell():
    tables = [element.table for element in elements("word_tables.docx") if element.kind is Kind.TABLE]
    spans = {cell.text: (cell.row, cell.column, cell.row_span, cell.column_span) for cell in tables[4].cells}
    assert spans["Merged Cell 1.1 2.1"] == (1, 1, 2, 1)
    assert spans["Merged Cell 4.4 5.4"] == (4, 4, 2, 1)
    (poem,) = (element.table for element in elements("woods_frost.docx") if element.kind is Kind.TABLE)
    assert poem.shape == (11, 3)


@pytest.mark.parametrize(
    ("name", "title", "row"),
    [
        ("pptx_chart.pptx", "Wild Duck Observations by Year", ["2022", "175", "130"]),
        ("testWORD_charts.docx", "wants a peach", ["August", "6"]),
        ("pie-chart.pptx", "My Pie Chart", None),
        ("bar-chart.pptx", "My Bar Chart", None),
    ],
)
def test_charts_give_their_data(name, title, row):
    charts = [element for element in elements(name) if element.kind is Kind.CHART]
    assert title in " ".join(element.text for element in elements(name))
    assert charts[0].table is not None
    if row:
        assert row in charts[0].table.rows()


def test_pictures_that_cannot_be_had_are_warned_of():
    warned = {
        name: " ".join(w for e in elements(name) for w in e.warnings)
        for name in (
            "test_emf_docx.docx",
            "docx_external_image.docx",
            "powerpoint_malformed_pictures.pptx",
            "powerpoint_with_image.pptx",
        )
    }
    assert "image1.emf was not drawn" in warned["test_emf_docx.docx"]
    assert "was not fetched" in warned["docx_external_image.docx"]
    assert "leads nowhere" in warned["powerpoint_malformed_pictures.pptx"]
    assert "was not fetched" in warned["powerpoint_with_image.pptx"]


def test_vml_and_grouped_pictures_are_found():
    assert sum(element.picture is not None for element in elements("docx_vml_images.docx")) == 2
    grouped = [element.alt_text for element in elements("docx_grouped_images.docx") if element.picture]
    assert len(grouped) == 6
    assert "Docling" in grouped


def test_the_spoken_sample_has_its_length():
    (page,) = read("multimodal_test.wav")
    assert abs(len(page.sound.data) / 2 / 16_000 - 16.025) < 0.001
