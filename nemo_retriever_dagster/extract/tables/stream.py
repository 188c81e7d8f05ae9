"""Tables without a drawn grid: runs of lines become columns and rows, and what reads as something else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.accept import acceptable, beside_each_other, in_pictures
from nemo_retriever_dagster.extract.tables.beside import side_by_side, written_places
from nemo_retriever_dagster.extract.tables.columns import Scale, aligned, at_common_blanks, column_spans
from nemo_retriever_dagster.extract.tables.contents import is_contents, leaders_of
from nemo_retriever_dagster.extract.tables.found import FEWEST, FoundTable
from nemo_retriever_dagster.extract.tables.headers import spread
from nemo_retriever_dagster.extract.tables.keyed import keyed_runs
from nemo_retriever_dagster.extract.tables.lines import around, blank_width, mostly_in, text_lines
from nemo_retriever_dagster.extract.tables.listings import is_listing, typed_share
from nemo_retriever_dagster.extract.tables.regions import page_lines, prose, runs, without
from nemo_retriever_dagster.extract.tables.rows import header_count, merged_rows, rows_of, to_table
from nemo_retriever_dagster.extract.tables.ruled import strokes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs, PageGeometry
    from nemo_retriever_dagster.extract.tables.lines import Line, Segment
    from nemo_retriever_dagster.extract.tables.ruled import Stroke
    from nemo_retriever_dagster.model import Box, Table


def stream_tables(
    words: Sequence[Glyphs], geometry: PageGeometry, grids: Sequence[FoundTable], height: float
) -> list[FoundTable]:
    """Return the tables that stand in columns without a grid around them, outside of the ``grids`` already found."""
    rows = text_lines([w for w in words if not any(mostly_in(w.box, table.box) for table in grids)] if grids else words)
    scale = Scale(height=height, blank=blank_width(rows, height))
    lines = page_lines(rows, scale)
    paragraphs = prose(lines, scale)
    barriers = [segment.box for segment in paragraphs] + [table.box for table in grids]
    across = strokes(geometry.rulings, horizontal=True, slack=0.3 * height)
    found = _keyed_tables(lines, paragraphs, scale)
    barriers += [table.box for table in found]
    taken = [
        segment
        for line in lines
        for segment in line.segments
        if any(mostly_in(segment.box, table.box) for table in found)
    ]
    places, share, leaders = written_places(words), typed_share(words), leaders_of(words)
    whole = runs(without(lines, [*paragraphs, *taken]), barriers, scale)
    for run in (part for lines_of_all in whole for part in side_by_side(lines_of_all, places, scale)):
        box = around(line.box for line in run)
        cuts = cuts_of(box, across, geometry.fills)
        table = _stream_table(run, across, cuts, scale)
        if table is None or not acceptable(table, run) or in_pictures(run, geometry):
            continue
        if is_listing(run, table, share, len(cuts)) or is_contents(table, run, leaders):
            continue
        if any(box.y0 - height < cut < box.y1 + height for cut in cuts) or not beside_each_other(table, run):
            found.append(FoundTable(box=box, table=table, ruled=False, confidence=0.7))
    return found


def _keyed_tables(lines: Sequence[Line], paragraphs: Sequence[Segment], scale: Scale) -> list[FoundTable]:
    found = []
    for run, columns in keyed_runs(lines, paragraphs, scale):
        rows = []
        for block in run:
            first, *others = rows_of(block, columns)
            for other in others:
                first.take(other)
            rows.append(first)
        box = around(line.box for block in run for line in block)
        found.append(FoundTable(box=box, table=to_table(rows, 0), ruled=False, confidence=0.6))
    return found


def cuts_of(box: Box, across: Iterable[Stroke], fills: Iterable[Box]) -> list[float]:
    """Return the heights at which a line or the edge of a shade goes through most of the width of ``box``."""
    enough = 0.6 * box.width
    cuts = [line.at for line in across if min(line.end, box.x1) - max(line.start, box.x0) >= enough]
    shades = [fill for fill in fills if fill.height < box.height and fill.intersect(box).width >= enough]
    return sorted([*cuts, *(edge for fill in shades for edge in (fill.y0, fill.y1))])


def _stream_table(run: Sequence[Line], across: Iterable[Stroke], cuts: Sequence[float], scale: Scale) -> Table | None:
    run = at_common_blanks(run, scale)
    columns = column_spans(run, scale)
    if len(columns) < FEWEST:
        return None
    rows = rows_of(aligned(run, columns, scale), columns)
    spread(rows[: header_count(rows)], columns, across, scale.height)
    rows = merged_rows(rows, cuts, scale.height)
    return to_table(rows, header_count(rows))
