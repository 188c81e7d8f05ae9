"""A page's render beside the page: boxes and cuttings from the one to the other."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from PIL import Image

from nemo_retriever_dagster.model import Box, Origin, Picture, Word
from nemo_retriever_dagster.recognise.tilt import leaning, tilt_of, upright

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nemo_retriever_dagster.extract.contract import Page
    from nemo_retriever_dagster.model import Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A render of a page, the page's number, and its size in the unit of its boxes.

    ``tilt``: by how many degrees the page leans that ``picture`` shows upright.
    """

    number: int
    size: tuple[float, float]
    picture: Picture
    tilt: float = 0.0

    @classmethod
    def of(cls, page: Page, scan: Picture) -> Self:
        """Return the frame of a page; a page without a size is as large as its render."""
        return cls(number=page.number, size=page.size or (float(scan.width), float(scan.height)), picture=scan)

    def upright(self) -> Self:
        """Return the frame of the same page without its tilt; boxes are then those of the upright page."""
        tilt = tilt_of(self.picture)
        return replace(self, picture=upright(self.picture, tilt), tilt=tilt) if tilt else self

    def leaning(self, element: Element) -> Element:
        """Return an element that was read on the upright page with its box on the page as it is."""
        if not self.tilt or element.box is None or element.origin is not Origin.OCR:
            return element
        return replace(element, box=leaning(element.box, self.tilt, self.size))

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
        x0, y0, x1, y1 = self.to_render(box)
        left, top = min(max(int(x0), 0), self.picture.width - 1), min(max(int(y0), 0), self.picture.height - 1)
        right = min(max(round(x1), left + 1), self.picture.width)
        bottom = min(max(round(y1), top + 1), self.picture.height)
        with Image.open(io.BytesIO(self.picture.data)) as opened:
            image = opened.crop((left, top, right, bottom))
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=1)
        return Picture(data=out.getvalue(), width=image.width, height=image.height)
