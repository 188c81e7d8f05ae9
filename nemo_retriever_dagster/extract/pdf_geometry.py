"""A PDF page as `PageGeometry`: its words, and its drawings told apart as rulings, fills, pictures and the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.geometry import PageGeometry, Ruling, boxes_of
from nemo_retriever_dagster.extract.pdf_words import bounded, held, read_words
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.pdf_words import Frame, PageWords

    Floats = NDArray[np.float32]
    Matrix = tuple[float, ...]

_THIN = 3.0  # points: a filled bar up to this high is a line
_LONG = 2.0  # a line is at least this much longer than thick
_SLACK = 0.75  # points a line may lean over its length and still count as straight
_DEPTH = 8  # forms within forms
_MANY = 3_000  # objects of one page or form looked at singly
_OBJECTS = 500_000  # objects of one page, forms within forms included
_SEGMENTS = 40_000  # path segments looked at on one page
_CURVE, _MOVE = 1, 2
_WHITE = 250
_CORNERS = 4


@dataclass(slots=True, kw_only=True)
class Drawings:
    """What is drawn on a page besides text, as boxes of the shown page."""

    rulings: list[Ruling] = field(default_factory=list)
    fills: list[Box] = field(default_factory=list)
    pictures: list[Box] = field(default_factory=list)
    drawings: list[Box] = field(default_factory=list)

    @property
    def shapes(self) -> list[Box]:
        """Everything but raster images."""
        return [*self.drawings, *self.fills, *(ruling.box for ruling in self.rulings)]

    @property
    def covers(self) -> Floats:
        """Everything that can lie under pale text, as an (n, 4) array."""
        boxes = [*self.fills, *self.pictures, *self.drawings]
        return np.array(boxes, dtype=np.float32).reshape(-1, 4)


def read_geometry(page: Any, *, text_page: Any = None) -> PageGeometry:
    """Read a pypdfium2 page: words, rulings, fills, pictures and other drawings, in points of the shown page.

    ``text_page`` saves reading the text again where the caller has it.
    """
    opened = text_page if text_page is not None else page.get_textpage()
    try:
        words = read_words(page, opened)
    finally:
        if text_page is None:
            opened.close()
    return geometry(words, read_drawings(page, words.frame))


def geometry(words: PageWords, drawings: Drawings) -> PageGeometry:
    """Put the words and the drawings of a page together."""
    return PageGeometry(
        size=words.frame.size,
        words=words.glyphs(drawings),
        rulings=tuple(drawings.rulings),
        fills=tuple(drawings.fills),
        pictures=tuple(drawings.pictures),
        drawings=tuple(drawings.drawings),
    )


def read_drawings(page: Any, frame: Frame) -> Drawings:
    """Read what is drawn on a pypdfium2 page besides text, form XObjects included."""
    reader = _Reader(frame=frame)
    reader.read(pdf_raw.page_children(page.raw), None, 0)
    return reader.found


@dataclass(slots=True, kw_only=True)
class _Reader:
    frame: Frame
    found: Drawings = field(default_factory=Drawings)
    segments_left: int = _SEGMENTS
    objects_left: int = _OBJECTS

    def read(self, objects: list[int], matrix: Matrix | None, depth: int) -> None:
        self.objects_left -= len(objects)
        if self.objects_left < 0:  # forms that draw forms multiply
            return
        kinds = pdf_raw.object_types(objects)
        shown = [i for i, kind in enumerate(kinds) if kind != pdf_raw.TEXT and kind > 0]
        if not shown:
            return
        bounds = pdf_raw.object_bounds([objects[i] for i in shown])
        boxes = self.frame.show(bounded(bounds) if matrix is None else _transformed(bounds, matrix))
        if len(shown) > _MANY:  # a drawing of thousands of strokes: the large ones tell what it is
            longest = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
            kept = np.sort(np.argsort(-longest, kind="stable")[:_MANY])
            shown, boxes = [shown[i] for i in kept.tolist()], boxes[kept]
        for index, box in zip(shown, boxes_of(boxes), strict=True):
            self._object(objects[index], kinds[index], box, matrix, depth)

    def _object(self, item: int, kind: int, box: Box, matrix: Matrix | None, depth: int) -> None:
        if kind == pdf_raw.PATH:
            self._path(item, box, matrix)
        elif kind == pdf_raw.IMAGE:
            self.found.pictures.append(box)
        elif kind == pdf_raw.FORM and depth < _DEPTH:
            inner = pdf_raw.object_matrix(item)
            self.read(pdf_raw.form_children(item), inner if matrix is None else _product(inner, matrix), depth + 1)
        elif kind == pdf_raw.SHADING:
            self.found.drawings.append(box)

    def _path(self, item: int, box: Box, matrix: Matrix | None) -> None:
        line = _as_line(box)
        if line is not None:
            self.found.rulings.append(line)
            return
        count = pdf_raw.segment_count(item)
        self.segments_left -= count
        if self.segments_left < 0:
            self.found.drawings.append(box)
            return
        filled, stroked = pdf_raw.draw_mode(item)
        if filled and self._is_white(item):
            filled = False
        self._shape(item, box, matrix, filled=filled, stroked=stroked)

    @staticmethod
    def _is_white(item: int) -> bool:
        ((red, green, blue, alpha),) = pdf_raw.fill_colours([item]).tolist()
        return bool(alpha == 0 or min(red, green, blue) >= _WHITE)

    def _shape(self, item: int, box: Box, matrix: Matrix | None, *, filled: bool, stroked: bool) -> None:
        lines, curved, rectangles = self._outline(item, matrix)
        if curved or any(line is None for line in lines):
            if filled or stroked:
                self.found.drawings.append(box)
            return
        if stroked:
            self.found.rulings.extend(line for line in lines if line is not None)
        elif filled:
            for rectangle in rectangles:
                thin = _as_line(rectangle)
                if thin is not None:
                    self.found.rulings.append(thin)
        if filled:
            self.found.fills.extend(rectangle for rectangle in rectangles or [box] if _as_line(rectangle) is None)

    def _outline(self, item: int, matrix: Matrix | None) -> tuple[list[Ruling | None], bool, list[Box]]:
        """Return the path's straight sides (None for a leaning one), whether it curves, its sub-paths' boxes."""
        own = pdf_raw.object_matrix(item)
        total = own if matrix is None else _product(own, matrix)
        segments = pdf_raw.segments(item)
        if any(kind == _CURVE for kind, *_ in segments):
            return [], True, []
        points = self._points(segments, total)
        lines: list[Ruling | None] = []
        boxes: list[Box] = []
        for ring in _rings(segments, points):
            lines.extend(_side(a, b) for a, b in pairwise(ring) if a != b)
            if len(ring) >= _CORNERS:
                xs, ys = [x for x, _ in ring], [y for _, y in ring]
                boxes.append(Box(min(xs), min(ys), max(xs), max(ys)))
        return lines, False, boxes

    def _points(self, segments: list[tuple[int, float, float, bool]], matrix: Matrix) -> list[tuple[float, float]]:
        a, b, c, d, e, f = matrix
        place = self.frame.place
        return [place(held(x * a + y * c + e), held(x * b + y * d + f)) for _, x, y, _ in segments]


def _rings(
    segments: list[tuple[int, float, float, bool]], points: list[tuple[float, float]]
) -> Iterator[list[tuple[float, float]]]:
    ring: list[tuple[float, float]] = []
    for (kind, _, _, closes), point in zip(segments, points, strict=True):
        if kind == _MOVE and ring:
            yield ring
            ring = []
        ring.append(point)
        if closes:
            yield [*ring, ring[0]]
            ring = []
    if ring:
        yield ring


def _side(a: tuple[float, float], b: tuple[float, float]) -> Ruling | None:
    box = Box(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
    if box.height <= _SLACK and box.width >= box.height:
        return Ruling(box=box, horizontal=True)
    if box.width <= _SLACK:
        return Ruling(box=box, horizontal=False)
    return None


def _as_line(box: Box) -> Ruling | None:
    if box.height <= _THIN and box.width >= _LONG * box.height:
        return Ruling(box=box, horizontal=True)
    if box.width <= _THIN and box.height >= _LONG * box.width:
        return Ruling(box=box, horizontal=False)
    return None


def _product(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m)


def _transformed(bounds: Floats, matrix: Matrix) -> Floats:
    a, b, c, d, e, f = matrix
    with np.errstate(over="ignore", invalid="ignore"):
        corners_x = np.stack([bounds[:, i] * a + bounds[:, j] * c + e for i in (0, 2) for j in (1, 3)])
        corners_y = np.stack([bounds[:, i] * b + bounds[:, j] * d + f for i in (0, 2) for j in (1, 3)])
        sides = (corners_x.min(axis=0), corners_y.max(axis=0), corners_x.max(axis=0), corners_y.min(axis=0))
        return bounded(np.stack(sides, axis=1))
