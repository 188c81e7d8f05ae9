"""A cheap look at the lines of a page: may there be a table? Most pages have none, and looking for one costs time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.layout_blocks import around, stacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.geometry import Ruling
    from nemo_retriever_dagster.extract.layout import Line

    Floats = NDArray[np.float32]

_NUMBER = re.compile(r"[^A-Za-z]?\d[\d.,:%/\u2013-]*\S?")
_ROWS = 2  # rows of cells before a table is looked for
_NUMBERS = 3  # in one line: amounts set so close that they make no gap
_PARAGRAPH = 3  # lines
_WIDE = 12  # heights of a line: prose is at least this wide
_LEVELS, _UPRIGHTS = 3, 2
_LONG = 36.0  # points
_SLACK = 3.0  # points: edges of one column differ less
_WORTH = re.compile(r"[^\W_]")
_MARK = re.compile(r"\(\d+\)|\(?\w{1,2}[.)]")  # the number of an equation, of an item


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
    loose = [line for stack in stacks(lines) if not _is_paragraph(stack) for line in stack]
    numbers = sum(_is_row_of_numbers(line.text) for line in loose)
    cells = [line for line in loose if _WORTH.search(line.text) and not _MARK.fullmatch(line.text)]
    if numbers >= _ROWS or len(cells) < 2 * _ROWS:
        return numbers
    return numbers + _aligned_rows(np.array([line.box for line in cells], dtype=np.float32))


def _aligned_rows(boxes: Floats) -> int:
    """Count the rows in which something stands apart to the right of something, at an edge other rows have too."""
    left, top, right, bottom = boxes.T
    height = bottom - top
    lower, higher = np.minimum(height[:, None], height), np.maximum(height[:, None], height)
    shared = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    apart = left - right[:, None]
    beside = (shared > 0.5 * lower) & (higher < 2 * lower) & (apart > 0.8 * lower)
    after = beside.any(axis=0)
    edges = [left[after], right[after], (left[after] + right[after]) / 2]
    return max(
        (int((np.abs(edge - edge[:, None]) < _SLACK).sum(axis=1).max()) for edge in edges if len(edge)), default=0
    )


def _is_paragraph(stack: Sequence[Line]) -> bool:
    box = around(stack)
    height = box.height / len(stack)
    return len(stack) >= _PARAGRAPH and box.width >= _WIDE * height


def _is_row_of_numbers(text: str) -> bool:
    words = text.split()
    numbers = sum(_NUMBER.fullmatch(word) is not None for word in words)
    return numbers >= _NUMBERS and 2 * numbers >= len(words)
