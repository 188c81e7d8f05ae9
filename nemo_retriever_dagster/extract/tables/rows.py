"""Rows of a table that no lines part: one a line of text, lines that go on joined, headings over their columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.lines import cell_text
from nemo_retriever_dagster.extract.tables.tokens import is_value, is_year
from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Span
    from nemo_retriever_dagster.extract.tables.lines import Line

    Place = tuple[int, int]

MOST_HEADS = 7  # lines that a header may have
_COUNTED = 0.25  # of the rows have amounts where these tell the header: fewer are codes that look like amounts
_GO_ON = ("and", "or", "of", "the", "for", "in", "to", "by", "from", "with", "on", "at", "&", ",", "-", "/", "(")


@dataclass(slots=True, kw_only=True)
class Row:
    """A row in the making: the words of each cell by the columns it covers (first, one past the last)."""

    y0: float
    y1: float
    cells: dict[Place, list[Glyphs]] = field(default_factory=dict)

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
        """Count the amounts right of the first column; years do not count."""
        texts = (cell_text(words) for (a, _), words in self.cells.items() if a)
        return sum(is_value(text) and not is_year(text) for text in texts)

    def add(self, place: Place, words: Iterable[Glyphs]) -> None:
        """Add words at a place, together with the cells that it overlaps."""
        taken = list(words)
        for old in [old for old in self.cells if old[0] < place[1] and place[0] < old[1]]:
            taken = self.cells.pop(old) + taken
            place = min(old[0], place[0]), max(old[1], place[1])
        self.cells[place] = taken

    def take(self, other: Row) -> None:
        """Add the cells of a row below."""
        self.y1 = max(self.y1, other.y1)
        for place, words in other.cells.items():
            self.add(place, words)


def rows_of(lines: Iterable[Line], columns: Sequence[Span]) -> list[Row]:
    """Return one row a line, each segment over the columns it touches (the nearest one where it touches none)."""
    rows = []
    for line in lines:
        row = Row(y0=line.box.y0, y1=line.box.y1)
        for segment in line.segments:
            row.add(place_of(segment.box.x0, segment.box.x1, columns), segment.words)
        rows.append(row)
    return rows


def place_of(x0: float, x1: float, columns: Sequence[Span]) -> Place:
    """Return the columns that the extent touches with a tenth of its or their width."""
    touched = [i for i, (a, b) in enumerate(columns) if min(x1, b) - max(x0, a) > 0.1 * min(b - a, x1 - x0)]
    if touched:
        return touched[0], touched[-1] + 1
    middle = (x0 + x1) / 2
    nearest = min(range(len(columns)), key=lambda i: max(columns[i][0] - middle, middle - columns[i][1]))
    return nearest, nearest + 1


def header_count(rows: Sequence[Row]) -> int:
    """Return how many of the first rows are the header: those above the first amounts that head a column.

    Where hardly a row has amounts the first row is the header; a row with a label alone belongs to what follows.
    """
    counted = [i for i, row in enumerate(rows) if row.values()]
    if len(counted) < _COUNTED * len(rows):
        return 1 if len(rows) > 1 else 0
    first = counted[0]
    while first and not rows[first - 1].filled() - {0}:
        first -= 1
    return first if first <= MOST_HEADS else 0


def merged_rows(rows: Sequence[Row], cuts: Sequence[float], height: float) -> list[Row]:
    """Join the lines of a row. ``cuts`` are the heights of drawn lines or shades' edges, which part rows.

    Lines that stand in each other's way, in other columns, are one row too: a label of two lines beside its amounts.
    """
    if len(rows) < FEWEST:
        return list(rows)
    blanks = [below.y0 - above.y1 for above, below in pairwise(rows)]
    heads, gap, usual = header_count(rows), row_gap(blanks, height), median(blanks)
    cut = [_cut(above, below, cuts, height) for above, below in pairwise(rows)]
    parted = sum(cut) >= 0.5 * len(cut)
    merged = [rows[0]]
    for i, (before, row) in enumerate(pairwise(rows), start=1):
        above, blank = merged[-1], blanks[i - 1]
        if cut[i - 1] or i == heads:
            joins = False
        elif i < heads:
            joins = _one_heading(above, row, blank, gap, height)
        elif blank < min(usual, 0.0) - 0.3 * height and not row.filled() & before.filled():
            joins = True
        else:
            joins = _goes_on(above, row, blank, gap) or (parted and not (above.values() and row.values()))
        if joins:
            above.take(row)
        else:
            merged.append(row)
    return merged


def _cut(above: Row, below: Row, cuts: Sequence[float], height: float) -> bool:
    return any(above.y1 - 0.3 * height <= cut <= below.y0 + 0.3 * height for cut in cuts)


def row_gap(blanks: Iterable[float], height: float) -> float:
    """Return how high a blank between lines starts a new row, by all ``blanks``; 0 where lines are evenly set.

    There are two kinds of blanks when the widest step between neighbours in size is clear and both sides are common.
    """
    gaps = sorted(blanks)
    if len(gaps) <= FEWEST:
        return 0.0
    step, i = max((large - small, i) for i, (small, large) in enumerate(pairwise(gaps), start=1))
    common = min(i, len(gaps) - i) >= max(1, 0.2 * len(gaps))
    clear = step > 0.25 * height and gaps[0] < 0.6 * height and gaps[i] - gaps[i - 1] > 0.4 * (gaps[i - 1] - gaps[0])
    return (gaps[i] + gaps[i - 1]) / 2 if common and clear else 0.0


def _one_heading(above: Row, row: Row, blank: float, gap: float, height: float) -> bool:
    """Tell whether two lines of a header are one heading each: set close, and not several headings under one."""
    groups = any(sum(a <= first and end <= b for first, end in row.cells) > 1 for a, b in above.cells if b - a > 1)
    return not groups and blank <= (gap or 0.9 * height)


def _goes_on(above: Row, row: Row, blank: float, gap: float) -> bool:
    """Tell whether a line belongs to the row above."""
    if gap and blank > gap:
        return False
    if above.filled() == {0} and 0 in row.filled():
        return _label_goes_on(above.text(0), row.text(0))
    if row.values() or not row.filled() <= above.filled():
        return False
    starts = [cell_text(words)[:1] for words in row.cells.values()]
    small = all(start.islower() or start in "(&/" for start in starts)
    return (bool(gap) or small) and len(row.filled()) < len(above.filled())


def _label_goes_on(label: str, rest: str) -> bool:
    return not label.endswith(":") and (rest[:1].islower() or label.lower().endswith(_GO_ON))


def to_table(rows: Sequence[Row], heads: int) -> Table:
    """Return the rows as a table, the first ``heads`` of them header rows."""
    width = max((b for row in rows for _, b in row.cells), default=0)
    cells = []
    for i, row in enumerate(rows):
        taken = row.filled()
        for (a, b), words in row.cells.items():
            cells.append(Cell(row=i, column=a, text=cell_text(words), column_span=b - a, header=i < heads))
        cells += [Cell(row=i, column=c, text="", header=i < heads) for c in range(width) if c not in taken]
    return Table(cells=tuple(sorted(cells, key=lambda cell: (cell.row, cell.column))))
