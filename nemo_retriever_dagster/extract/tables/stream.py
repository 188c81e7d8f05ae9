"""Tables without a drawn grid: runs of lines become columns and rows, and what reads as something else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import Scale, aligned, column_spans
from nemo_retriever_dagster.extract.tables.found import FoundTable
from nemo_retriever_dagster.extract.tables.lines import around, blank_width, text_lines
from nemo_retriever_dagster.extract.tables.regions import page_lines, prose, runs, without
from nemo_retriever_dagster.extract.tables.rows import header_count, merged_rows, rows_of, to_table
from nemo_retriever_dagster.extract.tables.tokens import has_leaders, is_mark, is_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.lines import Line
    from nemo_retriever_dagster.model import Table


def stream_tables(words: Sequence[Glyphs], height: float) -> list[FoundTable]:
    """Return the tables among ``words`` that stand in columns without lines around them."""
    scale = Scale(height=height, blank=blank_width(text_lines(words), height))
    lines = page_lines(words, scale)
    lines = without(lines, prose(lines, scale))
    found = (_stream_table(run, scale) for run in runs(lines, scale))
    return [table for table in found if table is not None]


def _stream_table(run: Sequence[Line], scale: Scale) -> FoundTable | None:
    columns = column_spans(run, scale)
    if len(columns) < 2:
        return None
    lines = aligned(run, columns, scale)
    rows = merged_rows(rows_of(lines, columns), [], scale.height)
    table = to_table(rows, header_count(rows))
    if not acceptable(table, run):
        return None
    return FoundTable(box=around(line.box for line in run), table=table, ruled=False, confidence=0.7)


def acceptable(table: Table, run: Sequence[Line]) -> bool:
    """Tell a table from lists, contents, stray columns of text."""
    height, width = table.shape
    if height < 2 or width < 2:
        return False
    texts = [cell for cell in table.cells if cell.text]
    body = [cell for cell in texts if cell.column and cell.row]
    if any(has_leaders(cell.text) for cell in texts) or (width == 2 and bullets(run)):
        return False
    fill = sum(cell.column_span for cell in texts) / (height * width)
    if fill < 0.4 or not body:
        return False
    values = sum(is_value(cell.text) for cell in body) / len(body)
    words = sum(len(cell.text.split()) for cell in body) / len(body)
    if values >= 0.4:
        return len(body) >= 2
    return height >= 3 and words < (8 if width > 2 else 6)


def bullets(lines: Sequence[Line]) -> bool:
    """Tell whether the first segments are a list's marks."""
    firsts = [line.segments[0] for line in lines if len(line.segments) > 1]
    return sum(is_mark(segment.words[0].text) and len(segment.words) == 1 for segment in firsts) >= 0.5 * len(firsts)
