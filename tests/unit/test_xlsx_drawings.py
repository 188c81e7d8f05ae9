"""What lies over the cells of a sheet: text boxes, charts, pictures, comments, each with its page."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest
import xlsxwriter
from openpyxl.comments import Comment
from PIL import Image

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.xlsx import XlsxExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THREADED = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
LINKS = "http://schemas.microsoft.com/office/2017/10/relationships"
STAND_IN = (
    "[Threaded comment]\n\nYour version of Excel allows you to read this threaded comment; however, any edits to it "
    "will get removed.\n\nComment:\n    Check this\nReply:\n    Done"
)


def read(path: Path) -> list[Element]:
    pages = XlsxExtractor().extract(path, ExtractOptions(format="xlsx"), Budget(limits=Limits()))
    return [element for page in pages for element in page.elements]


def drawn(path: Path) -> Path:
    """Write a second sheet with a text box, a chart and a picture over it."""
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("first")
    sheet = book.add_worksheet("second")
    sheet.insert_textbox("D4", "Figures are\npreliminary", {"description": "a note"})
    sheet.write_column(0, 0, [1, 2])
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=second!$A$1:$A$2"})
    sheet.insert_chart("D9", chart, {"description": "a rising line"})
    picture = io.BytesIO()
    Image.new("RGB", (90, 80), "red").save(picture, "PNG")
    sheet.insert_image("D20", "p.png", {"image_data": picture, "description": "a red field"})
    book.close()
    return path


def changed(path: Path, changes: dict[str, Callable[[str], str]], added: dict[str, str] | None = None) -> Path:
    target = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, changes[name](data.decode()) if name in changes else data)
        for name, text in (added or {}).items():
            new.writestr(name, text)
    return target


def test_text_boxes_charts_and_pictures_have_page_and_description(tmp_path):
    found = read(drawn(tmp_path / "made.xlsx"))[3:]
    assert sorted((element.kind, element.alt_text, element.page) for element in found) == [
        (Kind.CHART, "a rising line", 2),
        (Kind.IMAGE, "a red field", 2),
        (Kind.TEXT, "", 2),
    ]


def test_text_of_a_box_is_its_lines(tmp_path):
    (box,) = [e for e in read(drawn(tmp_path / "made.xlsx")) if e.attributes.get("part") == "textbox"]
    assert (box.text, box.attributes) == ("Figures are\npreliminary", {"part": "textbox"})


def test_hidden_shapes_are_marked(tmp_path):
    path = changed(
        drawn(tmp_path / "made.xlsx"),
        {"xl/drawings/drawing1.xml": lambda text: text.replace("<xdr:cNvPr ", '<xdr:cNvPr hidden="1" ', 1)},
    )
    assert [e.kind for e in read(path) if e.attributes.get("hidden")] == [Kind.IMAGE]


def test_of_alternatives_the_one_that_is_shown_is_read(tmp_path):
    space = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'

    def with_alternative(text: str) -> str:
        start, end = text.index("<xdr:sp "), text.index("</xdr:sp>") + len("</xdr:sp>")
        shape = text[start:end]
        other = shape.replace("Figures are", "This is not available in your version")
        choice = f'<mc:Choice Requires="x">{shape}</mc:Choice><mc:Fallback>{other}</mc:Fallback>'
        return f"{text[:start]}<mc:AlternateContent {space}>{choice}</mc:AlternateContent>{text[end:]}"

    path = changed(drawn(tmp_path / "made.xlsx"), {"xl/drawings/drawing1.xml": with_alternative})
    assert [e.text for e in read(path) if e.attributes.get("part") == "textbox"] == ["Figures are\npreliminary"]


def test_a_damaged_drawing_does_not_cost_the_cells(tmp_path):
    path = changed(drawn(tmp_path / "made.xlsx"), {"xl/drawings/drawing1.xml": lambda text: text[:99]})
    *_, cells, warning = read(path)
    assert cells.text == "1\n2"
    assert (warning.page, "cannot be read" in warning.warnings[0]) == (2, True)


@pytest.fixture
def commented(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["x", "y"])
    book.active["A1"].comment = Comment("A plain note", "Eve")
    book.active["B1"].comment = Comment(STAND_IN, "tc={1}")
    book.save(tmp_path / "made.xlsx")
    return tmp_path / "made.xlsx"


def remarks(path: Path) -> list[tuple[str, dict[str, object]]]:
    return [(e.text, dict(e.attributes)) for e in read(path) if e.attributes.get("part") == "comment"]


def test_what_excel_writes_for_old_readers_is_left_out_of_a_comment(commented):
    assert remarks(commented) == [
        ("Comment on A1: A plain note", {"part": "comment"}),
        ("Comment on B1: Check this\nReply:\n    Done", {"part": "comment"}),
    ]


def with_threads(path: Path, threads: str) -> Path:
    def linked(kind: str, target: str) -> Callable[[str], str]:
        link = f'<Relationship Id="more" Type="{LINKS}/{kind}" Target="{target}"/>'
        return lambda text: text.replace("</Relationships>", f"{link}</Relationships>")

    changes = {
        "xl/worksheets/_rels/sheet1.xml.rels": linked("threadedComment", "/xl/threadedComments/t.xml"),
        "xl/_rels/workbook.xml.rels": linked("person", "/xl/persons/person.xml"),
    }
    persons = f'<personList xmlns="{THREADED}"><person displayName="Ann" id="p1"/></personList>'
    return changed(path, changes, {"xl/threadedComments/t.xml": threads, "xl/persons/person.xml": persons})


def test_threads_are_read_with_their_authors_instead_of_the_note_that_repeats_them(commented):
    threads = (
        f'<ThreadedComments xmlns="{THREADED}"><threadedComment ref="B1" personId="p1" id="1"><text>Check this</text>'
        '</threadedComment><threadedComment ref="B1" personId="p2" id="2" parentId="1"><text>Done</text>'
        "</threadedComment></ThreadedComments>"
    )
    assert remarks(with_threads(commented, threads)) == [
        ("Comment on B1 (Ann): Check this", {"part": "comment", "author": "Ann"}),
        ("Comment on B1: Done", {"part": "comment"}),
        ("Comment on A1: A plain note", {"part": "comment"}),
    ]


def test_damaged_threads_leave_the_notes(commented):
    assert remarks(with_threads(commented, "<broken")) == remarks(commented)
