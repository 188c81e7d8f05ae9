"""All tables of a page: drawn grids first, then columns of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FoundTable, line_height
from nemo_retriever_dagster.extract.tables.grid import grid_tables
from nemo_retriever_dagster.extract.tables.stream import stream_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs, PageGeometry

SMALLEST_GRID = 4  # rulings
HINTS = 3  # signs of columns that make a closer look worth its time
MOST_OVERLAP = 0.02  # of the smaller box


def may_have_tables(geometry: PageGeometry) -> bool:
    """Tell cheaply whether `find_tables` could find anything: one look at the words in their order.

    Lines that could make a grid, wide blanks within a line, or steps back up the page are signs of columns.
    """
    return len(geometry.rulings) >= SMALLEST_GRID or _hints(geometry.words)


def _hints(words: Sequence[Glyphs]) -> bool:
    hints = 0
    right = top = bottom = 0.0
    for word in words:
        x0, y0, x1, y1 = word.box
        beside = y0 < bottom and y1 > top
        if (beside and x0 - right > y1 - y0) or y1 < top:
            hints += 1
            if hints >= HINTS:
                return True
        right, top, bottom = x1, y0, y1
    return False


def find_tables(geometry: PageGeometry) -> list[FoundTable]:
    """Return the page's tables from top to bottom; no two overlap. The words decide the unit of every tolerance."""
    words = _visible(geometry.words)
    height = line_height(words)
    if not height:
        return []
    grids = _apart(grid_tables(words, geometry.rulings, height))
    found = _apart([*grids, *stream_tables(words, geometry, grids, height)])
    return sorted(found, key=lambda table: (table.box.y0, table.box.x0))


def _visible(words: Sequence[Glyphs]) -> Sequence[Glyphs]:
    """Return the words that are shown; all of them where the text layer of a scan is hidden behind its picture."""
    shown = [word for word in words if not word.hidden]
    return shown if 2 * len(shown) > len(words) else words


def _apart(found: Iterable[FoundTable]) -> list[FoundTable]:
    """Drop what overlaps a table that is drawn, or has more cells with text."""
    kept: list[FoundTable] = []
    for table in sorted(found, key=lambda t: (not t.ruled, -sum(bool(cell.text) for cell in t.table.cells))):
        if all(_overlap(table, other) <= MOST_OVERLAP for other in kept):
            kept.append(table)
    return kept


def _overlap(a: FoundTable, b: FoundTable) -> float:
    return max(a.box.covered_by(b.box), b.box.covered_by(a.box))
