"""All tables of a page: drawn grids first, then columns of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FoundTable, line_height
from nemo_retriever_dagster.extract.tables.grid import grid_tables
from nemo_retriever_dagster.extract.tables.stream import stream_tables

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.geometry import PageGeometry


def may_have_tables(geometry: PageGeometry) -> bool:
    """Tell cheaply whether `find_tables` could find anything; True is no promise."""
    return bool(geometry.words)


def find_tables(geometry: PageGeometry) -> list[FoundTable]:
    """Return the page's tables from top to bottom; no two overlap. The words decide the unit of every tolerance."""
    height = line_height(geometry.words)
    if not height:
        return []
    found = grid_tables(geometry, height)
    found += stream_tables(geometry, found, height)
    return sorted(found, key=lambda table: (table.box.y0, table.box.x0))
