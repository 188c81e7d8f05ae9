"""Header rows: which rows head a table, and the columns that a heading stands over."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.lines import around
from nemo_retriever_dagster.extract.tables.tokens import is_value, is_year
from nemo_retriever_dagster.model import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Span
    from nemo_retriever_dagster.extract.tables.rows import Place, Row
    from nemo_retriever_dagster.extract.tables.ruled import Stroke
    from nemo_retriever_dagster.model import Box

MOST_HEADER_ROWS = 5
UNDERLINED = 0.6  # share of a column's width that the line under its heading must cover


def mark_headers(table: Table) -> Table:
    """Return a drawn table with its header rows marked: those above the first amounts, else the first row alone."""
    height, _ = table.shape
    amounts = [cell.row for cell in table.cells if cell.column and is_value(cell.text) and not is_year(cell.text)]
    heads = min(amounts, default=1)
    if heads > MOST_HEADER_ROWS:
        heads = 1
    reach = max((cell.row + cell.row_span for cell in table.cells if cell.row < heads), default=0)
    if height < FEWEST or reach > MOST_HEADER_ROWS or reach >= height:
        return table
    return Table(cells=tuple(replace(cell, header=cell.row < reach) for cell in table.cells))


def spread(heads: Sequence[Row], columns: Sequence[Span], across: Iterable[Stroke], height: float) -> None:
    """Stretch the headings over all columns that a line under them covers, or that they are set in the middle of."""
    strokes = list(across)
    for row, below in pairwise(heads):
        groups = _even_groups(row, below, height)
        for place in sorted(row.cells):
            box = around(word.box for word in row.cells[place])
            lines = [
                s
                for s in strokes
                if row.y1 - 0.4 * height <= s.at <= below.y0 + 0.4 * height and s.start < box.x1 and s.end > box.x0
            ]
            if lines:
                wider = _underlined(lines, columns)
            else:
                wider = groups.get(place) or _centred(place, (box.x0, box.x1), row, columns, height)
            if wider is not None and _free(wider, place, row):
                words = row.cells.pop(place)
                row.cells[min(place[0], wider[0]), max(place[1], wider[1])] = words


def _even_groups(row: Row, below: Row, height: float) -> dict[Place, Place]:
    """Return the columns each heading stands over where every one has as many headings below, and is over none of them.

    Columns set to the left or right have their text far from the middle of the heading that spans them.
    """
    headings, lower = ([place for place in sorted(part.cells) if place[0]] for part in (row, below))
    each, rest = divmod(len(lower), max(1, len(headings)))
    if len(headings) < FEWEST or each < FEWEST or rest or any(b - a > 1 for a, b in lower):
        return {}
    groups = {place: lower[i * each : (i + 1) * each] for i, place in enumerate(headings)}
    if not all(_between(row.cells[place], [below.cells[p] for p in group], height) for place, group in groups.items()):
        return {}
    return {place: (group[0][0], group[-1][1]) for place, group in groups.items()}


def _between(heading: Iterable[Glyphs], below: Sequence[Iterable[Glyphs]], height: float) -> bool:
    """Tell whether a heading's middle is between the first and the last below it, and it is set as none of the two."""
    own = around(word.box for word in heading)
    first, last = (around(word.box for word in words) for words in (below[0], below[-1]))
    inside = (first.x0 + first.x1) / 2 < (own.x0 + own.x1) / 2 < (last.x0 + last.x1) / 2
    return inside and all(_set_apart(own, other, height) for other in (first, last))


def _set_apart(one: Box, other: Box, height: float) -> bool:
    """Tell whether two boxes agree neither in their left nor in their right edges nor in their middles."""
    edges = (one.x0 - other.x0, one.x1 - other.x1, (one.x0 + one.x1 - other.x0 - other.x1) / 2)
    return all(abs(edge) > 0.4 * height for edge in edges)


def _underlined(lines: Sequence[Stroke], columns: Sequence[Span]) -> Place | None:
    start, end = min(line.start for line in lines), max(line.end for line in lines)
    over = [i for i, (a, b) in enumerate(columns) if min(b, end) - max(a, start) >= UNDERLINED * (b - a)]
    return (over[0], over[-1] + 1) if over and len(over) < len(columns) else None


def _centred(place: Place, text: Span, row: Row, columns: Sequence[Span], height: float) -> Place | None:
    """Return the free columns around ``place`` whose middle is the text's, where its own columns' is not."""
    middle = sum(text) / 2

    def off(first: int, end: int) -> float:
        return abs((columns[first][0] + columns[end - 1][1]) / 2 - middle)

    choices = [
        (first, end)
        for first in range(1, place[0] + 1)
        for end in range(place[1], len(columns) + 1)
        if _free((first, end), place, row)
    ]
    best = min(choices, key=lambda choice: off(*choice), default=place)
    return best if off(*best) < 0.5 * height and off(*place) > height else None


def _free(wider: Place, own: Place, row: Row) -> bool:
    others = [place for place in row.cells if place != own]
    return all(b <= wider[0] or wider[1] <= a for a, b in others)
