"""Pictures of a PDF page: raster images and vector drawings, clustered where they belong together.

The rules of the reference: boxes within 10 points belong together, nothing below 10 x 10 points counts, a group without
a raster image needs at least three parts and covers less than half of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.charts import value_of
from nemo_retriever_dagster.extract.layout import Looks, lines_of
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.pdf_geometry import Drawings
    from nemo_retriever_dagster.extract.pdf_words import PageWords

_NEAR = 10.0
_SMALLEST = 10.0
_PARTS = 3
_HALF = 0.5
LABEL_ROOM = (48.0, 30.0, 12.0, 48.0)
"""Points left of, above, right of and below a plot's drawings in which the labels of its axes stand."""
CHART_PARTS = 3
"""Drawn objects that a chart is made of at least."""
_TICKS, _NARROW = 3, 0.5  # numbers of a scale; the size, as a share of the height, that sets labels apart
_CHART_LEAST = (72.0, 48.0)  # points: in a smaller picture no axis can be read
_PAGE_SHARE = 0.8  # a picture covering more of the page is a scan of a page, not a chart on it
_INFOGRAPHIC_SHARE, _INFOGRAPHIC_WORDS, _INFOGRAPHIC_PARTS = 0.2, 15, 10
_MANY = 1500  # boxes compared with each other at most; beyond, the smallest are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A picture on the page: its box, how many objects it is made of, and whether a raster image is among them."""

    box: Box
    parts: int
    raster: bool


def grouped_pictures(drawings: Drawings, size: tuple[float, float], taken: Sequence[Box]) -> list[Group]:
    """Return the pictures of a page, clustered; boxes in ``taken`` (tables) are none of them."""
    rasters = [box for box in drawings.pictures if box.area > 0 or max(box.width, box.height) > 0]
    vectors = drawings.shapes
    if not rasters and len(vectors) < _PARTS:
        return []
    vectors = _outside(vectors, taken)
    boxes = [_clipped(box, size) for box in [*rasters, *vectors]]
    page = size[0] * size[1]
    groups = [
        Group(box=_around(boxes, members), parts=len(members), raster=any(i < len(rasters) for i in members))
        for members in _clusters(boxes)
    ]
    return [group for group in groups if _counts(group, page, curved=bool(drawings.drawings))]


def simple_pictures(drawings: Drawings, size: tuple[float, float]) -> list[Group]:
    """Return every raster image of at least 10 x 10 points on its own."""
    boxes = (_clipped(box, size) for box in drawings.pictures)
    return [Group(box=box, parts=1, raster=True) for box in boxes if min(box.width, box.height) >= _SMALLEST]


def may_hold_chart(group: Group, size: tuple[float, float]) -> bool:
    """Tell whether a raster picture is worth reading by OCR to see whether it is a chart."""
    large = group.box.width >= _CHART_LEAST[0] and group.box.height >= _CHART_LEAST[1]
    return large and group.box.area < _PAGE_SHARE * size[0] * size[1]


def may_hold_scale(words: PageWords) -> bool:
    """Tell whether enough numbers stand apart from other text to be a chart's scale: a look before `find_charts`."""
    if len(words.words) < _TICKS:
        return False
    labels = lines_of(words.words, words.boxes, Looks.plain(words.boxes, share=_NARROW))
    values = (label for label in labels if value_of(label.text) is not None)
    return sum(1 for _ in islice(values, _TICKS)) == _TICKS


def is_drawn(chart: Box, shapes: Sequence[Box]) -> bool:
    """Tell whether enough is drawn between the axes of a chart: bars, lines, a grid."""
    inside = (shape for shape in shapes if shape.intersect(chart) == shape)
    return sum(1 for _ in inside) >= CHART_PARTS


def is_infographic(group: Group, words: int, size: tuple[float, float]) -> bool:
    """Tell whether a picture is an infographic: a fifth of the page or more, of many parts, with much text in it."""
    large = group.box.area >= _INFOGRAPHIC_SHARE * size[0] * size[1]
    large = large and group.box.area < _PAGE_SHARE * size[0] * size[1]
    return large and words >= _INFOGRAPHIC_WORDS and (group.raster or group.parts >= _INFOGRAPHIC_PARTS)


def _counts(group: Group, page: float, *, curved: bool) -> bool:
    if min(group.box.width, group.box.height) < _SMALLEST:
        return False
    return group.raster or (curved and group.parts >= _PARTS and group.box.area < _HALF * page)


def _outside(boxes: Sequence[Box], taken: Sequence[Box]) -> list[Box]:
    return [box for box in boxes if not any(_touches(box, other) for other in taken)]


def _touches(a: Box, b: Box) -> bool:
    return a.x0 <= b.x1 and b.x0 <= a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def _clipped(box: Box, size: tuple[float, float]) -> Box:
    return Box(max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, size[0]), min(box.y1, size[1]))


def _around(boxes: Sequence[Box], members: Sequence[int]) -> Box:
    box = boxes[members[0]]
    for index in members[1:]:
        box = box.union(boxes[index])
    return box


def _clusters(boxes: Sequence[Box]) -> list[list[int]]:
    """Return the members of each group of boxes that are within reach of each other, by flooding."""
    keep = list(range(len(boxes)))
    if len(keep) > _MANY:
        keep = sorted(sorted(keep, key=lambda i: -boxes[i].area)[:_MANY])
    array = np.array([boxes[i] for i in keep], dtype=np.float32).reshape(-1, 4)
    left = np.ones(len(array), dtype=np.bool_)
    groups: list[list[int]] = []
    while left.any():
        group = np.zeros(len(array), dtype=np.bool_)
        group[int(np.argmax(left))] = True
        edge = group
        while edge.any():
            near = _within_reach(array, array[edge]) & left & ~group
            group, edge = group | near, near
        left &= ~group
        groups.append([keep[i] for i in np.flatnonzero(group)])
    return groups


def _within_reach(boxes: np.ndarray, of: np.ndarray) -> np.ndarray:
    a, b = boxes[:, None, :], of[None, :, :]
    apart_x = (a[..., 0] - b[..., 2] > _NEAR) | (b[..., 0] - a[..., 2] > _NEAR)
    apart_y = (a[..., 1] - b[..., 3] > _NEAR) | (b[..., 1] - a[..., 3] > _NEAR)
    result: np.ndarray = (~(apart_x | apart_y)).any(axis=1)
    return result
