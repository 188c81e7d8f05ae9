"""A region of lines becomes a table without a drawn grid: columns from blanks, rows from lines, spans from headings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import column_spans
from nemo_retriever_dagster.extract.tables.lines import cell_text
from nemo_retriever_dagster.extract.tables.tokens import is_value, is_year
from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Span
    from nemo_retriever_dagster.extract.tables.lines import Line
    from nemo_retriever_dagster.extract.tables.ruled import Stroke


@dataclass(slots=True, kw_only=True)
class Row:
    """A row in the making: the words of each cell by the columns it covers (first, one past the last)."""

    y0: float
    y1: float
    cells: dict[tuple[int, int], list[Glyphs]] = field(default_factory=dict)

    def text(self, column: int) -> str:
        """Return the text over a column, spanning or not."""
        return next((cell_text(words) for (a, b), words in self.cells.items() if a <= column < b), "")

    def filled(self) -> set[int]:
        """Return the columns that have text."""
        return {column for a, b in self.cells for column in range(a, b)}

    def spans(self) -> bool:
        """Tell whether a cell lies over several columns."""
        return any(b - a > 1 for a, b in self.cells)

    def values(self) -> int:
        """Count the amounts, right of the first column; years do not count."""
        texts = (cell_text(words) for (a, _), words in self.cells.items() if a)
        return sum(is_value(text) and not is_year(text) for text in texts)

    def take(self, other: Row) -> None:
        """Add the cells of a row below."""
        self.y1 = max(self.y1, other.y1)
        for place, words in other.cells.items():
            self.cells.setdefault(place, []).extend(words)


def rows_of(lines: Sequence[Line], columns: Sequence[Span]) -> list[Row]:
    """Return one row a line, each segment over the columns it touches (the nearest one where it touches none)."""
    rows = []
    for line in lines:
        row = Row(y0=line.box.y0, y1=line.box.y1)
        for segment in line.segments:
            place = _place(segment.box.x0, segment.box.x1, columns)
            clash = next((old for old in row.cells if old[0] < place[1] and place[0] < old[1]), None)
            if clash is None:
                row.cells[place] = list(segment.words)
            else:
                words = row.cells.pop(clash) + list(segment.words)
                row.cells[min(clash[0], place[0]), max(clash[1], place[1])] = words
        rows.append(row)
    return rows


def _place(x0: float, x1: float, columns: Sequence[Span]) -> tuple[int, int]:
    touched = [i for i, (a, b) in enumerate(columns) if min(x1, b) - max(x0, a) > 0.1 * min(b - a, x1 - x0)]
    if touched:
        return touched[0], touched[-1] + 1
    middle = (x0 + x1) / 2
    nearest = min(range(len(columns)), key=lambda i: max(columns[i][0] - middle, middle - columns[i][1]))
    return nearest, nearest + 1


def table_rows(lines: Sequence[Line], narrowest: float, cuts: Sequence[float], height: float) -> list[Row]:
    """Return the rows of a region. ``cuts`` are heights where a line or a shade's edge parts rows."""
    columns = column_spans(lines, narrowest)
    rows = rows_of(lines, columns)
    return merged_rows(rows, cuts, height)


def merged_rows(rows: list[Row], cuts: Sequence[float], height: float) -> list[Row]:
    """Join the lines that are one row."""
    if len(rows) < 2:
        return rows
    heads = header_count(rows)
    pitch = _row_gap([b.y0 - a.y1 for a, b in zip(rows, rows[1:], strict=False)], height)
    between = [any(a.y1 - 0.3 * height <= cut <= b.y0 + 0.3 * height for cut in cuts) for a, b in zip(rows, rows[1:], strict=False)]
    drawn = sum(between) >= 0.6 * max(1, len({*cuts}) and len(rows) - 1) or False
    merged = [rows[0]]
    last = 0
    for i in range(1, len(rows)):
        above, row = merged[-1], rows[i]
        gap = row.y0 - rows[i - 1].y1
        if between[i - 1]:
            joins = False
        elif i < heads:
            joins = not above.spans() and not row.spans() and gap < 0.9 * height
        elif i == heads and heads:
            joins = False
        else:
            joins = continues(above, row, gap, pitch)
        if joins:
            above.take(row)
        else:
            merged.append(row)
        last = i
    return merged


def _row_gap(gaps: Sequence[float], height: float) -> float:
    """Return the blank between lines above which a new row starts; 0 where lines are evenly set."""
    if len(gaps) < 2:
        return 0.0
    ordered = sorted(gaps)
    best, cut = 0.0, 0.0
    for small, large in zip(ordered, ordered[1:], strict=False):
        if large - small > best:
            best, cut = large - small, (large + small) / 2
    small = ordered[0]
    return cut if best > 0.25 * height and small < 0.6 * height else 0.0


def continues(above: Row, row: Row, gap: float, pitch: float) -> bool:
    """Tell whether a line goes on with the row above: it has text under text of that row only, and no amount."""
    if row.values() or (pitch and gap > pitch):
        return False
    if not row.filled() <= above.filled():
        return False
    if pitch:
        return len(row.cells) < len(above.cells) or len(above.filled()) > 1
    starts = [cell_text(words)[:1] for words in row.cells.values()]
    return len(row.cells) < len(above.filled()) and all(start.islower() or start in "(&/" for start in starts)


def header_count(rows: Sequence[Row]) -> int:
    """Return how many of the first lines are the header: those above the first line with amounts."""
    first = next((i for i, row in enumerate(rows) if row.values()), 0)
    return first if first <= 6 else 0


def to_table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    cells = [
        Cell(row=i, column=a, text=cell_text(words), column_span=b - a)
        for i, row in enumerate(rows)
        for (a, b), words in sorted(row.cells.items())
    ]
    width = max((cell.column + cell.column_span for cell in cells), default=0)
    taken = {(cell.row, c) for cell in cells for c in range(cell.column, cell.column + cell.column_span)}
    empty = [Cell(row=r, column=c, text="") for r in range(len(rows)) for c in range(width) if (r, c) not in taken]
    return Table(cells=tuple(sorted([*cells, *empty], key=lambda cell: (cell.row, cell.column))))
