"""The outlines of a page's paths, read together: straight sides, rectangles, how they are painted.

A page of tables has hundreds of small rectangles; looking at each alone costs ten times what PDFium does for it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.geometry import Ruling, boxes_of
from nemo_retriever_dagster.extract.pdf_styles import pale_and_clear
from nemo_retriever_dagster.extract.pdf_words import within_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.pdf_words import Frame
    from nemo_retriever_dagster.model import Box

    Doubles = NDArray[np.float64]
    Places = NDArray[np.intp]
    Flags = NDArray[np.bool_]
    Matrix = tuple[float, ...]

T = TypeVar("T")

_THIN = 3.0  # points: a filled bar up to this high is a line
_LONG = 2.0  # a line is at least this much longer than thick
_SLACK = 0.75  # points a line may lean over its length and still count as straight
_CURVE, _MOVE = 1, 2
_CORNERS = 4


class Outline(NamedTuple):
    """A path: whether it curves or leans anywhere, whether it can be seen; if it is straight, what it draws."""

    bent: bool
    painted: bool
    rulings: list[Ruling]
    fills: list[Box]


class _Sides(NamedTuple):
    """The sides of some paths: (n, 4) boxes, whether each is level or leans, and the number of its path."""

    boxes: Doubles
    level: Flags
    leans: Flags
    path: Places


class _Areas(NamedTuple):
    """The (n, 4) boxes around sub-paths, and the number of the path of each."""

    boxes: Doubles
    path: Places


def as_line(box: Box) -> Ruling | None:
    """Return the ruling that a box is, None unless it is long and thin."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if height <= _THIN and width >= _LONG * height:
        return Ruling(box=box, horizontal=True)
    if width <= _THIN and height >= _LONG * width:
        return Ruling(box=box, horizontal=False)
    return None


def product(first: Matrix, then: Matrix) -> Matrix:
    """Return the matrix that does what ``first`` does, and what ``then`` does after it."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m)


def read_outlines(
    paths: Sequence[tuple[int, Box]], counts: Sequence[int], frame: Frame, matrix: Matrix | None
) -> list[Outline]:
    """Read path objects of a page, or of a form drawn on it with ``matrix``; in points of the shown page.

    A path, at least one, is given with its box; ``counts`` are the numbers of their segments.
    """
    items = [item for item, _ in paths]
    kinds, points, closes = pdf_raw.segments(items, counts)
    path = np.arange(len(items)).repeat(counts)
    corners = _shown(points, pdf_raw.object_matrices(items)[path], frame, matrix)
    sides, areas = _lines(corners, kinds == _MOVE, closes, path)
    bent = np.bincount(np.concatenate((path[kinds == _CURVE], sides.path[sides.leans])), minlength=len(items)) > 0
    modes = pdf_raw.draw_modes(items)
    pale, clear = pale_and_clear(items)
    filled, stroked = (modes[:, 0] != 0) & ~pale & ~clear, modes[:, 1] != 0
    rows = zip(
        [box for _, box in paths],
        zip(bent.tolist(), filled.tolist(), stroked.tolist(), strict=True),
        _sides_of_each(sides, stroked & ~bent),
        _areas_of_each(areas, len(items)),
        strict=True,
    )
    return [_outline(*row) for row in rows]


def _outline(
    box: Box, look: tuple[bool, bool, bool], sides: list[Ruling], areas: list[tuple[Box, Ruling | None]]
) -> Outline:
    bent, filled, stroked = look
    if bent or not filled:
        return Outline(bent, filled or stroked, sides, [])
    thin = [line for _, line in areas if line is not None]
    fills = [area for area, line in areas if line is None] if areas else [box]
    return Outline(bent, painted=True, rulings=sides if stroked else thin, fills=fills)


def _shown(points: NDArray[np.float32], own: NDArray[np.float32], frame: Frame, matrix: Matrix | None) -> Doubles:
    """Return where the (n, 2) points are shown; ``own`` is the matrix of the path of each."""
    px, py = points.astype(np.float64).T
    each = tuple(own.astype(np.float64).T)
    with np.errstate(over="ignore", invalid="ignore"):
        a, b, c, d, e, f = each if matrix is None else product(each, matrix)
        x, y = px * a + py * c + e, px * b + py * d + f
    return np.stack(frame.place(within_reach(x), within_reach(y)), axis=1)


def _lines(corners: Doubles, moves: Flags, closes: Flags, path: Places) -> tuple[_Sides, _Areas]:
    """Return the sides of sub-paths, and the boxes around those with corners enough.

    ``corners`` is (n, 2). A move starts a sub-path, as PDFium starts every path, and closing ends one, for which PDFium
    adds the way back.
    """
    starts = moves.copy()
    starts[1:] |= closes[:-1]
    starts[:1] = True
    first = starts.nonzero()[0]
    last = np.append(first, len(corners))[1:] - 1
    after = np.arange(1, len(corners) + 1)
    after[last] = last
    others = corners[after]
    kept = (corners != others).any(axis=1)
    boxes = np.concatenate((np.minimum(corners, others), np.maximum(corners, others)), axis=1)[kept]
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    level = (height <= _SLACK) & (width >= height)
    around = np.concatenate((np.minimum.reduceat(corners, first), np.maximum.reduceat(corners, first)), axis=1)
    enough = last - first + 1 >= _CORNERS
    sides = _Sides(boxes, level, ~level & (width > _SLACK), path[kept])
    return sides, _Areas(around[enough], path[first[enough]])


def _sides_of_each(sides: _Sides, drawn: Flags) -> list[list[Ruling]]:
    """Return the sides of each path, those of paths that are not ``drawn`` left out."""
    kept = drawn[sides.path]
    rows = zip(boxes_of(sides.boxes[kept]), sides.level[kept].tolist(), strict=True)
    return _shared_out([Ruling(box=box, horizontal=level) for box, level in rows], sides.path[kept], len(drawn))


def _areas_of_each(areas: _Areas, count: int) -> list[list[tuple[Box, Ruling | None]]]:
    """Return the areas of each of ``count`` paths, beside each the line it is, if it is one."""
    return _shared_out([(box, as_line(box)) for box in boxes_of(areas.boxes)], areas.path, count)


def _shared_out(items: list[T], path: Places, count: int) -> list[list[T]]:
    """Return the items of each of ``count`` paths; ``path`` says, in order, which one an item is of."""
    ends = np.searchsorted(path, np.arange(count), side="right").tolist()
    return [items[start:end] for start, end in pairwise([0, *ends])]
