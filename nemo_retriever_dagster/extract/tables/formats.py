"""A table as text: GitHub Markdown, HTML, and the two plain forms that the reference knows."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.contract import TableFormat
    from nemo_retriever_dagster.model import Cell, Table

_NEEDS_ESCAPE = re.compile(r"([\\|])")


def render(table: Table, table_format: TableFormat) -> str:
    """Return ``table`` as text, without a line end after the last line; "" for a table without cells.

    - ``markdown``: a header row, a row of dashes, the other rows. ``|`` and the backslash are escaped by a backslash,
      white space (line ends too) becomes one blank. A spanning cell's text stands once, its other places are empty.
    - ``html``: ``table``/``thead``/``tbody``, ``th`` for header cells, ``colspan`` and ``rowspan``, text escaped.
    - ``pseudo_markdown``: ``| a | b |`` lines without the row of dashes.
    - ``simple``: the cells' text, row by row, joined by blanks.
    """
    match table_format:
        case "markdown":
            return _markdown(table)
        case "html":
            return _html(table)
        case "pseudo_markdown":
            return "\n".join(_pipe_row(row) for row in table.rows())
        case "simple":
            return " ".join(text for cell in table.cells if (text := _flat(cell.text)))
        case _:
            assert_never(table_format)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _pipe_row(row: Sequence[str]) -> str:
    return "| " + " | ".join(_NEEDS_ESCAPE.sub(r"\\\1", _flat(text)) for text in row) + " |"


def _markdown(table: Table) -> str:
    rows = table.rows()
    if not rows:
        return ""
    dashes = "| " + " | ".join("---" for _ in rows[0]) + " |"
    return "\n".join([_pipe_row(rows[0]), dashes, *map(_pipe_row, rows[1:])])


def _html(table: Table) -> str:
    if not table.cells:
        return ""
    height, _ = table.shape
    lines: list[list[Cell]] = [[] for _ in range(height)]
    for cell in table.cells:
        lines[cell.row].append(cell)
    heads = 0
    while heads < height and lines[heads] and all(cell.header for cell in lines[heads]):
        heads += 1
    parts = [_html_part("thead", lines[:heads]), _html_part("tbody", lines[heads:])]
    return "<table>" + "".join(parts) + "</table>"


def _html_part(name: str, lines: Sequence[Sequence[Cell]]) -> str:
    if not lines:
        return ""
    rows = "".join("<tr>" + "".join(map(_html_cell, line)) + "</tr>" for line in lines)
    return f"<{name}>{rows}</{name}>"


def _html_cell(cell: Cell) -> str:
    tag = "th" if cell.header else "td"
    spans = f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
    spans += f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
    return f"<{tag}{spans}>{html.escape(_flat(cell.text))}</{tag}>"
