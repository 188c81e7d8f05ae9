"""Tables without a drawn grid: runs of lines become columns and rows, and what reads as something else is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import Scale, aligned, column_spans
from nemo_retriever_dagster.extract.tables.found import FoundTable
from nemo_retriever_dagster.extract.tables.headers import spread
from nemo_retriever_dagster.extract.tables.keyed import keyed_runs
from nemo_retriever_dagster.extract.tables.lines import around, blank_width, text_lines
from nemo_retriever_dagster.extract.tables.regions import page_lines, prose, runs, without
from nemo_retriever_dagster.extract.tables.rows import header_count, merged_rows, rows_of, to_table
from nemo_retriever_dagster.extract.tables.ruled import strokes
from nemo_retriever_dagster.extract.tables.tokens import is_mark, is_page, is_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import PageGeometry
    from nemo_retriever_dagster.extract.tables.lines import Line, Segment
    from nemo_retriever_dagster.extract.tables.ruled import Stroke
    from nemo_retriever_dagster.model import Box, Cell, Table


def stream_tables(geometry: PageGeometry, grids: Sequence[FoundTable], height: float) -> list[FoundTable]:
    """Return the tables that stand in columns without a grid around them, outside of the ``grids`` already found."""
    words = [w for w in geometry.words if not any(w.box.covered_by(table.box) > 0.5 for table in grids)]
    scale = Scale(height=height, blank=blank_width(text_lines(words), height))
    lines = page_lines(words, scale)
    paragraphs = prose(lines, scale)
    barriers = [segment.box for segment in paragraphs] + [table.box for table in grids]
    across = strokes(geometry.rulings, horizontal=True, slack=0.3 * height)
    found = _keyed_tables(lines, paragraphs, scale)
    barriers += [table.box for table in found]
    taken = [segment for line in lines for segment in line.segments if any(segment.box.covered_by(t.box) > 0.5 for t in found)]
    for run in runs(without(lines, [*paragraphs, *taken]), barriers, scale):
        box = around(line.box for line in run)
        table = _stream_table(run, across, cuts_of(box, across, geometry.fills), scale)
        if table is not None and acceptable(table, run) and not in_pictures(run, geometry):
            found.append(FoundTable(box=box, table=table, ruled=False, confidence=0.7))
    return found


def _keyed_tables(lines: Sequence[Line], paragraphs: Sequence[Segment], scale: Scale) -> list[FoundTable]:
    found = []
    for run in keyed_runs(lines, paragraphs, scale):
        flat = [line for block in run for line in block]
        columns = column_spans(flat, scale)
        if len(columns) < 2:
            continue
        rows = []
        for block in run:
            first, *others = rows_of(aligned(block, columns, scale), columns)
            for other in others:
                first.take(other)
            rows.append(first)
        box = around(line.box for line in flat)
        found.append(FoundTable(box=box, table=to_table(rows, 0), ruled=False, confidence=0.6))
    return found


def cuts_of(box: Box, across: Iterable[Stroke], fills: Iterable[Box]) -> list[float]:
    """Return the heights at which a line or the edge of a shade goes through most of the width of ``box``."""
    enough = 0.6 * box.width
    cuts = [line.at for line in across if min(line.end, box.x1) - max(line.start, box.x0) >= enough]
    shades = [fill for fill in fills if fill.height < box.height and fill.intersect(box).width >= enough]
    return sorted([*cuts, *(edge for fill in shades for edge in (fill.y0, fill.y1))])


def _stream_table(
    run: Sequence[Line], across: Iterable[Stroke], cuts: Sequence[float], scale: Scale
) -> Table | None:
    columns = column_spans(run, scale)
    if len(columns) < 2:
        return None
    rows = rows_of(aligned(run, columns, scale), columns)
    spread(rows[: header_count(rows)], columns, across, scale.height)
    rows = merged_rows(rows, cuts, scale.height)
    return to_table(rows, header_count(rows))


def acceptable(table: Table, run: Sequence[Line]) -> bool:
    """Tell a table from lists, contents, formulas, stray columns of text."""
    height, width = table.shape
    texts = [cell for cell in table.cells if cell.text]
    body = [cell.text for cell in texts if cell.column and cell.row]
    if height < 2 or width < 2 or not body:
        return False
    if _contents(table) or (width == 2 and bullets(run)) or _listed(texts):
        return False
    fill = sum(cell.column_span for cell in texts) / (height * width)
    weak = sum(len(cell.text) < 3 and not is_value(cell.text) for cell in texts)
    if fill < 0.4 or weak > 0.4 * len(texts):
        return False
    values = sum(map(is_value, body)) / len(body)
    if values >= 0.4:
        return len(body) >= 2
    words = sum(len(text.split()) for text in body) / len(body)
    small = sum(text[0].islower() for text in body) / len(body)
    return height >= 3 and words < (8 if width > 2 else 6) and small < 0.4


def _contents(table: Table) -> bool:
    """Tell a table of contents: the last column counts pages upwards."""
    height, width = table.shape
    pages = [int(row[-1]) for row in table.rows() if is_page(row[-1])]
    rising = sum(a <= b for a, b in pairwise(pages))
    return width < 5 and len(pages) > 2 and 2 * len(pages) >= height and rising >= 0.9 * (len(pages) - 1)


def _listed(texts: Sequence[Cell]) -> bool:
    """Tell whether most cells start with a bullet: a list set in columns."""
    return sum(is_mark(text.text.split()[0]) and not text.text[0].isalnum() for text in texts) > 0.5 * len(texts)


def in_pictures(run: Sequence[Line], geometry: PageGeometry) -> bool:
    """Tell whether most words stand in pictures, or in three or more drawn shapes: they are labels of a figure."""
    page = geometry.size[0] * geometry.size[1]
    box = around(line.box for line in run)
    shapes = [shape for shape in geometry.drawings if shape.intersect(box).area and shape.area < 0.5 * page]
    areas = [*(p for p in geometry.pictures if p.area < 0.8 * page), *(shapes if len(shapes) > 2 else [])]
    words = [word.box for line in run for word in line.words()]
    return sum(any(word.covered_by(area) > 0.5 for area in areas) for word in words) > 0.5 * len(words)


def bullets(lines: Sequence[Line]) -> bool:
    """Tell whether the first segments are a list's marks."""
    firsts = [line.segments[0] for line in lines if len(line.segments) > 1]
    return sum(is_mark(segment.words[0].text) and len(segment.words) == 1 for segment in firsts) >= 0.5 * len(firsts)
