"""Signs nobody sees: gone from every format's text, and the signs that scripts are spelt with kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docx
import openpyxl

from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.invisible import without_invisible
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.model import Element, Kind, Table

if TYPE_CHECKING:
    from pathlib import Path

SOFT = "Donau\u00addampf\u200bschiff\u2060fahrt\ufeff"
SEEN = "Donaudampfschifffahrt"
JOINED = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c"


def test_texts_captions_and_cells_lose_them() -> None:
    table = Table.of_rows([[SOFT, "plain"]], headers=1)
    elements = (
        Element(kind=Kind.TABLE, text=f"| {SOFT} | plain |", caption=SOFT, table=table),
        Element(kind=Kind.IMAGE, alt_text=SOFT),
        Element(kind=Kind.TEXT, text="\u200b", warnings=("kept",)),
        Element(kind=Kind.TEXT, text="\u200b \u00ad", heading=1),
        Element(kind=Kind.TEXT, text=JOINED),
        Element(kind=Kind.TEXT),
    )
    found = without_invisible(Page(number=3, total=4, elements=elements))
    assert found == Page(
        number=3,
        total=4,
        elements=(
            Element(
                kind=Kind.TABLE,
                text=f"| {SEEN} | plain |",
                caption=SEEN,
                table=Table.of_rows([[SEEN, "plain"]], headers=1),
            ),
            Element(kind=Kind.IMAGE, alt_text=SEEN),
            Element(kind=Kind.TEXT, warnings=("kept",)),
            Element(kind=Kind.TEXT, text=JOINED),
            Element(kind=Kind.TEXT),
        ),
    )


def test_every_format_is_read_without_them(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(SOFT)
    (tmp_path / "x.html").write_text("<p>Donau&shy;dampf&#x200B;schiff&NoBreak;fahrt</p>")
    word = docx.Document()
    word.add_paragraph(SOFT)
    word.save(tmp_path / "x.docx")
    book = openpyxl.Workbook()
    book.active.append([SOFT])
    book.save(tmp_path / "x.xlsx")
    with ParserPool(1) as pool:
        for form in ("txt", "html", "docx", "xlsx"):
            pages = pool.pages(tmp_path / f"x.{form}", ExtractOptions(format=form))
            text = "\n".join(element.text for page in pages for element in page.elements)
            assert SEEN in text, form
