"""The faces of a PDF's type: which are bold, which are a typewriter's, and what becomes of lines set in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.extract.typewriter import is_typewriter
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind
from tests.unit.pdf_writer import PdfPage, lines, pdf_bytes, words

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.model import Element

PROSE = [
    "Before the program is started, its settings are read from the file that",
    "the user names; what is not set there is taken from the surroundings of",
    "the program, and what is not set at all has the value that is given here.",
]
CODE = ["for name in names:", "    if name in known:", "        print(name)", "", "return names"]


def read(tmp_path: Path, *pages: PdfPage, faces: list[str]) -> list[Element]:
    path = tmp_path / "made.pdf"
    path.write_bytes(pdf_bytes(*pages, faces=faces))
    found = PdfExtractor().extract(path, ExtractOptions(format="pdf"), Budget(Limits()))
    return [element for page in found for element in page.elements]


@pytest.mark.parametrize(
    ("face", "bold"),
    [
        ("ABCDEF+CMBX12", True),
        ("ABCDEF+CMBXTI10", True),
        ("ABCDEF+SFBX1095", True),
        ("ABCDEF+NimbusRomNo9L-Medi", True),
        ("ABCDEF+CMR12", False),  # its stems are said to be wide
        ("ABCDEF+LMRoman10-Regular", False),
        ("ABCDEF+Palatino-Roman", False),
    ],
)
def test_bold_type_is_told_by_its_name(tmp_path: Path, face: str, *, bold: bool):
    page = PdfPage(words("Of settings", 72, 700, font="F5") + lines(PROSE, 72, 660))
    found = read(tmp_path, page, faces=[face])
    assert [(element.text, element.heading) for element in found] == [
        ("Of settings", int(bold)),
        (" ".join(PROSE), 0),
    ]


@pytest.mark.parametrize(
    ("font", "expected"),
    [
        ("ABCDEF+CMTT10", True),
        ("ABCDEF+CMSLTT10", True),
        ("ABCDEF+SFTT1000", True),
        ("ABCDEF+t1xtt", True),
        ("ABCDEF+NimbusMonL-Regu", True),
        ("SourceCodePro-Regular", True),
        ("ArialUnicodeMS", False),
        ("Garamond", False),
    ],
)
def test_a_typewriter_face_is_told_by_its_name(font: str, *, expected: bool):
    assert is_typewriter(font) is expected


def test_a_listing_keeps_its_lines_and_how_far_they_go_in(tmp_path: Path):
    code = "".join(words(text, 72, 600 - 12 * row, size=10, font="F5") for row, text in enumerate(CODE) if text)
    found = read(tmp_path, PdfPage(lines(PROSE, 72, 660) + code), faces=["ABCDEF+NimbusMonL-Regu"])
    assert [element.text for element in found] == [" ".join(PROSE), "\n".join(CODE)]


def test_a_numbered_listing_is_one_text_and_no_table(tmp_path: Path):
    code = ["\\begin{one}%", "  \\first{#1}%", "    \\second{#2}%", "", "    \\third%", "  \\fourth%", "\\end{one}%"]
    drawn = ""
    for row, text in enumerate(code):
        drawn += words(str(91 + row), 72, 600 - 12 * row, size=6)
        drawn += words(text, 90, 600 - 12 * row, size=10, font="F5") if text else ""
    prose, listing = read(tmp_path, PdfPage(lines(PROSE, 72, 660) + drawn), faces=["ABCDEF+CMTT10"])
    assert (prose.kind, prose.text, listing.kind) == (Kind.TEXT, " ".join(PROSE), Kind.TEXT)
    assert listing.text.split("\n") == [
        "91  \\begin{one}%",
        "92    \\first{#1}%",
        "93      \\second{#2}%",
        "94",
        "95      \\third%",
        "96    \\fourth%",
        "97  \\end{one}%",
    ]
