"""Reading order: columns are read one after another, what spans them divides the page into strips.

The order in which a born-digital page was written is a witness: a gutter whose two sides were written turn by turn
separates cells of rows, not columns of prose.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.model import Box

    Floats = NDArray[np.float32]
    _Sides = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]

_DEPTH = 6
_OVERHANG = 1.5  # units a box may stand over a gutter's edge
_SHARED = 0.12  # of the region's height: two columns run side by side at least this long
_CROSSING = 0.4  # share of the boxes that may span a gutter
_TURNS = 0.34  # changes of side per box, written turn by turn above this
_SAME_ROW = 0.5  # of the lower box: overlapping this much in height is the same row
_FULL = 0.75  # a line this long, in widths of its column, is prose
_WIDE = 8  # heights of a line: a narrower column holds no prose
_USUAL = 80  # percentile of the widths: what a full line of the column measures
_PROSE_LINES = 3
_COLUMN_LINES = 2


def written_in_columns(boxes: Sequence[Box], order: Sequence[float]) -> bool:
    """Tell whether lines side by side are columns of prose: written one column after the other, filling the width.

    A table is written row by row, or its cells do not fill their columns.
    """
    array, written = np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(order, dtype=np.float32)
    page = _Page(array, written, np.ones(len(array), dtype=np.float32))
    for edge in sorted(set(array[:, 2].tolist())):
        left, right, across = _sides(array, edge)
        if min(left.sum(), right.sum()) < _COLUMN_LINES or across.sum() > _CROSSING * len(array):
            continue
        in_turn = _turns(written, right, across) == 0
        if in_turn and (_is_prose(page, left) or _is_prose(page, right)):
            return True
    return False


def _sides(boxes: Floats, edge: float) -> _Sides:
    """Return the masks of the boxes left of an edge, right of it, and across it."""
    left = boxes[:, 2] <= edge + _OVERHANG
    right = (boxes[:, 0] >= edge - _OVERHANG) & ~left
    return left, right, ~left & ~right


@dataclass(frozen=True, slots=True)
class _Page:
    """The boxes to order; ``written`` is NaN where the source has no order, ``lines`` how many lines each box holds."""

    boxes: Floats
    written: Floats
    lines: Floats

    def of(self, members: list[int]) -> _Page:
        return _Page(self.boxes[members], self.written[members], self.lines[members])


def reading_order(
    boxes: Sequence[Box], order: Sequence[float] | None = None, lines: Sequence[int] | None = None
) -> list[int]:
    """Return the indices of ``boxes`` as they are read.

    ``order`` is each box's place in the source where the source has an order of its own, None where it has none (words
    of a scan); ``lines`` is how many lines of text each box holds, one where not given.
    """
    if len(boxes) < 2:  # noqa: PLR2004 - nothing to order
        return list(range(len(boxes)))
    members = list(range(len(boxes)))
    if order is None and (sum(lines) if lines else len(boxes)) < 2 * _PROSE_LINES:
        return _by_rows(boxes, None, members)  # too few lines for two columns of prose
    if order is not None and (written := _as_written(boxes, order, members)):
        return written
    page = _Page(
        np.array(boxes, dtype=np.float32),
        np.array(order if order is not None else [np.nan] * len(boxes), dtype=np.float32),
        np.array(lines if lines is not None else [1] * len(boxes), dtype=np.float32),
    )
    # in the boxes' own precision: what stands on one line has one middle
    middles = ((page.boxes[:, 1] + page.boxes[:, 3]) / 2).tolist()
    return _Reading(page, page.boxes.tolist(), middles, order).ordered(members, 0)


def _as_written(boxes: Sequence[Sequence[float]], order: Sequence[float], members: list[int]) -> list[int]:
    """Return the members in the order they were written in if that goes down the page and never back up, else none."""
    ranked = sorted(members, key=order.__getitem__)
    for above, below in pairwise(ranked):
        _, top, _, bottom = boxes[above]
        if boxes[below][1] < bottom - 0.35 * (bottom - top):
            return []
    return ranked


@dataclass(frozen=True, slots=True)
class _Reading:
    """A page while it is ordered; ``boxes`` are its boxes once more, as floats, ``middles`` their heights on it."""

    page: _Page
    boxes: list[list[float]]
    middles: list[float]
    order: Sequence[float] | None

    def ordered(self, members: list[int], depth: int) -> list[int]:
        if len(members) < 2:  # noqa: PLR2004 - nothing to order
            return members
        if self.order is not None and (written := _as_written(self.boxes, self.order, members)):
            return written
        gutter = _gutter(self.page.of(members)) if depth < _DEPTH else None
        if gutter is None:
            return _by_rows(self.boxes, self.order, members)
        left, right, across = ([members[i] for i in np.flatnonzero(mask)] for mask in gutter)
        result: list[int] = []
        spans = sorted(across, key=self.middles.__getitem__)
        edges = [-inf, *(self.middles[i] for i in spans), inf]
        for strip, (top, bottom) in enumerate(pairwise(edges)):
            for side in (left, right):
                result.extend(self.ordered([i for i in side if top <= self.middles[i] < bottom], depth + 1))
            result.extend(spans[strip : strip + 1])
        return result


def _by_rows(boxes: Sequence[Sequence[float]], order: Sequence[float] | None, members: list[int]) -> list[int]:
    """Order from top to bottom; boxes of one row from left to right."""
    rows: list[list[int]] = []
    for index in sorted(members, key=lambda i: (boxes[i][1], order[i] if order is not None else 0.0)):
        if rows and _same_row(boxes[rows[-1][0]], boxes[index]):
            rows[-1].append(index)
        else:
            rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda i: boxes[i][0])]


def _gutter(page: _Page) -> _Sides | None:
    """Find the best gutter: masks of the boxes left of it, right of it and across it; None where there is none."""
    boxes = page.boxes
    edges = np.array(sorted(set(boxes[:, 2].tolist())), dtype=np.float32)[:, None]
    left = boxes[:, 2] <= edges + _OVERHANG
    right = (boxes[:, 0] >= edges - _OVERHANG) & ~left
    across = ~left & ~right
    shared, gap = _side_by_side(boxes, left, right)
    height = float(boxes[:, 3].max() - boxes[:, 1].min()) or 1.0
    crossing = across.sum(axis=1)
    possible = (shared >= _SHARED * height) & (crossing <= _CROSSING * len(boxes))
    candidates = possible.nonzero()[0].tolist()
    if not candidates:
        return None
    score = shared / height - crossing / len(boxes) + 1e-3 * gap
    seen = set()
    for index in sorted(candidates, key=(-score).tolist().__getitem__):
        sides = left[index], right[index], across[index]
        division = left[index].tobytes() + right[index].tobytes()
        if division not in seen and _columns(page, *sides):
            return sides
        seen.add(division)
    return None


def _side_by_side(boxes: Floats, left: NDArray[np.bool_], right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return, for each pair of masks, the height over which both sides have something, and the width between them.

    The height is minus infinity where a side has nothing.
    """
    top, bottom = boxes[:, 1], boxes[:, 3]
    lowest = np.minimum(np.where(left, bottom, -np.inf).max(axis=1), np.where(right, bottom, -np.inf).max(axis=1))
    highest = np.maximum(np.where(left, top, np.inf).min(axis=1), np.where(right, top, np.inf).min(axis=1))
    gap = np.where(right, boxes[:, 0], np.inf).min(axis=1) - np.where(left, boxes[:, 2], -np.inf).max(axis=1)
    return lowest - highest, np.where(np.isfinite(gap), gap, 0.0)


