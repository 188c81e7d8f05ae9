"""Listings: lines in a typewriter face whose breaks mean something, kept line by line and indented as they stand."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.typewriter import beside, blanks, pitch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_MOSTLY = 0.5  # of a page's letters: the page is a typewriter's, its prose too
_MEANT = 0.5  # of the breaks of a typewriter's listing
_LEADING, _OVERLAP = 1.0, -0.6  # of the type's size: blank between two lines of a listing
_BLANK_ROW = 2.2  # of the type's size: blank between two lines with an empty one between them
_SAME_SIZE = 0.12
_DEEPER = 0.5  # of the type's size
_NEAR = 4  # lines before and behind that tell how wide the column is
_DEEPEST = 80  # blanks


class Part(NamedTuple):
    """Lines one after another: those of a listing, or others."""

    lines: Sequence[Line]
    listing: bool


def is_typed(lines: Sequence[Line]) -> bool:
    """Tell whether most letters are in a typewriter face, so that the face tells nothing."""
    typed = sum([len(line.text) for line in lines if line.typewriter])
    return typed > 0 and typed > _MOSTLY * sum(len(line.text) for line in lines)


def parts_of(lines: Sequence[Line], *, typed: bool) -> list[Part]:
    """Return lines in reading order as listings and what stands between them; ``typed`` is `is_typed` of the page.

    On a typewriter's page lines are a listing where their breaks were meant: they go in, or had room left.
    """
    if not any(line.typewriter for line in lines):
        return [Part(lines, listing=False)]
    parts: list[Part] = []
    start = end = 0
    while end < len(lines):
        stop = _run_end(lines, end, _LEADING if typed else _BLANK_ROW)
        if stop - end > 1 and _is_listing(lines, end, stop, typed=typed):
            if start < end:
                parts.append(Part(lines[start:end], listing=False))
            parts.append(Part(lines[end:stop], listing=True))
            start = stop
        end = stop
    return [*parts, Part(lines[start:], listing=False)] if start < len(lines) else parts


def listing_text(lines: Sequence[Line]) -> str:
    """Return the text of a listing: its rows, blanks before them and between their pieces as wide as on the page."""
    rows = _rows(lines)
    left, step = min(row[0].box.x0 for row in rows), median(map(pitch, lines)) or 1.0
    texts = [" " * min(round((row[0].box.x0 - left) / step), _DEEPEST) + _row_text(row) for row in rows]
    empty = [below[0].box.y0 - above[0].box.y1 >= _LEADING * below[0].size for above, below in pairwise(rows)]
    return texts[0] + "".join(f"{chr(10) * (1 + gap)}{text}" for gap, text in zip(empty, texts[1:], strict=True))


def _row_text(row: Sequence[Line]) -> str:
    return row[0].text + "".join(blanks(before, after) + after.text for before, after in pairwise(row))


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in lines:
        if rows and beside(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _run_end(lines: Sequence[Line], start: int, leading: float) -> int:
    """Return where the run of typewriter lines ends that starts at ``start``, one further where none does."""
    end = start + 1
    while end < len(lines) and lines[start].typewriter and _goes_on(lines[end - 1], lines[end], leading):
        end += 1
    return end


def _goes_on(last: Line, line: Line, leading: float) -> bool:
    size = max(last.size, line.size) or 1.0
    if not line.typewriter or line.hidden != last.hidden or abs(last.size - line.size) > _SAME_SIZE * size:
        return False
    return beside(last, line) or _OVERLAP * size < line.box.y0 - last.box.y1 < leading * size


def _is_listing(lines: Sequence[Line], start: int, end: int, *, typed: bool) -> bool:
    rows = _rows(lines[start:end])
    if len(rows) < 2:  # noqa: PLR2004 - nothing is broken
        return False
    if not typed:
        return True
    near = lines[max(start - _NEAR, 0) : end + _NEAR]
    return sum(_is_meant(above, below, near) for above, below in pairwise(rows)) >= _MEANT * (len(rows) - 1)


def _is_meant(above: Sequence[Line], below: Sequence[Line], near: Sequence[Line]) -> bool:
    """Tell whether the next row goes in, or its first word would have fitted on the one above."""
    last, line = above[-1], below[0]
    if line.box.x0 > above[0].box.x0 + _DEEPER * line.size:
        return True
    right = max(other.box.x1 for other in near if other.box.x0 < last.box.x1 and other.box.x1 > above[0].box.x0)
    return last.box.x1 + (1 + len(line.text.split(" ", 1)[0])) * pitch(line) <= right
