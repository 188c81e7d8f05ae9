"""Find the tables of a page."""
from __future__ import annotations
from typing import TYPE_CHECKING
from nemo_retriever_dagster.extract.tables.found import FoundTable, line_height
from nemo_retriever_dagster.extract.tables.grid import grid_tables
if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.geometry import PageGeometry

def may_have_tables(geometry: PageGeometry) -> bool:
    return bool(geometry.words)

def find_tables(geometry: PageGeometry) -> list[FoundTable]:
    words = geometry.words
    h = line_height(words)
    if not h: return []
    return sorted(grid_tables(words, geometry.rulings, h), key=lambda t: (t.box.y0, t.box.x0))
