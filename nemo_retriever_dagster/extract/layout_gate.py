"""A cheap look at the lines of a page: may there be a table? Most pages have none, and looking for one costs time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.layout_blocks import around, stacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Ruling
    from nemo_retriever_dagster.extract.layout import Line

_NUMBER = re.compile(r"[^A-Za-z]?\d[\d.,:%/\u2013-]*\S?")
_ROWS = 2  # rows of cells before a table is looked for
_NUMBERS = 3  # in one line: amounts set so close that they make no gap
_PARAGRAPH = 3  # lines
_WIDE = 12  # heights of a line: prose is at least this wide
_LEVELS, _UPRIGHTS = 3, 2
_LONG = 36.0  # points


def may_hold_table(lines: Sequence[Line], rulings: Sequence[Ruling]) -> bool:
    """Tell whether the rulings could be a table's, or at least two rows have cells side by side."""
    return _ruled(rulings) or _cell_rows(lines) >= _ROWS


def _ruled(rulings: Sequence[Ruling]) -> bool:
    levels, uprights = set(), set()
    for ruling in rulings:
        box = ruling.box
        if ruling.horizontal and box.width >= _LONG:
            levels.add(round(box.y0 / 4))
        elif not ruling.horizontal:
            uprights.add(round(box.x0 / 4))
    return len(levels) >= _LEVELS or (len(levels) >= _ROWS and len(uprights) >= _UPRIGHTS)


def _cell_rows(lines: Sequence[Line]) -> int:
    """Count the rows with cells: lines that are no paragraph's and stand beside another, or lines of numbers."""
    cells = [line for stack in stacks(lines) if not _is_paragraph(stack) for line in stack]
    numbers = sum(_is_row_of_numbers(line.text) for line in cells)
    if len(cells) < 2 * _ROWS:
        return numbers
    boxes = np.array([line.box for line in cells], dtype=np.float32)
    top, bottom = boxes[:, 1], boxes[:, 3]
    shared = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    beside = (shared > 0.5 * np.minimum(bottom - top, (bottom - top)[:, None])) & (boxes[:, None, 2] <= boxes[:, 0])
    return numbers + int(np.count_nonzero(beside.any(axis=1)))


def _is_paragraph(stack: Sequence[Line]) -> bool:
    box = around(stack)
    height = box.height / len(stack)
    return len(stack) >= _PARAGRAPH and box.width >= _WIDE * height


def _is_row_of_numbers(text: str) -> bool:
    words = text.split()
    numbers = sum(_NUMBER.fullmatch(word) is not None for word in words)
    return numbers >= _NUMBERS and 2 * numbers >= len(words)
