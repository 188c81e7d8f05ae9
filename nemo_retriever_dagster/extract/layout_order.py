"""Reading order: columns are read one after another, what spans them divides the page into strips.

The order in which a born-digital page was written is a witness: a gutter whose two sides were written turn by turn
separates cells of rows, not columns of prose.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    array = np.array(boxes, dtype=np.float32)
    page = _Page(
        array,
        np.array(order if order is not None else [np.nan] * len(boxes), dtype=np.float32),
        np.array(lines if lines is not None else [1] * len(boxes), dtype=np.float32),
    )
    return _ordered(page, list(range(len(boxes))), 0)


def _descends(boxes: Floats, order: Floats) -> bool:
    """Tell whether the boxes, as written, go down the page without ever going back up."""
    sorted_boxes = boxes[np.argsort(order, kind="stable")]
    tops, bottoms = sorted_boxes[:, 1], sorted_boxes[:, 3]
    return bool((tops[1:] >= bottoms[:-1] - 0.35 * (bottoms - tops)[:-1]).all())


def _ordered(page: _Page, members: list[int], depth: int) -> list[int]:
    if len(members) < 2:  # noqa: PLR2004 - nothing to order
        return members
    written = page.written[members]
    if not np.isnan(written[0]) and _descends(page.boxes[members], written):
        return [members[i] for i in np.argsort(written, kind="stable")]
    gutter = _gutter(page.of(members)) if depth < _DEPTH else None
    if gutter is None:
        return _by_rows(page, members)
    left, right, across = ([members[i] for i in np.flatnonzero(mask)] for mask in gutter)
    result: list[int] = []
    middle = (page.boxes[:, 1] + page.boxes[:, 3]) / 2
    spans = sorted(across, key=lambda i: float(middle[i]))
    for strip in range(len(spans) + 1):
        top = float(middle[spans[strip - 1]]) if strip else -np.inf
        bottom = float(middle[spans[strip]]) if strip < len(spans) else np.inf
        for side in (left, right):
            inside = [i for i in side if top <= float(middle[i]) < bottom]
            result.extend(_ordered(page, inside, depth + 1))
        if strip < len(spans):
            result.append(spans[strip])
    return result


def _gutter(page: _Page) -> _Sides | None:
    """Find the best gutter: masks of the boxes left of it, right of it and across it; None where there is none."""
    boxes = page.boxes
    edges = np.array(sorted(set(boxes[:, 2].tolist())), dtype=np.float32)[:, None]
    left = boxes[:, 2] <= edges + _OVERHANG
    right = (boxes[:, 0] >= edges - _OVERHANG) & ~left
    across = ~left & ~right
    shared, gap = _side_by_side(boxes, left, right)
    height = float(boxes[:, 3].max() - boxes[:, 1].min()) or 1.0
    possible = left.any(axis=1) & right.any(axis=1) & (shared >= _SHARED * height)
    possible &= across.sum(axis=1) <= _CROSSING * len(boxes)
    score = shared / height - across.mean(axis=1) + 1e-3 * gap
    for index in sorted(np.flatnonzero(possible).tolist(), key=lambda i: -float(score[i])):
        sides = left[index], right[index], across[index]
        if _columns(page, *sides):
            return sides
    return None


def _side_by_side(boxes: Floats, left: NDArray[np.bool_], right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return, for each pair of masks, the height over which both sides have something, and the width between them."""
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
    order = np.argsort(written, kind="stable")
    spare = 0
    strips = np.split(order, np.flatnonzero(across[order]))
    for strip in (right[part[~across[part]]] for part in strips):
        spare += max(int(np.count_nonzero(strip[1:] != strip[:-1])) - 1, 0)
    return spare


def _is_prose(page: _Page, side: NDArray[np.bool_]) -> bool:
    """Tell whether most lines fill the width of their column, as running text does and cells do not."""
    boxes, lines = page.boxes[side], page.lines[side]
    widths = boxes[:, 2] - boxes[:, 0]
    column = float(np.percentile(widths, _USUAL))
    height = float(np.median((boxes[:, 3] - boxes[:, 1]) / lines))
    full = float(lines[widths >= _FULL * column].sum())
    return column >= _WIDE * height and float(lines.sum()) >= _PROSE_LINES and full >= 0.5 * float(lines.sum())


def _by_rows(page: _Page, members: list[int]) -> list[int]:
    """Order from top to bottom; boxes of one row from left to right."""
    boxes = page.boxes
    rows: list[list[int]] = []
    for index in sorted(members, key=lambda i: (float(boxes[i, 1]), float(np.nan_to_num(page.written[i])))):
        if rows and _same_row(boxes[rows[-1][0]], boxes[index]):
            rows[-1].append(index)
        else:
            rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda i: float(boxes[i, 0]))]


def _same_row(a: Floats, b: Floats) -> bool:
    shared = float(min(a[3], b[3]) - max(a[1], b[1]))
    heights = sorted((float(a[3] - a[1]), float(b[3] - b[1])))
    # a tall picture beside a line of text is not a row of it
    return shared > _SAME_ROW * heights[0] and heights[1] < 3 * heights[0]
