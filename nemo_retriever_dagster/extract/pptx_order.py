"""The order in which things on a slide are read: rows or columns that clear gaps part, whichever the file follows."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.model import Box

Places = list[int]
"""Things by their place in the file, from 0."""
_SAME_LINE = 10.0
"""Things whose upper edges differ by less (points) stand beside each other."""
_MOST_OVERLAP = 0.05
"""Share of its side by which a frame may reach into its neighbour: frames are wider than their text."""
_MOST_OVERLAP_POINTS = 7.2
"""The margin of text inside its frame, as PowerPoint sets it."""
_MOSTLY = 0.9
_MOST_CUTS = 20
_MOST_THINGS = 200
"""More on one slide are read line by line."""


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Return the places of ``boxes`` (points, in the file's order) in the order they are read.

    What lies under all others comes first. Rows and columns are cut where a gap goes through; where both could be, as
    in a grid, the one whose members stand together in the file. What cannot be cut is read line by line.
    """
    places = list(range(len(boxes)))
    return _ordered(places, boxes, _MOST_CUTS) if len(boxes) <= _MOST_THINGS else _by_lines(places, boxes)


def _ordered(places: Places, boxes: Sequence[Box], cuts: int) -> Places:
    if len(places) < 2 or not cuts:  # noqa: PLR2004 -- one is in order
        return _by_lines(places, boxes)
    below = _below_all(places, boxes)
    if below is not None:
        return [below, *_ordered([place for place in places if place != below], boxes, cuts - 1)]
    parts = _parts(places, boxes)
    if len(parts) == 1:
        return _by_lines(places, boxes)
    return [place for part in parts for place in _ordered(part, boxes, cuts - 1)]


def _parts(places: Places, boxes: Sequence[Box]) -> list[Places]:
    """Cut into the grids that stand one below the other, or a single grid into its rows or its columns."""
    rows = _cut(places, [(box.y0, box.y1) for box in boxes])
    sides = [(box.x0, box.x1) for box in boxes]
    grids: list[list[Places]] = []
    for row in rows:
        if grids and len(_cut([*_joined(grids[-1]), *row], sides)) > 1:
            grids[-1].append(row)
        else:
            grids.append([row])
    if len(grids) > 1:
        return [_joined(grid) for grid in grids]
    columns = _cut(places, sides)
    by_columns = len(rows) == 1 or (len(columns) > 1 and _scattered(columns) < _scattered(rows))
    return columns if by_columns else rows


def _cut(places: Places, sides: Sequence[tuple[float, float]]) -> list[Places]:
    """Part the things where a gap goes through all of them."""
    parts: list[Places] = []
    reach = 0.0
    for place in sorted(places, key=lambda place: (_shrunk(sides[place]), place)):
        start, end = _shrunk(sides[place])
        if parts and start <= reach:
            parts[-1].append(place)
            reach = max(reach, end)
        else:
            parts.append([place])
            reach = end
    return parts


def _shrunk(side: tuple[float, float]) -> tuple[float, float]:
    overlap = min(_MOST_OVERLAP * (side[1] - side[0]), _MOST_OVERLAP_POINTS)
    return side[0] + overlap, side[1] - overlap


def _scattered(parts: Sequence[Places]) -> int:
    """Return how often the file leaves a part and comes back to it; 0 where each stands together."""
    owners = sorted((place, owner) for owner, part in enumerate(parts) for place in part)
    return sum(1 for _ in groupby(owners, key=lambda item: item[1])) - len(parts)


def _below_all(places: Places, boxes: Sequence[Box]) -> int | None:
    """Return what holds all the others in its area: a background, a frame with a text of its own."""
    largest = max(places, key=lambda place: boxes[place].area)
    others = (boxes[place] for place in places if place != largest)
    return largest if all(other.area and other.covered_by(boxes[largest]) > _MOSTLY for other in others) else None


def _by_lines(places: Iterable[int], boxes: Sequence[Box]) -> Places:
    """Sort line by line from the top, each from the left."""
    lines: list[Places] = []
    for place in sorted(places, key=lambda place: boxes[place].y0):
        if lines and boxes[place].y0 - boxes[lines[-1][0]].y0 < _SAME_LINE:
            lines[-1].append(place)
        else:
            lines.append([place])
    return [place for line in lines for place in sorted(line, key=lambda place: boxes[place].x0)]


def _joined(parts: Iterable[Places]) -> Places:
    return [place for part in parts for place in part]
