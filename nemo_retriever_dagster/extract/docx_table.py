"""Word tables: rows and columns with their spans, whatever way Word wrote them down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import LimitExceededError
from nemo_retriever_dagster.extract.ooxml import OFF, attribute, children, first, number, q, short, switch
from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lxml.etree import _Element

_FIRST_ROW = 0x0020
_MERGE = "w:tcPr/w:vMerge"
_MOST_COLUMNS = 1000
_CONTENT = tuple(map(q, ("w:t", "w:sym", "m:oMath", "w:drawing", "w:pict", "w:object")))
_WRAPPERS = {"w:sdt", "w:sdtContent", "w:customXml", "w:ins", "w:moveTo", "w:smartTag"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A cell of the file before vertical spans are put together."""

    cell: Cell
    continues: bool
    joinable: bool


def read_table(node: _Element, text_of: Callable[[_Element], str]) -> Table:
    """Return a table (``w:tbl``); ``text_of`` reads a cell (``w:tc``) and is called once for each, in order."""
    rows = list(table_rows(node))
    headers = _header_rows(node, rows)
    open_spans: dict[int, int] = {}
    cells: list[Cell] = []
    for index, row in enumerate(rows):
        for place in _row_cells(row, index, text_of, header=index < headers):
            _add(place, cells, open_spans)
    return Table(cells=tuple(cells))


def table_rows(node: _Element) -> Iterator[_Element]:
    """Yield the rows (``w:tr``) of a table, those that were deleted with changes tracked left out."""
    for row in _inside(node, "w:tr"):
        if first(row, "w:trPr/w:del") is None:
            yield row


def row_cells(row: _Element) -> Iterator[_Element]:
    """Yield the cells (``w:tc``) of a row."""
    yield from _inside(row, "w:tc")


def is_continued(cell: _Element) -> bool:
    """Tell whether a cell (``w:tc``) is the lower part of the one above it."""
    merge = first(cell, _MERGE)
    return merge is not None and attribute(merge, "w:val", "continue") != "restart"


def is_layout(rows: Sequence[Sequence[_Element]], is_heading: Callable[[_Element], bool]) -> bool:
    """Tell whether a table, given as the cells of its rows, only places text on the page.

    It does where text stands under a heading in a cell, and where there is but one row with several blocks in a cell.
    ``is_heading`` is asked about paragraphs (``w:p``). A cell that is a heading and no more is a header of data.
    """
    filled = [[block for block in _inside(cell, "w:p", "w:tbl") if _is_filled(block)] for row in rows for cell in row]
    if len(rows) == 1 and any(len(blocks) > 1 for blocks in filled):
        return True
    return any(is_heading(block) for blocks in filled for block in blocks[:-1] if short(block.tag) == "w:p")


def _is_filled(block: _Element) -> bool:
    return short(block.tag) == "w:tbl" or next(block.iter(*_CONTENT), None) is not None


def _inside(node: _Element, *wanted: str) -> Iterator[_Element]:
    for child in children(node):
        name = short(child.tag)
        if name in wanted:
            yield child
        elif name in _WRAPPERS:
            yield from _inside(child, *wanted)


def _row_cells(row: _Element, index: int, text_of: Callable[[_Element], str], *, header: bool) -> Iterator[_Place]:
    column = _span(attribute(first(row, "w:trPr/w:gridBefore"), "w:val", "0"), least=0)
    for node in row_cells(row):
        width = _span(attribute(first(node, "w:tcPr/w:gridSpan"), "w:val", "1"))
        cell = Cell(row=index, column=column, column_span=width, text=text_of(node), header=header)
        joinable = first(node, _MERGE) is not None
        yield _Place(cell=cell, continues=is_continued(node), joinable=joinable)
        column += width
        if column > _MOST_COLUMNS:
            raise LimitExceededError(f"A table has more than {_MOST_COLUMNS:,} columns.")


def _add(place: _Place, cells: list[Cell], open_spans: dict[int, int]) -> None:
    """Append a cell, or lengthen the cell above that it continues (``open_spans``: column -> index in ``cells``)."""
    above = open_spans.get(place.cell.column)
    if place.continues and above is not None and cells[above].column_span == place.cell.column_span:
        joined = cells[above]
        text = "\n".join(part for part in (joined.text, place.cell.text) if part)
        cells[above] = replace(joined, row_span=place.cell.row - joined.row + 1, text=text)
        return
    for column in range(place.cell.column, place.cell.column + place.cell.column_span):
        open_spans.pop(column, None)
    if place.joinable:
        open_spans[place.cell.column] = len(cells)
    cells.append(place.cell)


def _header_rows(node: _Element, rows: list[_Element]) -> int:
    """Count the rows that repeat on each page; without any, the first row where the table's style treats it apart."""
    count = 0
    while count < len(rows) and switch(first(rows[count], "w:trPr/w:tblHeader")):
        count += 1
    if count:
        return count
    look = first(node, "w:tblPr/w:tblLook")
    bits = attribute(look, "w:val", "0")
    apart = attribute(look, "w:firstRow") or str(int(bool(_hexadecimal(bits) & _FIRST_ROW)))
    return int(len(rows) > 1 and apart not in OFF)


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _span(text: str, least: int = 1) -> int:
    return min(max(number(text, least), least), _MOST_COLUMNS + 1)
