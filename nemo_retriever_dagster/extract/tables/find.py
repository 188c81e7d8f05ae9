"""Find the tables of a page."""
from __future__ import annotations
from typing import TYPE_CHECKING
from nemo_retriever_dagster.extract.tables.found import FoundTable, line_height
from nemo_retriever_dagster.extract.tables.grid import grid_tables
from nemo_retriever_dagster.extract.tables.lines import around, blank_width, text_lines
from nemo_retriever_dagster.extract.tables.regions import page_lines, prose, without, runs, bullets
from nemo_retriever_dagster.extract.tables.stream import table_rows, to_table
from nemo_retriever_dagster.extract.tables.tokens import has_leaders, is_value
if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.geometry import PageGeometry

def may_have_tables(geometry: PageGeometry) -> bool:
    return bool(geometry.words)

def find_tables(geometry: PageGeometry) -> list[FoundTable]:
    words = geometry.words
    h = line_height(words)
    if not h: return []
    found = grid_tables(words, geometry.rulings, h)
    rest = [w for w in words if not any(w.box.covered_by(f.box) > 0.5 for f in found)]
    found += stream_tables(rest, h)
    return sorted(found, key=lambda t: (t.box.y0, t.box.x0))

def stream_tables(words, h):
    blank = blank_width(text_lines(words), h)
    lines = page_lines(words, blank, h)
    lines = without(lines, prose(lines, blank, h))
    out = []
    for run in runs(lines, blank, h):
        rows = table_rows(run, 1.5 * blank, [], h)
        table = to_table(rows)
        if acceptable(table, run):
            out.append(FoundTable(box=around(l.box for l in run), table=table, ruled=False, confidence=0.7))
    return out

def acceptable(table, run):
    R, C = table.shape
    if R < 2 or C < 2: return False
    texts = [c for c in table.cells if c.text]
    body = [c for c in texts if c.column and c.row]
    if any(has_leaders(c.text) for c in texts): return False
    if C == 2 and bullets(run): return False
    fill = sum(c.column_span for c in texts) / (R * C)
    vals = sum(is_value(c.text) for c in body) / max(1, len(body))
    words = sum(len(c.text.split()) for c in body) / max(1, len(body))
    if fill < 0.4: return False
    if vals >= 0.4: return R >= 2 and len(body) >= 2
    if C >= 3: return R >= 3 and words < 8
    return R >= 3 and words < 6
