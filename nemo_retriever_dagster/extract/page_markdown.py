"""Elements as one Markdown text: headings, lists, tables and captions where they stand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import FROM_DOCUMENT, LISTING_PART
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BULLET = re.compile(
    r"^[\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u25a0\u25a1\u2043\u2219\u00b7\u27a2\uf0b7\uf0a7]\s*", re.MULTILINE
)
_HEADED = re.compile(r" {0,3}#{1,6}[ \t]|.*\n {0,3}(?:=+|-{2,})[ \t]*$", re.DOTALL)
"""A heading that was Markdown before it was read."""
_ITEM = r"(?:[-*+]|\(?[0-9A-Za-z]{1,9}[.)])[ ]"
_DEEPER_ITEM = re.compile(rf"^ +(?={_ITEM})", re.MULTILINE)
_LAST_LINE_IS_ITEM = re.compile(rf"(?:\A|\n) *{_ITEM}[^\n]*\Z")
_VANISHING = re.compile(r"(?<!\\)(\\*+)<(?=[A-Za-z/!?])")
"""Where Markdown would see HTML, and show nothing; backslashes before it."""
_STRONG = re.compile(r"(?<![\w\\])__(\w+?)__(?!\w)")
"""Where a name such as ``__init__`` would be set in bold, without its lines."""
_NO_HEADING = re.compile(r"^(?=#{1,6}[ \t])", re.MULTILINE)
_LEVELS = 6
_TICKS = re.compile("`+")
_LEAST_TICKS = 3


def to_markdown(elements: Iterable[Element], *, written: bool = False) -> str:
    """Return the elements' text, in their order, as GitHub Markdown.

    A table stands as a Markdown table (as HTML where cells span), a chart as its text, a picture as what an engine or
    its alternative text says of it, a listing between fences. Text blocks inside a table or chart are left out, as is
    every picture of which nothing is said; a caption of the document's own is text already. ``written`` tells that the
    text is Markdown and stays as it is; in any other, signs that would be taken for HTML or a heading are escaped.
    """
    parts: list[str] = []
    for element in _whole(element for element in elements if element.inside is None):
        if part := _part(element, parts[-1] if parts else "", written=written):
            parts.append(part)
    return "\n\n".join(parts) + "\n"


def fenced(code: str, language: str = "") -> str:
    """Return a listing between fences that nothing in it closes."""
    fence = "`" * max(_LEAST_TICKS, 1 + max(map(len, _TICKS.findall(code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


def _whole(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the elements, listings that were cut put together again."""
    pieces: list[Element] = []
    for element in elements:
        if pieces and not element.attributes.get("goes_on"):
            yield _joined(pieces)
            pieces = []
        pieces.append(element)
    if pieces:
        yield _joined(pieces)


def _joined(pieces: Sequence[Element]) -> Element:
    return replace(pieces[0], text="\n\n".join(piece.text for piece in pieces)) if len(pieces) > 1 else pieces[0]


def _part(element: Element, before: str, *, written: bool) -> str:
    if element.kind is Kind.TABLE and element.table is not None:
        spans = any(cell.row_span > 1 or cell.column_span > 1 for cell in element.table.cells)
        return render(element.table, "html") if spans else _seen(render(element.table, "markdown"), r"\1\\<")
    if element.attributes.get("part") == LISTING_PART:
        return fenced(element.text)
    caption = "" if element.caption_source == FROM_DOCUMENT else element.caption.strip()
    text = element.text.strip("\n").rstrip() or caption or element.alt_text.strip()
    if element.kind is Kind.TEXT and element.heading:
        return _heading(text.strip(), element.heading, written=written)
    return text if written else _block(text, before)


def _heading(text: str, level: int, *, written: bool) -> str:
    if _HEADED.match(text):
        return text
    line = " ".join(text.split())
    return f"{'#' * min(level, _LEVELS)} {line if written else _seen(line)}"


def _block(text: str, before: str) -> str:
    """Return text that is no Markdown as such; an item deeper than the one before it stays below it."""
    if not (_DEEPER_ITEM.match(text) and _LAST_LINE_IS_ITEM.search(before)):
        text = text.lstrip()
    deeper = _DEEPER_ITEM.sub(lambda blanks: blanks[0] * 2, _BULLET.sub("- ", text))
    return _NO_HEADING.sub(r"\\", _seen(deeper))


def _seen(text: str, escaped: str = r"\1\1\\<") -> str:
    """Return text with the signs escaped that Markdown would not show; ``escaped`` is for one that would begin HTML."""
    return _STRONG.sub(r"\\_\\_\1\\_\\_", _VANISHING.sub(escaped, text))
