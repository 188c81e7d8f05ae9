"""Grids drawn in part: fields over several columns or rows whose words stand in columns and rows of their own."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import Scale, table_line
from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.lines import cell_text, text_lines
from nemo_retriever_dagster.extract.tables.rows import Row, merged_rows, rows_of
from nemo_retriever_dagster.extract.tables.ruled import Field
from nemo_retriever_dagster.extract.tables.tokens import is_value, is_year, joined_amounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

    Filled = list[tuple[Field, list[Glyphs]]]


def split_wide(filled: Filled, x: Sequence[float], blank: float, height: float) -> Filled:
    """Part the fields over several columns of the grid whose words keep to those columns."""
    parted: Filled = []
    for field, words in filled:
        if field.column_end - field.column > 1 and len(words) > 1:
            parted += _by_column(field, words, x, blank, height)
        else:
            parted.append((field, words))
    return parted


def _by_column(field: Field, words: list[Glyphs], x: Sequence[float], blank: float, height: float) -> Filled:
    amounts = (joined_amounts(line, height) for line in text_lines(words))
    lines = [table_line(line, Scale(height=height, blank=blank)) for line in amounts if line]
    bands = [(x[i], x[i + 1]) for i in range(field.column, field.column_end)]
    rows = rows_of(lines, bands)
    places = {place for row in rows for place in row.cells}
    apart = all(a == b or a[1] <= b[0] or b[1] <= a[0] for a in places for b in places)
    if len(places) < FEWEST or not apart:
        return [(field, words)]
    parted: Filled = []
    column = 0
    for first, end in sorted(places):
        parted += [(_narrowed(field, c, c + 1), []) for c in range(column, first)]
        parted.append((_narrowed(field, first, end), [w for row in rows for w in row.cells.get((first, end), [])]))
        column = end
    return parted + [(_narrowed(field, c, c + 1), []) for c in range(column, len(bands))]


def _narrowed(field: Field, first: int, end: int) -> Field:
    return Field(row=field.row, row_end=field.row_end, column=field.column + first, column_end=field.column + end)


def split_rows(filled: Filled, height: float) -> Filled:
    """Part the rows of the grid that hold several lines of amounts, one below the other."""
    last = max((field.row_end for field, _ in filled), default=0)
    shift, parted = 0, dict[int, tuple[int, list[Row]]]()
    starts = {}
    for row in range(last):
        starts[row] = row + shift
        rows = _rows_within([(f, w) for f, w in filled if f.row == row and f.row_end == row + 1], height)
        if len(rows) > 1:
            parted[row] = (row + shift, rows)
            shift += len(rows) - 1
    if not parted:
        return filled
    starts[last] = last + shift
    moved: Filled = []
    for field, words in filled:
        within = parted.get(field.row) if field.row_end == field.row + 1 else None
        if within is None:
            moved.append((_moved(field, starts[field.row], starts[field.row_end]), words))
            continue
        first, rows = within
        place = field.column, field.column_end
        moved += [(_moved(field, first + i, first + i + 1), part.cells.get(place, [])) for i, part in enumerate(rows)]
    return sorted(moved, key=lambda item: (item[0].row, item[0].column))


def _moved(field: Field, first: int, end: int) -> Field:
    return Field(row=first, row_end=end, column=field.column, column_end=field.column_end)


def _rows_within(band: Filled, height: float) -> list[Row]:
    """Return the rows that one row of the grid holds, a single one where it is only set in several lines."""
    owner = {id(word): (field.column, field.column_end) for field, words in band for word in words}
    rows = []
    for line in text_lines([word for _, words in band for word in words]):
        row = Row(y0=min(w.box.y0 for w in line), y1=max(w.box.y1 for w in line))
        for place, group in groupby(line, key=lambda word: owner[id(word)]):
            row.cells.setdefault(place, []).extend(group)
        rows.append(row)
    if len(rows) < FEWEST:
        return rows
    rows = merged_rows(rows, [], height)
    columns = [sum(_amount(row, place) for row in rows) for place in {p for row in rows for p in row.cells}]
    enough = 1 if len(rows) > FEWEST else 2
    return rows if sum(count >= max(2, 0.6 * len(rows)) for count in columns) >= enough else rows[:1]


def _amount(row: Row, place: tuple[int, int]) -> bool:
    text = cell_text(row.cells.get(place, []))
    return is_value(text) and not is_year(text)
