"""Two tables side by side share their lines: what tells them apart is that one is written after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import at_common_blanks, column_spans
from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.lines import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Scale
    from nemo_retriever_dagster.extract.tables.lines import Line

    Places = Mapping[tuple[float, float], int]


def written_places(words: Iterable[Glyphs]) -> Places:
    """Return the place of each word in the order they were written, by the right and lower edge of its box."""
    return {(word.box.x1, word.box.y1): i for i, word in enumerate(words)}


def side_by_side(run: Sequence[Line], places: Places, scale: Scale) -> list[Sequence[Line]]:
    """Part a run between two columns where all words left of it were written before, or after, all words right of it.

    Both sides have at least two columns: a table may be written column by column.
    """
    columns = column_spans(at_common_blanks(run, scale), scale)
    for i in range(FEWEST, len(columns) - FEWEST + 1):
        edge = (columns[i - 1][1] + columns[i][0]) / 2
        sides = [_within(run, edge, left=left) for left in (True, False)]
        written = [_places(side, places) for side in sides]
        if all(written) and (max(written[0]) < min(written[1]) or max(written[1]) < min(written[0])):
            left, right = sides
            return [left, *side_by_side(right, places, scale)] if _by_rows(left, places) else [run]
    return [run]


def _within(run: Sequence[Line], edge: float, *, left: bool) -> list[Line]:
    kept = ([s for s in line.segments if (s.box.x0 + s.box.x1 < 2 * edge) is left] for line in run)
    return [line_of(segments) for segments in kept if segments]


def _places(run: Sequence[Line], places: Places) -> list[int]:
    words = (word for line in run for word in line.words())
    return [places[key] for word in words if (key := (word.box.x1, word.box.y1)) in places]


def _by_rows(run: Sequence[Line], places: Places) -> bool:
    """Tell whether a side was written line by line: otherwise the whole may be one table, written by columns."""
    lines = [line for line in (_places([line], places) for line in run) if line]
    return all(max(above) < min(below) for above, below in pairwise(lines))
