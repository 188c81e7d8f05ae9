"""Word files written node by node, so that a test knows every run in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docx
from docx.oxml import parse_xml

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.docx import DocxExtractor
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.model import Element

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    f'xmlns:m="{_OFFICE}/math" xmlns:r="{_OFFICE}/relationships"'
)


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(content: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"


def write_docx(path: Path, body: str, *, styles: str = "", numbering: str = "") -> Path:
    """Write python-docx's own template with these nodes in its body, styles and numbering."""
    document = docx.Document()
    for node in _nodes(body):
        document.element.body[-1].addprevious(node)
    for node in _nodes(styles):
        document.styles.element.append(node)
    for node in _nodes(numbering):
        document.part.numbering_part.element.append(node)
    document.save(path)
    return path


def read_docx(path: Path) -> list[Element]:
    options = ExtractOptions(format="docx")
    (page,) = DocxExtractor().extract(path, options, Budget(limits=Limits()))
    return list(page.elements)


def read_body(folder: Path, body: str, *, styles: str = "", numbering: str = "") -> list[Element]:
    return read_docx(write_docx(folder / "made.docx", body, styles=styles, numbering=numbering))


def texts(elements: list[Element]) -> list[str]:
    return [element.text for element in elements]


def _nodes(xml: str) -> list:
    return list(parse_xml(f"<w:body {_NAMESPACES}>{xml}</w:body>"))
