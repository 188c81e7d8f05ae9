"""Elements as one Markdown text: headings, lists, tables and captions where they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import FROM_DOCUMENT
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

_BULLET = re.compile(
    r"^[\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u25a0\u25a1\u2043\u2219\u00b7\u27a2\uf0b7\uf0a7]\s*", re.MULTILINE
)
_HEADED = re.compile(r" {0,3}#{1,6}[ \t]|.*\n {0,3}(?:=+|-{2,})[ \t]*$", re.DOTALL)
"""A heading that was Markdown before it was read."""
_LEVELS = 6


def to_markdown(elements: Iterable[Element]) -> str:
    """Return the elements' text, in their order, as GitHub Markdown.

    A table stands as a Markdown table (as HTML where cells span), a chart as its text, a picture as what an engine or
    its alternative text says of it. Text blocks inside a table or chart are left out, as is every picture of which
    nothing is said; a caption of the document's own is text already.
    """
    parts = (_part(element) for element in elements if element.inside is None)
    return "\n\n".join(part for part in parts if part) + "\n"


def _part(element: Element) -> str:
    if element.kind is Kind.TABLE and element.table is not None:
        spans = any(cell.row_span > 1 or cell.column_span > 1 for cell in element.table.cells)
        return render(element.table, "html" if spans else "markdown")
    written = "" if element.caption_source == FROM_DOCUMENT else element.caption.strip()
    text = element.text.strip() or written or element.alt_text.strip()
    if element.kind is Kind.TEXT and element.heading and not _HEADED.match(text):
        return f"{'#' * min(element.heading, _LEVELS)} {' '.join(text.split())}"
    return _BULLET.sub("- ", text)
