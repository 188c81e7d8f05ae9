"""Reading order: columns are read one after another, what spans them divides the page into strips.

The order in which a born-digital page was written is a witness: a gutter whose two sides were written turn by turn
separates cells of rows, not columns of prose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.model import Box

    Floats = NDArray[np.float32]

_DEPTH = 6
_OVERHANG = 1.5  # units a box may stand over a gutter's edge
_SHARED = 0.12  # of the region's height: two columns run side by side at least this long
_CROSSING = 0.4  # share of the boxes that may span a gutter
_TURNS = 0.34  # changes of side per box, written turn by turn above this
_SAME_ROW = 0.5  # of the lower box: overlapping this much in height is the same row
_FULL = 0.75  # a line this long, in widths of its column, is prose


def reading_order(boxes: Sequence[Box], order: Sequence[float] | None = None) -> list[int]:
    """Return the indices of ``boxes`` as they are read.

    ``order`` is each box's place in the source where the source has an order of its own, None where it has none
    (words of a scan).
    """
    if len(boxes) < 2:  # noqa: PLR2004 - nothing to order
        return list(range(len(boxes)))
    array = np.array(boxes, dtype=np.float32)
    if order is not None and _descends(array, order):
        return sorted(range(len(boxes)), key=lambda i: order[i])
    written = np.array(order if order is not None else [-1.0] * len(boxes), dtype=np.float64)
    return _ordered(array, written, list(range(len(boxes))), 0)


def _descends(boxes: Floats, order: Sequence[float]) -> bool:
    """Tell whether the boxes, as written, go down the page without ever going back up."""
    sorted_boxes = boxes[np.argsort(np.array(order), kind="stable")]
    tops, bottoms = sorted_boxes[:, 1], sorted_boxes[:, 3]
    return bool((tops[1:] >= bottoms[:-1] - 0.35 * (bottoms - tops)[:-1]).all())


def _ordered(boxes: Floats, written: NDArray[np.float64], members: list[int], depth: int) -> list[int]:
    if len(members) < 2:  # noqa: PLR2004 - nothing to order
        return members
    gutter = _gutter(boxes[members], written[members]) if depth < _DEPTH else None
    if gutter is None:
        return _by_rows(boxes, written, members)
    left, right, across = ([members[i] for i in np.flatnonzero(mask)] for mask in gutter)
    result: list[int] = []
    spans = sorted(across, key=lambda i: float(boxes[i, 1]))
    edges = [float(boxes[i, 1] + boxes[i, 3]) / 2 for i in spans]
    for strip in range(len(spans) + 1):
        top = edges[strip - 1] if strip else -np.inf
        bottom = edges[strip] if strip < len(spans) else np.inf
        for side in (left, right):
            inside = [i for i in side if top <= float(boxes[i, 1] + boxes[i, 3]) / 2 < bottom]
            result.extend(_ordered(boxes, written, inside, depth + 1))
        if strip < len(spans):
            result.append(spans[strip])
    return result


def _gutter(boxes: Floats, written: NDArray[np.float64]) -> tuple[NDArray[np.bool_], ...] | None:
    """Find the best gutter: masks of the boxes left of it, right of it and across it; None where there is none."""
    best, best_score = None, 0.0
    height = float(boxes[:, 3].max() - boxes[:, 1].min()) or 1.0
    for edge in np.unique(boxes[:, 2]):
        left = boxes[:, 2] <= edge + _OVERHANG
        right = (boxes[:, 0] >= edge - _OVERHANG) & ~left
        across = ~left & ~right
        if not left.any() or not right.any() or across.sum() > _CROSSING * len(boxes):
            continue
        shared = _side_by_side(boxes[left], boxes[right])
        if shared < _SHARED * height or not _columns(boxes, written, left, right, across):
            continue
        score = shared / height - across.sum() / len(boxes)
        gap = float(boxes[right, 0].min() - boxes[left, 2].max())
        score += 1e-3 * gap
        if best is None or score > best_score:
            best, best_score = (left, right, across), score
    return best


def _side_by_side(left: Floats, right: Floats) -> float:
    """Return the height over which both sides have something."""
    return float(min(left[:, 3].max(), right[:, 3].max()) - max(left[:, 1].min(), right[:, 1].min()))


def _columns(boxes: Floats, written: NDArray[np.float64], *sides: NDArray[np.bool_]) -> bool:
    left, right, across = sides
    if written[0] >= 0:
        labels = right[np.argsort(written, kind="stable")]
        labels = labels[~across[np.argsort(written, kind="stable")]]
        turns = int(np.count_nonzero(labels[1:] != labels[:-1]))
        if turns <= max(2 * (int(across.sum()) + 1), int(_TURNS * min(left.sum(), right.sum()))):
            return True
    return _is_prose(boxes[left]) and _is_prose(boxes[right])


def _is_prose(boxes: Floats) -> bool:
    """Tell whether most lines fill the width of their column, as running text does and cells do not."""
    widths = boxes[:, 2] - boxes[:, 0]
    column = float(boxes[:, 2].max() - boxes[:, 0].min())
    return len(boxes) > 2 and float((widths >= _FULL * column).mean()) >= 0.5  # noqa: PLR2004 - most of several


def _by_rows(boxes: Floats, written: NDArray[np.float64], members: list[int]) -> list[int]:
    """Order from top to bottom; boxes of one row from left to right."""
    rows: list[list[int]] = []
    for index in sorted(members, key=lambda i: (float(boxes[i, 1]), float(written[i]))):
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
