"""A drawn grid and the words in it become a table, unless it is a drawing that is no table."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FEWEST, FoundTable
from nemo_retriever_dagster.extract.tables.headers import mark_headers
from nemo_retriever_dagster.extract.tables.lines import cell_text, text_lines
from nemo_retriever_dagster.extract.tables.refine import split_rows, split_wide
from nemo_retriever_dagster.extract.tables.ruled import MAX_FIELDS, Field, coordinates, fields, frames, strokes, walls
from nemo_retriever_dagster.extract.tables.tokens import is_value
from nemo_retriever_dagster.model import Box, Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs, Ruling
    from nemo_retriever_dagster.extract.tables.ruled import Frame

    Filled = list[tuple[Field, list[Glyphs]]]

LEAST_FILLED = 0.2  # share of a grid's fields that have text: a chart's grid has fewer
COARSE, COARSE_FIELDS = 0.3, 3  # share and number of fields with several columns' words that make a grid too coarse


def grid_tables(words: Sequence[Glyphs], rulings: Iterable[Ruling], height: float) -> list[FoundTable]:
    """Return the tables whose cells are drawn. ``height`` is the usual height of a word."""
    slack = 0.3 * height
    rulings = [ruling for ruling in rulings if max(ruling.box.width, ruling.box.height) > 0.5 * height]
    across = strokes(rulings, horizontal=True, slack=slack)
    upright = strokes(rulings, horizontal=False, slack=slack)
    found = (_grid_table(frame, words, height) for frame in frames(across, upright, slack))
    return [table for table in found if table is not None]


def _grid_table(frame: Frame, words: Sequence[Glyphs], height: float) -> FoundTable | None:
    box, slack = frame.box, 0.3 * height
    x = coordinates(frame.upright, box.x0, box.x1, slack)
    y = coordinates(frame.across, box.y0, box.y1, slack)
    if len(x) < FEWEST or len(y) <= FEWEST or len(x) * len(y) > MAX_FIELDS:
        return None
    drawn = fields(walls(frame.across, y, x, slack), walls(frame.upright, x, y, slack))
    filled = split_wide(fill(drawn, words, x, y), x, 0.25 * height, height)
    filled = split_rows(filled, height)
    filled = without_slivers(filled, x, height)
    if not is_table(filled) or _too_coarse(filled, height) or (len(x) == FEWEST and _has_neighbours(box, words)):
        return None
    cells = tuple(
        Cell(
            row=field.row,
            column=field.column,
            text=cell_text(inside),
            row_span=field.row_end - field.row,
            column_span=field.column_end - field.column,
        )
        for field, inside in filled
    )
    return FoundTable(box=box, table=mark_headers(Table(cells=cells)), ruled=True, confidence=0.95)


def fill(drawn: Sequence[Field], words: Iterable[Glyphs], x: Sequence[float], y: Sequence[float]) -> Filled:
    """Give every word to the field that holds its middle."""
    at = {
        (r, c): i for i, f in enumerate(drawn) for r in range(f.row, f.row_end) for c in range(f.column, f.column_end)
    }
    inside: list[list[Glyphs]] = [[] for _ in drawn]
    for word in words:
        column = bisect_right(x, (word.box.x0 + word.box.x1) / 2) - 1
        row = bisect_right(y, (word.box.y0 + word.box.y1) / 2) - 1
        if (index := at.get((row, column))) is not None:
            inside[index].append(word)
    return list(zip(drawn, inside, strict=True))


def _too_coarse(filled: Filled, height: float) -> bool:
    """Tell whether the drawn columns are not the table's: many fields hold an amount far from the word before."""
    lines = [text_lines(inside) for field, inside in filled if inside and field.column_end - field.column == 1]
    apart = sum(any(_far(a, b, height) for line in cell for a, b in pairwise(line)) for cell in lines)
    return apart >= COARSE_FIELDS and apart > COARSE * len(lines)


def _far(left: Glyphs, right: Glyphs, height: float) -> bool:
    return right.box.x0 - left.box.x1 > height and is_value(right.text)


def _has_neighbours(box: Box, words: Iterable[Glyphs]) -> bool:
    """Tell whether text stands beside the box, on its lines: it is a column of something wider."""
    beside = [w for w in words if box.y0 < (w.box.y0 + w.box.y1) / 2 < box.y1 and not w.box.covered_by(box)]
    return len(beside) > 1


def without_slivers(filled: Filled, x: Sequence[float], height: float) -> Filled:
    """Drop the columns that are narrower than a line is high and have no word of their own: double lines."""
    peopled = {field.column for field, inside in filled if inside and field.column_end - field.column == 1}
    kept = [c for c in range(len(x) - 1) if c in peopled or x[c + 1] - x[c] >= height]
    place = {c: sum(k < c for k in kept) for c in range(len(x))}
    moved = [
        (replace(field, column=place[field.column], column_end=place[field.column_end]), inside)
        for field, inside in filled
    ]
    return [(field, inside) for field, inside in moved if field.column < field.column_end]


def is_table(filled: Filled) -> bool:
    """Tell a table from a box around text, a form's frame, a chart's grid."""
    with_text = [field for field, inside in filled if inside]
    rows = {field.row for field in with_text}
    return len(with_text) > FEWEST and len(rows) >= FEWEST and len(with_text) >= LEAST_FILLED * len(filled)
