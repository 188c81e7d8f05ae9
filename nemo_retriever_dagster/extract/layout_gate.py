"""A cheap look at the lines of a page: may there be a table? Most pages have none, and looking for one costs time."""

from __future__ import annotations

import re
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.layout_blocks import around
from nemo_retriever_dagster.extract.layout_paragraphs import stacks
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN
from nemo_retriever_dagster.extract.tables.ruled import coordinates, frames, strokes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.geometry import Ruling
    from nemo_retriever_dagster.extract.layout import Line

    Floats = NDArray[np.float32]

_NUMBER = re.compile(r"[^A-Za-z]?\d[\d.,:%/\u2013-]*\S?")
_DIGIT = re.compile(r"\d")
_ROWS = 2  # rows of cells before a table is looked for
_FEW_RULINGS = 2
_CROWD = 0.25  # of a page's lines: fewer loose ones stand between paragraphs
_PIECES = 12  # loose lines that drawn lines may make a table of
_TOUCHING = 0.3  # of a line's height
_NUMBERS = 3  # in one line: amounts set so close that they make no gap
_PARAGRAPH = 3  # lines
_WIDE = 12  # heights of a line: prose is at least this wide
_LEVELS, _UPRIGHTS = 3, 2
_LONG = 36.0  # points
_TALL = 6.0  # points: a thin frame drawn as one line has shorter ends
_SLACK = 3.0  # points: edges of one column differ less
_WORTH = re.compile(r"[^\W_]")
_MARK = re.compile(r"\(\d+\)|\(?\w{1,2}[.)]")  # the number of an equation, of an item
_ENDS_NO_CELL = (",", ";", SOFT_HYPHEN)
_NOTE = re.compile(r"\d{1,3}")  # the number of a note, where words follow
_BLANK = 0.6  # of a word's height: a wider blank may part two cells
_EXACT = 1.5  # points: edges of neighbouring cells differ less
_NEAR, _FAR = 0.8, 3.5  # heights of a word: how far apart two rows of a small table are
_MANY = 400  # pieces behind wide blanks: no prose


def may_hold_table(lines: Sequence[Line], rulings: Sequence[Ruling]) -> bool:
    """Tell whether the rulings draw a grid, or enough rows have cells side by side.

    Two such rows are enough, fewer where lines are drawn as between a table's rows; on a page full of lines without any
    drawn, two rows that have an edge in common are nothing out of the ordinary.
    """
    if not lines:
        return False
    loose = [line for stack in stacks(lines) if not _is_paragraph(stack) for line in stack]
    numbers = sum(_is_row_of_numbers(line.text) for line in loose)
    if numbers >= _ROWS:
        return True
    cells = [line for line in loose if _WORTH.search(line.text) and not _MARK.fullmatch(line.text)]
    if len(cells) >= 2 * _ROWS:
        aligned = _aligned_rows(np.array([line.box for line in cells], dtype=np.float32))
        by_chance = numbers == 0 and len(rulings) < _FEW_RULINGS and len(cells) < _CROWD * len(lines)
        if numbers + aligned >= _ROWS + by_chance:
            return True
        numbers += aligned
    return _ruled(rulings) and (numbers > 0 or len(cells) >= _PIECES or _grid(lines, rulings))


def may_hold_cells(words: Sequence[str], boxes: Floats) -> bool:
    """Tell whether words of two rows or more, one close below another, stand behind wide blanks at one edge.

    ``boxes`` is (n, 4), in the order of the words. Sees the small tables between paragraphs, whose cells are set too
    close to be lines of their own.
    """
    if len(words) <= _ROWS:
        return False
    first, behind = _pieces(boxes)
    starts = first[behind]
    if not _ROWS <= len(starts) <= _MANY:
        return len(starts) > _MANY
    before = first[behind - 1]
    ends = np.append(first[1:], len(words))[behind] - 1
    left, right, top, bottom = boxes[starts, 0], boxes[ends, 2], boxes[starts, 1], boxes[starts, 3]
    height, down = bottom - top, np.abs(top - top[:, None])
    near = (down > _NEAR * height) & (down < _FAR * height)
    edges = (left, right, (left + right) / 2)
    near &= np.logical_or.reduce([np.abs(edge - edge[:, None]) < _EXACT for edge in edges])
    pieces = enumerate(zip(before.tolist(), starts.tolist(), (ends + 1).tolist(), strict=True))
    seen = near.any(axis=1)
    kept = [i for i, (first, at, end) in pieces if seen[i] and _parts_cells(words[first:at], words[at:end])]
    return bool(near[np.ix_(kept, kept)].any())


def _parts_cells(before: Sequence[str], behind: Sequence[str]) -> bool:
    """Tell whether a wide blank may part two cells: none behind the mark of an item or note, or inside of sentences."""
    if not _WORTH.search(behind[0]) or before[-1].endswith(_ENDS_NO_CELL) or behind[-1].endswith(_ENDS_NO_CELL):
        return False
    if len(before) > 1:
        return not before[-1].endswith(".")
    return not (_is_mark(before[0]) or (_NOTE.fullmatch(before[0]) and behind[0][0].isalpha()))


def _pieces(boxes: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the words that start a piece of a line, and which of these pieces stand behind a wide blank."""
    left, top, right, bottom = boxes.T
    height = bottom - top
    lower = np.minimum(height[1:], height[:-1])
    level = np.minimum(bottom[1:], bottom[:-1]) - np.maximum(top[1:], top[:-1]) > 0.5 * lower
    gap = left[1:] - right[:-1]
    wide = level & (gap > _BLANK * lower)
    starts = ~level | wide | (gap < -lower)
    first = np.concatenate(([0], np.flatnonzero(starts) + 1))
    return first, np.flatnonzero(wide[first[1:] - 1]) + 1


def _is_mark(word: str) -> bool:
    return not _WORTH.search(word) or _MARK.fullmatch(word) is not None or len(word) == 1


def _ruled(rulings: Sequence[Ruling]) -> bool:
    levels = [ruling.box.y0 for ruling in rulings if ruling.horizontal and ruling.box.width >= _LONG]
    uprights = [ruling.box.x0 for ruling in rulings if not ruling.horizontal and ruling.box.height >= _TALL]
    rows = _places(levels)
    return rows >= _LEVELS or (rows >= _ROWS and _places(uprights) >= _UPRIGHTS)


def _places(edges: Sequence[float]) -> int:
    """Count the places at which lines stand: those drawn close together are the two sides of one."""
    ordered = sorted(edges)
    return sum(after - before > _SLACK for before, after in pairwise(ordered)) + bool(ordered)


def _grid(lines: Sequence[Line], rulings: Sequence[Ruling]) -> bool:
    """Tell whether rulings touch each other so that two rows of fields lie between them."""
    slack = _TOUCHING * median(line.box.height for line in lines)
    across, upright = (strokes(rulings, horizontal=level, slack=slack) for level in (True, False))
    found = frames(across, upright, slack)
    return any(len(coordinates(frame.across, frame.box.y0, frame.box.y1, slack)) > _ROWS for frame in found)


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
    if len(stack) < _PARAGRAPH:
        return False
    box = around(stack)
    height = box.height / len(stack)
    return box.width >= _WIDE * height


def _is_row_of_numbers(text: str) -> bool:
    if not _DIGIT.search(text):
        return False
    words = text.split()
    numbers = sum(_NUMBER.fullmatch(word) is not None for word in words)
    return numbers >= _NUMBERS and 2 * numbers >= len(words)
