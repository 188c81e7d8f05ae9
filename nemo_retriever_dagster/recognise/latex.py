"""Tables as Nemotron Parse writes them: LaTeX ``tabular``, with spans."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY = re.compile(r"\\begin\{(tabular|array)\}(?:\[[^\]]*\])?\s*\{[^}]*\}(.*?)\\end\{\1\}", re.DOTALL)
_RULES = re.compile(r"\\(?:hline|toprule|midrule|bottomrule)\b|\\c(?:line|midrule)(?:\([^)]*\))?\{[^}]*\}")
_ROW_END = re.compile(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline\b")
_CELL_END = re.compile(r"(?<!\\)&")
_SPAN = re.compile(r"\A\\multi(column|row)\{(\d+)\}\{[^}]*\}\s*\{(.*)\}\Z", re.DOTALL)
_STYLE = re.compile(r"\\(?:textbf|textit|emph|underline|mathbf|text|mathrm)\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\([&%$#_{}])")
_MOST = 1000  # rows or columns that one cell may span


def read_table(text: str) -> Table | None:
    """Return the first table in ``text``; None where there is none that can be read."""
    found = _BODY.search(text)
    if found is None:
        return None
    cells: list[Cell] = []
    taken: set[tuple[int, int]] = set()
    for row, line in enumerate(_lines(found[2])):
        column = 0
        for content, down, across in line:
            while (row, column) in taken:
                if content == "" and down == across == 1:
                    break  # the empty place under a cell that spans rows is written out
                column += 1
            if (row, column) not in taken:
                cells.append(Cell(row=row, column=column, text=content, row_span=down, column_span=across))
                taken |= {(row + i, column + j) for i in range(down) for j in range(across)}
            column += across
    return Table(cells=tuple(cells)) if any(cell.text for cell in cells) else None


def _lines(body: str) -> Iterator[list[tuple[str, int, int]]]:
    """Yield the rows: text, rows spanned, columns spanned of each cell."""
    parts = _ROW_END.split(_RULES.sub(" ", body))
    for part in parts[:-1] if not parts[-1].strip() else parts:
        yield [_cell(piece.strip()) for piece in _CELL_END.split(part)]


def _cell(text: str) -> tuple[str, int, int]:
    down = across = 1
    while span := _SPAN.match(text):
        count = min(max(int(span[2]), 1), _MOST)
        down, across = (down, count) if span[1] == "column" else (count, across)
        text = span[3].strip()
    while (plain := _STYLE.sub(r"\1", text)) != text:
        text = plain
    return " ".join(_ESCAPED.sub(r"\1", text).split()), down, across
