"""A page's render beside the page: boxes and cuttings from the one to the other."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from PIL import Image

from nemo_retriever_dagster.engines.pictures import turned
from nemo_retriever_dagster.model import STRUCTURED, Box, Picture, Word
from nemo_retriever_dagster.recognise.tilt import leaning, tilt_of, upright
from nemo_retriever_dagster.recognise.turn import turns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.contract import Page
    from nemo_retriever_dagster.model import Element

_LARGEST = 1024  # pixels of the longer side of what stands for an element: as large as native pages are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A render of a page, the page's number, and its size in the unit of its boxes.

    Where the page is shown otherwise than it lies, ``size`` and all boxes are those of what is shown. ``tilt``: by how
    many degrees the page leans that ``picture`` shows upright; ``turns``: how many quarter turns to the left it took.
    """

    number: int
    size: tuple[float, float]
    picture: Picture
    tilt: float = 0.0
    turns: int = 0

    @classmethod
    def of(cls, page: Page, scan: Picture) -> Self:
        """Return the frame of a page; a page without a size is as large as its render."""
        return cls(number=page.number, size=page.size or (float(scan.width), float(scan.height)), picture=scan)

    def upright(self) -> Self:
        """Return the frame of the same page without its tilt."""
        tilt = tilt_of(self.picture)
        return replace(self, picture=upright(self.picture, tilt), tilt=self.tilt + tilt) if tilt else self

    def turned(self, words: Sequence[Word]) -> tuple[Self, list[Word]]:
        """Return the frame of the same page the way up that its words (in pixels) tell, and the words on that."""
        turns = turns_of(words)
        if not turns:
            return self, list(words)
        picture = turned(self.picture, turns)
        width, height = picture.width, picture.height
        size = self.size[::-1] if turns % 2 else self.size
        frame = replace(self, picture=picture, size=size, turns=turns)
        if turns % 2 and not self.tilt:
            frame = frame.upright()  # lines that stood upright did not show how far the page leans
        boxes = (word.box.turned_back(4 - turns, width, height) for word in words)
        lean = self.tilt - frame.tilt
        placed = (leaning(box, lean, (width, height)) if lean else box for box in boxes)
        return frame, [replace(word, box=box) for word, box in zip(words, placed, strict=True)]

    def own(self, elements: Iterable[Element]) -> tuple[Element, ...]:
        """Return the elements of the page as it lies where they stand on the turned page."""
        return tuple(self._turned(one) for one in elements)

    def _turned(self, element: Element) -> Element:
        if not self.turns or element.box is None:
            return element
        return replace(element, box=element.box.turned_back(4 - self.turns, *self.size))

    def as_it_lies(
        self, elements: Iterable[Element], own: Sequence[Element], before: Sequence[Element]
    ) -> tuple[Element, ...]:
        """Return elements with their boxes on the page as it is; the page's `own` as they were ``before``."""
        known = dict(zip(map(id, own), before, strict=True))
        return tuple(known[id(one)] if id(one) in known else self._lying(one) for one in elements)

    def _lying(self, element: Element) -> Element:
        if element.box is None or not (self.tilt or self.turns):
            return element
        size = self.size[::-1] if self.turns % 2 else self.size
        box = leaning(element.box, self.tilt, self.size) if self.tilt else element.box
        return replace(element, box=box.turned_back(self.turns, *size), page_size=size)

    def to_page(self, box: Box) -> Box:
        """Take a box from pixels of the render to the page's unit."""
        return box.scale(self.size[0] / self.picture.width, self.size[1] / self.picture.height)

    def to_render(self, box: Box) -> Box:
        """Take a box from the page's unit to pixels of the render."""
        return box.scale(self.picture.width / self.size[0], self.picture.height / self.size[1])

    def words(self, words: Iterable[Word]) -> tuple[Word, ...]:
        """Take words from pixels of the render to the page's unit."""
        return tuple(replace(word, box=self.to_page(word.box)) for word in words)

    def cut(self, box: Box) -> Picture:
        """Cut the part of the render at ``box`` (in the page's unit) out, as PNG, at least one pixel of it."""
        with Image.open(io.BytesIO(self.picture.data)) as opened:
            return _as_png(opened.crop(self._pixels(box)))

    def pictured(self, elements: Sequence[Element]) -> tuple[Element, ...]:
        """Return ``elements``, tables and charts without a picture with what the render shows at their boxes, as PNG.

        A picture is 1024 pixels wide or high at most.
        """
        bare = {i: one.box for i, one in enumerate(elements) if _lacks_picture(one) and one.box is not None}
        if not bare:
            return tuple(elements)
        with Image.open(io.BytesIO(self.picture.data)) as opened:
            cut = {i: _as_png(_fitted(opened.crop(self._pixels(box)))) for i, box in bare.items()}
        return tuple(replace(one, picture=cut[i]) if i in cut else one for i, one in enumerate(elements))

    def _pixels(self, box: Box) -> tuple[int, int, int, int]:
        """Return the pixels of the render at ``box``, at least one."""
        x0, y0, x1, y1 = self.to_render(box)
        left, top = min(max(int(x0), 0), self.picture.width - 1), min(max(int(y0), 0), self.picture.height - 1)
        right = min(max(round(x1), left + 1), self.picture.width)
        bottom = min(max(round(y1), top + 1), self.picture.height)
        return left, top, right, bottom


def _lacks_picture(element: Element) -> bool:
    return element.kind in STRUCTURED and element.picture is None


def _fitted(image: Image.Image) -> Image.Image:
    if max(image.size) > _LARGEST:
        image = image.convert("L" if image.mode in {"1", "L"} else "RGB")
        image.thumbnail((_LARGEST, _LARGEST))
    return image


def _as_png(image: Image.Image) -> Picture:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return Picture(data=out.getvalue(), width=image.width, height=image.height)
