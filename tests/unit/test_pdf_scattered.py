"""Pages that PDFium takes for written downwards, because they hold few short lines: letters become words again."""

from pathlib import Path

import pypdfium2
import pytest
from pdf_writer import PdfPage, pdf_bytes, words

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.limits import Budget, Limits

_WIDTHS = {"i": 0.22, "l": 0.22, "t": 0.28, "f": 0.28, "j": 0.22, "r": 0.33, "m": 0.83, " ": 0.28, "R": 0.72, "M": 0.83}
TITLES = ["Remote joint farmer", "Modern bridge", "Mineral"]


def letters(text: str, x: float, y: float, size: float = 9.5) -> str:
    """Write a letter at a time, as browsers do."""
    found = []
    for letter in text:
        if letter != " ":
            found.append(words(letter, x, y, size=size))
        x += _WIDTHS.get(letter, 0.556) * size
    return "".join(found)


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    lines = [(title, str(number)) for number, title in enumerate(TITLES * 4, start=7)]
    drawn = [
        letters(title, 57, 740 - 10.5 * i) + letters(page, 530, 740 - 10.5 * i) for i, (title, page) in enumerate(lines)
    ]
    path = tmp_path / "contents.pdf"
    path.write_bytes(pdf_bytes(PdfPage(content="".join(drawn))))
    return path


def test_pdfium_scatters_such_a_page(contents: Path) -> None:
    with pypdfium2.PdfDocument(contents) as document:
        assert "R\r\ne\r\nm\r\no" in document[0].get_textpage().get_text_range()


@pytest.mark.parametrize("tables", [True, False])
def test_its_words_are_whole(contents: Path, tables: bool) -> None:
    options = ExtractOptions(format="pdf", tables=tables)
    pages = list(PdfExtractor().extract(contents, options, Budget(Limits())))
    found = " ".join(element.text for page in pages for element in page.elements).split()
    assert found == " ".join(f"{title} {number}" for number, title in enumerate(TITLES * 4, start=7)).split()
