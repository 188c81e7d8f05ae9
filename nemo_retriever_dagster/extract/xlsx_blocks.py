"""The blocks of a sheet: rows that stand together, tables that stand side by side, what of them is hidden."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nemo_retriever_dagster.extract.xlsx_cells import Hidden

Row = tuple[int, dict[int, str]]
Rows = list[Row]
"""Rows that hold text: number, text by column, both from 0."""
Spans = dict[tuple[int, int], tuple[int, int]]
"""Merged cells: (row, column) of the first -> (rows, columns)."""
_NUMBER = re.compile(r"[-+(]?[^\w\s]?\s*[\d.,]+\s*[%)]?|\d{4}-\d\d-\d\d.*|TRUE|FALSE")


_NEAR = 2
"""Columns from one text to the next where a single empty one is between."""


class Part(NamedTuple):
    """What a sheet shows of a block, or what it hides of it; the first ``headers`` rows name the columns."""

    rows: Rows
    headers: int
    hidden: bool


def blocks(rows: Iterable[Row], spans: Spans) -> Iterator[Rows]:
    """Part the rows where one is empty, and where tables stand side by side."""
    for band in _bands(rows, spans):
        for table in _side_by_side(band, spans):
            yield from _bands(table, spans)  # rows that are empty here may hold text of the table beside it


def parted(block: Rows, hidden: Hidden) -> Iterator[Part]:
    """Yield what the sheet shows of a block, then its hidden rows and columns; both under the header."""
    headers = int(_is_header(block))
    shown: Rows = []
    covered: Rows = []
    for row, cells in block:
        unseen = {place: text for place, text in cells.items() if row in hidden.rows or place in hidden.columns}
        seen = {place: text for place, text in cells.items() if place not in unseen}
        shown += [(row, seen)] if seen else []
        covered += [(row, unseen)] if unseen else []
    body = [(row, cells) for row, cells in covered if row != block[0][0]]
    if headers and any(row in hidden.rows for row, _ in body):
        covered = [block[0], *body]
    for rows, is_hidden in ((shown, False), (covered, True)):
        if rows:
            yield Part(rows, headers if len(rows) > 1 and rows[0][0] == block[0][0] else 0, is_hidden)


def table_of(rows: Rows, columns: list[int], spans: Spans, *, headers: int) -> Table:
    """Return a table of these rows and columns; spans are cut to them."""
    places = {row: index for index, (row, _) in enumerate(rows)}
    covered: set[tuple[int, int]] = set()
    made: list[Cell] = []
    for index, (row, cells) in enumerate(rows):
        for position, column in enumerate(columns):
            if (index, position) in covered:
                continue
            height, width = spans.get((row, column), (1, 1))
            span = bisect_left(columns, column + width) - position
            down = max(places.get(row + more, index) for more in range(min(height, len(rows)))) - index + 1
            covered |= {(index + r, position + c) for r in range(down) for c in range(span)}
            cell = Cell(
                row=index,
                column=position,
                text=cells.get(column, ""),
                row_span=down,
                column_span=span,
                header=index < headers,
            )
            made.append(cell)
    return Table(cells=tuple(made))


def _is_header(block: Rows) -> bool:
    """Whether the first row names the columns: texts without a number, above further rows."""
    return len(block) > 1 and not any(_NUMBER.fullmatch(text) for text in block[0][1].values())


def _bands(rows: Iterable[Row], spans: Spans) -> Iterator[Rows]:
    """Part the rows where one is empty; a merged cell holds the rows it covers together."""
    band: Rows = []
    reach = 0
    for row, cells in rows:
        if band and row > reach + 1:
            yield band
            band = []
        band.append((row, cells))
        reach = max(row, *(row + spans.get((row, column), (1, 1))[0] - 1 for column in cells))
    if band:
        yield band


def _side_by_side(band: Rows, spans: Spans) -> list[Rows]:
    """Cut a band at the empty columns that part tables; it is whole where they are only space inside of one."""
    starts = _starts(band, spans)
    if len(starts) == 1:
        return [band]
    strips = _strips(band, starts)
    inner = (start for start, left, right in zip(starts[1:], strips, strips[1:], strict=False) if _apart(left, right))
    return _strips(band, [starts[0], *inner])


def _starts(band: Rows, spans: Spans) -> list[int]:
    """Return the columns before which one is empty, the first of all included; a merged cell fills what it covers."""
    filled = {(column, column + spans.get((row, column), (1, 1))[1]) for row, cells in band for column in cells}
    starts: list[int] = []
    reach = -1
    for column, end in sorted(filled):
        if column > reach:
            starts.append(column)
        reach = max(reach, end)
    return starts


def _strips(band: Rows, starts: list[int]) -> list[Rows]:
    """Cut the rows before these columns; each strip has the rows in which it holds text."""
    strips: list[Rows] = [[] for _ in starts]
    for row, cells in band:
        for column, text in cells.items():
            strip = strips[bisect_right(starts, column) - 1]
            if not strip or strip[-1][0] != row:
                strip.append((row, {}))
            strip[-1][1][column] = text
    return strips


def _apart(left: Rows, right: Rows) -> bool:
    """Whether strips are tables of their own: both of columns, the right one with labels first.

    The right one may hold further columns of the left one's rows: those begin level with them, have no row more and, a
    wider gap between, no row less.
    """
    columns = [sorted({column for _, cells in strip for column in cells}) for strip in (left, right)]
    labels = (text for _, cells in right if (text := cells.get(columns[1][0])))
    if min(map(len, columns)) == 1 or any(_NUMBER.fullmatch(text) for text in labels):
        return False
    if list(left[0][1].values()) == list(right[0][1].values()):
        return True
    own, others = ({row for row, _ in strip} for strip in (left, right))
    is_near = columns[1][0] - columns[0][-1] <= _NEAR
    return _level(left) != _level(right) or not (others <= own if is_near else others == own)


def _level(strip: Rows) -> int:
    """Return the row in which the columns of a strip begin; a title may stand alone above them."""
    return next((row for row, cells in strip if len(cells) > 1), strip[0][0])
