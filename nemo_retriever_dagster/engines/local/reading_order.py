"""Puts the lines of a recognised page into reading order: column by column, rows from the top, and joins them.

OCR engines give lines from the top down, whatever column they stand in. A page is cut at a gutter: an upright strip
that hardly a line crosses, with running text on both sides. Lines that do cross it (titles, captions) separate what
stands above from what stands below. Tables have gutters too, but no running text beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Box, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

_MIN_STRIP = 0.6  # width of a gutter, in line heights
_MIN_LINES = 3  # on each side of a gutter
_MAX_CROSSING = 0.25  # share of lines that may cross it
_MIN_FILL = 0.55  # of a column's width that its median line fills: less is a table's cells
_MIN_WIDTH = 8.0  # of a column, in line heights
_PARAGRAPH_GAP = 0.9  # between lines of a paragraph, in line heights
_LIKE_HEIGHT = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text and its words from left to right."""

    box: Box
    words: tuple[Word, ...]

    @classmethod
    def of(cls, words: Sequence[Word]) -> Line:
        """Make a line of at least one word."""
        return cls(box=_around(word.box for word in words), words=tuple(words))


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """Return the lines sorted: columns from left to right, in a column from the top, in a row from left to right."""
    gutter = _gutter(lines)
    if gutter is None:
        return [line for row in _rows(lines) for line in row]
    crossing = sorted((line for line in lines if _crosses(line, gutter)), key=lambda line: line.box.y0)
    ordered: list[Line] = []
    rest = [line for line in lines if not _crosses(line, gutter)]
    for separator in (*crossing, None):
        limit = _middle(separator) if separator else float("inf")
        above = [line for line in rest if _middle(line) < limit]
        rest = [line for line in rest if _middle(line) >= limit]
        ordered += in_reading_order([line for line in above if line.box.x1 <= gutter])
        ordered += in_reading_order([line for line in above if line.box.x0 >= gutter])
        if separator:
            ordered.append(separator)
    return ordered


def merged(lines: Sequence[Line], level: MergeLevel) -> list[Word]:
    """Return the words of ordered lines, or one piece a line (``sentence``), or one a paragraph."""
    if level == "word":
        return [word for line in lines for word in line.words]
    groups: list[list[Line]] = []
    for line in lines:
        if level == "paragraph" and groups and _continues(groups[-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [joined([word for line in group for word in line.words]) for group in groups]


def joined(words: Sequence[Word]) -> Word:
    """Return at least one word as a single one; its confidence is the mean."""
    return Word(
        text=" ".join(word.text for word in words),
        box=_around(word.box for word in words),
        confidence=sum(word.confidence for word in words) / len(words),
    )


def _around(boxes: Iterable[Box]) -> Box:
    first, *rest = boxes
    for box in rest:
        first = first.union(box)
    return first


def _middle(line: Line) -> float:
    return (line.box.y0 + line.box.y1) / 2


def _crosses(line: Line, x: float) -> bool:
    return line.box.x0 < x < line.box.x1


def _rows(lines: Iterable[Line]) -> list[list[Line]]:
    """Group lines side by side into rows, from the top; each row from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        last = rows[-1][-1].box if rows else None
        common = min(last.y1, line.box.y1) - max(last.y0, line.box.y0) if last else 0.0
        if last and common > 0.5 * min(last.height, line.box.height):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box.x0) for row in rows]


def _gutter(lines: Sequence[Line]) -> float | None:
    """Return the x that the fewest lines cross and that has running text on both sides."""
    if len(lines) < 2 * _MIN_LINES:
        return None
    height = median(line.box.height for line in lines)
    edges = sorted({line.box.x1 for line in lines} | {line.box.x0 for line in lines})
    strips = [(left, right) for left, right in pairwise(edges) if right - left >= _MIN_STRIP * height]
    middles = [((left + right) / 2, left - right) for left, right in strips]
    counted = [(sum(_crosses(line, x) for line in lines), narrow, x) for x, narrow in middles]
    allowed = _MAX_CROSSING * len(lines)
    for _, _, x in sorted(entry for entry in counted if entry[0] <= allowed):
        sides = [line for line in lines if line.box.x1 <= x], [line for line in lines if line.box.x0 >= x]
        if _side_by_side(*sides) and all(_is_column(side, height) or _gutter(side) is not None for side in sides):
            return x
    return None


def _is_column(lines: Sequence[Line], height: float) -> bool:
    if len(lines) < _MIN_LINES:
        return False
    width = _around(line.box for line in lines).width
    rows = [max(line.box.width for line in row) for row in _rows(lines)]  # a row of cells is no running text
    return width >= _MIN_WIDTH * height and median(rows) >= _MIN_FILL * width


def _side_by_side(left: Sequence[Line], right: Sequence[Line]) -> bool:
    if not left or not right:
        return False
    one, other = _around(line.box for line in left), _around(line.box for line in right)
    common = min(one.y1, other.y1) - max(one.y0, other.y0)
    return common >= 0.5 * min(one.height, other.height)


def _continues(paragraph: Sequence[Line], line: Line) -> bool:
    """Whether ``line`` stands close below the paragraph's last line (or beside it) and is of its size."""
    last, box = paragraph[-1].box, line.box
    height = min(last.height, box.height)
    alike = max(last.height, box.height) <= _LIKE_HEIGHT * height
    beside = min(last.y1, box.y1) - max(last.y0, box.y0) > 0.5 * height
    over_another = min(last.x1, box.x1) > max(last.x0, box.x0)
    below = over_another and -height < box.y0 - last.y1 <= _PARAGRAPH_GAP * height
    return alike and (beside or below)
