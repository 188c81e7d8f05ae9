"""Elements and chunks as cards: what was read, what it counts as, where it stands, and what it is embedded under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import PICTURES, Origin
from nemo_retriever_dagster.preview.markup import Html, joined, tag
from nemo_retriever_dagster.preview.pictures import ELEMENT_PIXELS, data_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nemo_retriever_dagster.model import Cell, Element, Place, Table
    from nemo_retriever_dagster.preview.gather import Look, Piece

_TEXT, _ROWS, _COLUMNS = 3_000, 60, 20
"""Shown of one card at most: characters, and rows and columns of a table."""
_ORIGINS = {
    Origin.OCR: "read by OCR",
    Origin.PARSE: "read by a page parser",
    Origin.SPEECH: "recognised speech",
    Origin.ALT_TEXT: "alternative text",
}


def element_card(look: Look, i: int, *, thumbnail: bool) -> Html:
    """Return the card of element ``i``; ``thumbnail`` shows its picture, for pages that are not shown themselves."""
    element = look.elements[i]
    out = i not in look.kept
    uri = data_uri(element.picture, ELEMENT_PIXELS) if thumbnail else ""
    picture = tag("img", src=uri, alt=element.alt_text or f"The {element.kind} of element {i + 1}") if uri else None
    head = tag("p", tag("b", i + 1), tag("span", element.kind, class_="kind"), *_facts(element, out=out), class_="meta")
    return tag(
        "li",
        tag(
            "article", head, picture, _captions(look, i), _content(element), *map(_warning, element.warnings),
            class_=f"card {'k-out' if out else f'k-{element.kind}'}",
            tabindex="0", aria_label=f"Element {i + 1}, {element.kind}", data_e=i,
        ),
    )  # fmt: skip


def _facts(element: Element, *, out: bool) -> Iterable[Html]:
    said = [
        f"heading {element.heading}" if element.heading else "",
        f"inside a {element.inside}" if element.inside else "",
        _ORIGINS.get(element.origin, ""),
        element.engine,
        f"{_clock(element.start_ms)} to {_clock(element.end_ms)}" if element.start_ms >= 0 else "",
        "left out: repeated, small, or shown as a table or chart" if out else "",
    ]
    return (tag("span", fact) for fact in said if fact)


def _clock(milliseconds: int) -> str:
    minutes, seconds = divmod(max(milliseconds, 0) / 1000, 60)
    return f"{int(minutes)}:{seconds:04.1f}"


def _captions(look: Look, i: int) -> Html:
    element = look.elements[i]
    made = look.captions.get(i)
    said = [(element.caption, element.caption_source or "of the document")] if element.caption else []
    said += [(made.text, made.source)] if made and made.text else []
    return joined(*(tag("p", tag("span", f"caption ({by})"), " ", text, class_="caption", dir="auto")
                    for text, by in said))  # fmt: skip


def _content(element: Element) -> Html | None:
    if element.table is not None and element.table.shape[1] <= _COLUMNS:
        return _table(element.table)
    return _text(element.text or element.alt_text)


def _text(text: str) -> Html | None:
    if not text.strip():
        return None
    more = len(text) - _TEXT
    rest = tag("p", f"and {more:,} characters more", class_="more") if more > 0 else None
    return joined(tag("p", text[:_TEXT], class_="text", dir="auto"), rest)


def _table(table: Table) -> Html:
    rows: dict[int, list[Cell]] = {}
    for cell in table.cells:
        rows.setdefault(cell.row, []).append(cell)
    shown = [tag("tr", *map(_cell, rows[row])) for row in sorted(rows)[:_ROWS]]
    more = len(rows) - _ROWS
    rest = tag("p", f"and {more:,} rows more", class_="more") if more > 0 else None
    return joined(tag("div", tag("table", *shown), class_="wide"), rest)


def _cell(cell: Cell) -> Html:
    spans = {"rowspan": cell.row_span if cell.row_span > 1 else None}
    spans["colspan"] = cell.column_span if cell.column_span > 1 else None
    return tag("th" if cell.header else "td", cell.text, dir="auto", **spans)


def _warning(text: str) -> Html:
    return tag("p", text, class_="warning")


def chunk_card(piece: Piece, *, name: str, number: int, longest: int, begins_on: str = "") -> Html:
    """Return the card of a chunk: whole, or where it goes on a reference to the page that it ``begins_on``."""
    chunk = piece.chunk
    facts = [tag("span", f"{chunk.tokens:,} tokens", class_="over" if 0 < longest < chunk.tokens else None)]
    facts += [tag("span", f"part {chunk.position + 1}")] if chunk.position else []
    head = tag("p", tag("b", number), tag("span", chunk.kind, class_="kind"), *facts, class_="meta")
    given = {
        "class_": f"card chunk k-{chunk.kind}", "tabindex": "0", "aria_label": f"Chunk {number}, {chunk.tokens} tokens",
        "data_c": name, "data_es": " ".join(map(str, piece.elements)),
    }  # fmt: skip
    if begins_on:
        where = tag("a", f"begins on {begins_on}", href=f"#c{name}")
        return tag("li", tag("article", head, tag("p", where, " and goes on here", class_="more"), **given))
    under = tag("p", tag("span", "embedded under"), " ", piece.context, class_="under", dir="auto")
    return tag(
        "li",
        tag(
            "article", head, under if piece.context else None, _text(chunk.text), _embedded(piece), _places(piece),
            id=f"c{name}", **given,
        ),
    )  # fmt: skip


def _embedded(piece: Piece) -> Html | None:
    """Say what is embedded where it is not just the chunk's text."""
    if not piece.passage:
        return tag("p", "not embedded: there is no text to embed", class_="warning")
    if piece.passage == piece.chunk.text:
        return None
    beside = piece.passage.removesuffix(piece.chunk.text).strip() if piece.chunk.text else piece.passage
    label = "embedded in its place" if piece.chunk.kind in PICTURES else "embedded with it"
    return tag("p", tag("span", label), " ", beside[:_TEXT], class_="caption", dir="auto")


def _places(piece: Piece) -> Html | None:
    said = [_place(place) for place in piece.chunk.places if place.page or place.box]
    numbers = ", ".join(str(i + 1) for i in piece.elements[:12]) + (" ..." if len(piece.elements) > 12 else "")  # noqa: PLR2004 - a line's worth
    what = f"element{'s' * (len(piece.elements) > 1)} {numbers}"
    return tag("p", "; ".join([*said, what]), class_="places")


def _place(place: Place) -> str:
    page = f"page {place.page}" if place.page else "whole document"
    if place.box is None:
        return page
    x0, y0, x1, y1 = (round(value) for value in place.box)
    return f"{page} ({x0}, {y0}) to ({x1}, {y1})"
