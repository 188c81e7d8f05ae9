"""Bullets and numbers of lists, put before the lines they belong to: written apart from them, or drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.geometry import level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.layout import Line
    from nemo_retriever_dagster.model import Box

BULLET = re.compile(
    r"[\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u25a0\u25a1\u2043\u2219\u00b7\u27a2\u2713\u2714\uf0b7\uf0a7\u2013\u2014*-](?:\s+|$)"
)
_NUMBERED = re.compile(r"(?:\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\d+(?:\.\d+)+\.?)(?:\s+|$)")
_ITEM = re.compile(f"{BULLET.pattern}|{_NUMBERED.pattern}")
_LED = re.compile(r"(?:\.\s?){4}\s*(?:\d{1,4}|[ivxlc]+)(?:(?:,\s|\s?[\u2013-]\s?)\d{1,4})*,?$")
_DRAWN = "\u2022"
_LEAST, _MOST = 0.12, 0.7  # of the type's size: how high a drawn bullet is
_ROUND = 0.7  # of the longer side: a bullet is as wide as high
_LARGEST = 30.0  # points
_MANY = 200  # no page has as many items
_REACH = 2.5  # of the type's size: how far before its line a drawn bullet stands
_FAR = 5.0  # of the type's size: a written one, which may be set at a tab
_CORE = 0.15  # of the line's height: where, from above and below, no bullet has its middle


def starts_item(text: str) -> bool:
    """Tell whether a line starts an item of a list."""
    return _ITEM.match(text) is not None


def leads_on(text: str) -> bool:
    """Tell whether a line ends an entry of contents or an index: with dots that lead to pages."""
    return (".." in text or ". ." in text) and _LED.search(text) is not None


def with_markers(lines: Sequence[Line]) -> list[Line]:
    """Put each bullet or number that is a line of its own before the nearest line right of it, on its row.

    Wherever it was written: some programs write all bullets of a list first, or last.
    """
    marks = [at for at, line in enumerate(lines) if _is_marker(line.text)]
    if not 0 < len(marks) <= _MANY:
        return list(lines)
    kept: list[Line | None] = list(lines)
    for at in sorted(marks, key=lambda at: -lines[at].box.x0):  # of two, the right one first: "1." before "(a)"
        mark = lines[at]
        found = [(i, line) for i, line in enumerate(kept) if line is not None and i != at and _beside(mark, line)]
        if found:
            i, line = min(found, key=lambda item: item[1].box.x0)
            order = mark.order if mark.order == line.order - 1 else line.order
            kept[i] = line._replace(text=f"{mark.text} {line.text}", box=mark.box.union(line.box), order=order)
            kept[at] = None
    return [line for line in kept if line is not None]


def dots_among(shapes: Iterable[Box]) -> list[Box]:
    """Return the small round or square ones of the shapes drawn on a page; none where they are too many for bullets."""
    dots = [box for box in shapes if _is_dot(box)]
    return dots if len(dots) <= _MANY else []


def with_drawn_bullets(lines: Sequence[Line], dots: Sequence[Box]) -> list[Line]:
    """Put a bullet before each line that has one of the ``dots`` right before it."""
    return [line if starts_item(line.text) else _bulleted(line, dots) for line in lines]


def _bulleted(line: Line, dots: Sequence[Box]) -> Line:
    dot = next((dot for dot in dots if _marks(dot, line)), None)
    return line if dot is None else line._replace(text=f"{_DRAWN} {line.text}", box=line.box.union(dot))


def _is_dot(box: Box) -> bool:
    width, height = box.width, box.height
    return 0 < width <= _LARGEST and 0 < height <= _LARGEST and min(width, height) >= _ROUND * max(width, height)


def _marks(dot: Box, line: Line) -> bool:
    box, size = line.box, line.size
    core = _CORE * box.height
    level = box.y0 + core < (dot.y0 + dot.y1) / 2 < box.y1 - core
    return level and _LEAST * size < dot.height < _MOST * size and 0 < box.x0 - dot.x1 < _REACH * size


def _is_marker(text: str) -> bool:
    return " " not in text and _ITEM.fullmatch(text) is not None


def _beside(marker: Line, line: Line) -> bool:
    return level(marker.box, line.box) and 0 < line.box.x0 - marker.box.x1 < _FAR * line.size
