"""A PDF page as `PageGeometry`: its words, and its drawings told apart as rulings, fills, pictures and the rest."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.geometry import PageGeometry, boxes_of
from nemo_retriever_dagster.extract.pdf_paths import as_line, product, read_outlines
from nemo_retriever_dagster.extract.pdf_words import bounded, read_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.geometry import Ruling
    from nemo_retriever_dagster.extract.pdf_paths import Matrix, Outline
    from nemo_retriever_dagster.extract.pdf_words import Frame, PageWords
    from nemo_retriever_dagster.model import Box

    Floats = NDArray[np.float32]

_DEPTH = 8  # forms within forms
_MANY = 3_000  # objects of one page or form looked at singly
_OBJECTS = 500_000  # objects of one page, forms within forms included
_SEGMENTS = 40_000  # path segments looked at on one page


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

    def mirrored(self, width: float) -> Drawings:
        """Return what is drawn on a page ``width`` wide as a mirror shows it."""
        return Drawings(
            rulings=[replace(ruling, box=ruling.box.mirrored(width)) for ruling in self.rulings],
            fills=[box.mirrored(width) for box in self.fills],
            pictures=[box.mirrored(width) for box in self.pictures],
            drawings=[box.mirrored(width) for box in self.drawings],
        )


def read_geometry(page: Any) -> PageGeometry:
    """Read a pypdfium2 page: words, rulings, fills, pictures and other drawings, in points of the shown page."""
    with closing(page.get_textpage()) as opened:
        words = read_words(page, opened)
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
        rows = [(objects[i], kinds[i], box, as_line(box)) for i, box in zip(shown, boxes_of(boxes), strict=True)]
        outlines = self._outlines(
            {item: box for item, kind, box, line in rows if kind == pdf_raw.PATH and line is None}, matrix
        )
        for item, kind, box, line in rows:
            if kind != pdf_raw.PATH:
                self._other(item, kind, box, matrix, depth)
            elif line is not None:
                self.found.rulings.append(line)
            else:
                self._path(box, outlines.get(item))

    def _outlines(self, paths: dict[int, Box], matrix: Matrix | None) -> dict[int, Outline]:
        """Return the outlines of paths, given with their boxes, of no more than may be looked at on a page."""
        counts = pdf_raw.segment_counts(list(paths))
        totals = list(accumulate(counts, initial=0))
        read = bisect_right(totals, self.segments_left) - 1
        self.segments_left -= totals[-1]
        if read <= 0:
            return {}
        some = list(paths.items())[:read]
        outlines = read_outlines(some, counts[:read], self.frame, matrix)
        return {item: outline for (item, _), outline in zip(some, outlines, strict=True)}

    def _path(self, box: Box, outline: Outline | None) -> None:
        found = self.found
        if outline is None or outline.bent:
            if outline is None or outline.painted:
                found.drawings.append(box)
            return
        found.rulings.extend(outline.rulings)
        found.fills.extend(outline.fills)

    def _other(self, item: int, kind: int, box: Box, matrix: Matrix | None, depth: int) -> None:
        if kind == pdf_raw.IMAGE:
            self.found.pictures.append(box)
        elif kind == pdf_raw.FORM and depth < _DEPTH:
            (inner,) = map(tuple, pdf_raw.object_matrices([item]).tolist())
            self.read(pdf_raw.form_children(item), inner if matrix is None else product(inner, matrix), depth + 1)
        elif kind == pdf_raw.SHADING:
            self.found.drawings.append(box)


def _transformed(bounds: Floats, matrix: Matrix) -> Floats:
    a, b, c, d, e, f = matrix
    with np.errstate(over="ignore", invalid="ignore"):
        corners_x = np.stack([bounds[:, i] * a + bounds[:, j] * c + e for i in (0, 2) for j in (1, 3)])
        corners_y = np.stack([bounds[:, i] * b + bounds[:, j] * d + f for i in (0, 2) for j in (1, 3)])
        sides = (corners_x.min(axis=0), corners_y.max(axis=0), corners_x.max(axis=0), corners_y.min(axis=0))
        return bounded(np.stack(sides, axis=1))