def _columns(page: _Page, left: NDArray[np.bool_], right: NDArray[np.bool_], across: NDArray[np.bool_]) -> bool:
    """Tell columns from cells: columns were written one after the other, or both are prose."""
    written = page.written
    if not np.isnan(written[0]) and _turns(written, right, across) <= _TURNS * min(left.sum(), right.sum()):
        return True
    return _is_prose(page, left) and _is_prose(page, right)


def _turns(written: Floats, right: NDArray[np.bool_], across: NDArray[np.bool_]) -> int:
    """Count how often writing changed sides, more than the once that any strip between spanning boxes needs."""
    spare = changes = 0
    on_right: list[bool] = right.tolist()
    spans: list[bool] = across.tolist()
    last: bool | None = None
    for index in np.argsort(written, kind="stable").tolist():
        if spans[index]:
            spare += max(changes - 1, 0)
            changes, last = 0, None
            continue
        if last is not None and last != on_right[index]:
            changes += 1
        last = on_right[index]
    return spare + max(changes - 1, 0)


def _is_prose(page: _Page, side: NDArray[np.bool_]) -> bool:
    """Tell whether most lines fill the width of their column, as running text does and cells do not."""
    boxes, lines = page.boxes[side].tolist(), page.lines[side].tolist()
    if sum(lines) < _PROSE_LINES:
        return False
    widths = [x1 - x0 for x0, _, x1, _ in boxes]
    column = _percentile(widths, _USUAL)
    height = median((y1 - y0) / count for (_, y0, _, y1), count in zip(boxes, lines, strict=True))
    full = sum(count for width, count in zip(widths, lines, strict=True) if width >= _FULL * column)
    return bool(column >= _WIDE * height and full >= 0.5 * sum(lines))


def _percentile(values: list[float], share: float) -> float:
    ordered, place = sorted(values), (len(values) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _same_row(a: Sequence[float], b: Sequence[float]) -> bool:
    shared = min(a[3], b[3]) - max(a[1], b[1])
    lower, higher = sorted((a[3] - a[1], b[3] - b[1]))
    # a tall picture beside a line of text is not a row of it
    return shared > _SAME_ROW * lower and higher < 3 * lower
