"""Tables, charts and infographics where a detector sees them on the render of a page.

Native words come first: OCR reads a region only if the text layer has nothing there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines import postprocess
from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.extract.charts import chart_from_words
from nemo_retriever_dagster.extract.scans import elements_from_words
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Box, Element, Kind, Origin
from nemo_retriever_dagster.recognise.needed import needed
from nemo_retriever_dagster.recognise.order import placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Engines, Region, RegionDetector
    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.model import Picture, Table, Word
    from nemo_retriever_dagster.recognise.frame import Frame

_INSIDE = 0.5
_TOO_SMALL = 32  # pixels: the NIMs read nothing on less
_NO_STRUCTURE = "No rows and columns were found in this table: its text stands line by line."
_NO_TEXT = "Nothing could be read in this area."


async def with_regions(
    elements: tuple[Element, ...], words: Sequence[Word], frame: Frame, options: ExtractOptions, engines: Engines
) -> tuple[Element, ...]:
    """Return ``elements`` with what ``engines.page_elements`` sees in the place of what the parser took it for.

    ``words`` are those of the text layer, or of OCR of the whole page, in the page's unit.
    """
    detector = engines.page_elements
    if detector is None:
        return elements
    (regions,) = await detector.detect([frame.picture])
    kinds = _kinds(options)
    seen = [region for region in regions if region.label in kinds]
    origin = next((one.origin for one in elements if one.kind is Kind.TEXT), Origin.NATIVE)
    areas = [_Area(kind=kinds[one.label], box=frame.to_page(one.box), frame=frame, origin=origin) for one in seen]
    made = await gather_bounded(lambda area: area.element(words, options, engines), areas, limit=len(areas))
    for element in made:
        elements = _taken_in(elements, replace(element, engine=f"{detector.name}+{element.engine}".strip("+")))
    return elements


def _kinds(options: ExtractOptions) -> dict[str, Kind]:
    wanted = {
        "table": (Kind.TABLE, options.tables),
        "chart": (Kind.CHART, options.charts),
        "infographic": (Kind.INFOGRAPHIC, options.infographics),
    }
    return {label: kind for label, (kind, asked) in wanted.items() if asked}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """One region: its kind, its box in the page's unit, the page, and where the page's words come from."""

    kind: Kind
    box: Box
    frame: Frame
    origin: Origin

    async def element(self, words: Sequence[Word], options: ExtractOptions, engines: Engines) -> Element:
        """Return the region as an element."""
        picture, inside = await asyncio.to_thread(self._cut, words)
        base = Element(
            kind=self.kind,
            page=self.frame.number,
            box=self.box,
            page_size=self.frame.size,
            picture=picture,
            origin=self.origin,
        )
        if not inside:
            ocr = needed(engines.ocr, "ocr")
            (found,) = await ocr.read([picture], merge="word")
            inside = [replace(word, box=self._outward(word.box, picture)) for word in found]
            base = replace(base, origin=Origin.OCR, engine=ocr.name)
        if not inside:
            return replace(base, warnings=(_NO_TEXT,))
        detector = self._detector(options, engines)
        parts: list[Region] = []
        if detector is not None:
            parts = await self._parts(detector, picture)
            base = replace(base, engine=f"{detector.name}+{base.engine}".strip("+"))
        # Of a table of hundreds of cells that takes seconds.
        return await asyncio.to_thread(self._put_together, base, inside, parts, options)

    def _cut(self, words: Sequence[Word]) -> tuple[Picture, list[Word]]:
        """Return what the page shows and says in the region."""
        return self.frame.cut(self.box), [word for word in words if word.box.covered_by(self.box) > _INSIDE]

    def _detector(self, options: ExtractOptions, engines: Engines) -> RegionDetector | None:
        """Return what looks at the region's parts."""
        if self.kind is Kind.TABLE:
            return engines.table_structure if options.table_format in {"markdown", "html"} else None
        return engines.graphic_elements if self.kind is Kind.CHART else None

    def _put_together(
        self, base: Element, words: Sequence[Word], parts: Sequence[Region], options: ExtractOptions
    ) -> Element:
        if self.kind is Kind.TABLE:
            return self._table(base, words, parts, options)
        if self.kind is Kind.CHART:
            return replace(base, text=self._chart(words, parts))
        return replace(base, text=" ".join(word.text for word in postprocess.phrases(words)))

    def _table(self, base: Element, words: Sequence[Word], parts: Sequence[Region], options: ExtractOptions) -> Element:
        table = postprocess.table_from(parts, words) or self._found_table(words, options)
        if table is None:
            text = "\n".join(word.text for word in postprocess.phrases(words))
            return replace(base, text=text, table_format="simple", warnings=(_NO_STRUCTURE,))
        text = render(table, options.table_format)
        return replace(base, text=text, table=table, table_format=options.table_format)

    def _found_table(self, words: Sequence[Word], options: ExtractOptions) -> Table | None:
        """Look for a table in the words alone."""
        wanted = replace(options, text=False, tables=True, charts=False)
        made = elements_from_words(words, self.frame.size, page=self.frame.number, options=wanted)
        tables = [one for one in made if one.table is not None and one.box is not None]
        largest = max(tables, key=lambda one: one.box.area if one.box else 0.0, default=None)
        whole = largest is not None and sum(len(one.text) for one in words) <= 2 * len(largest.text)
        return largest.table if largest is not None and whole else None

    def _chart(self, words: Sequence[Word], parts: Sequence[Region]) -> str:
        size = (self.box.width, self.box.height)
        local = [replace(word, box=self._inward(word.box)) for word in words]
        phrases = postprocess.phrases(local)
        regions = [replace(one, box=self._inward(one.box)) for one in parts]
        text = postprocess.chart_text(regions, phrases, size) if regions else None
        return text or chart_from_words(local, size) or " - ".join(word.text for word in phrases)

    async def _parts(self, detector: RegionDetector, picture: Picture) -> list[Region]:
        """Return what a detector sees in the cutting, in the page's unit."""
        if min(picture.width, picture.height) < _TOO_SMALL:
            return []
        (regions,) = await detector.detect([picture])
        return [replace(region, box=self._outward(region.box, picture)) for region in regions]

    def _outward(self, box: Box, picture: Picture) -> Box:
        scaled = box.scale(self.box.width / picture.width, self.box.height / picture.height)
        x, y = self.box.x0, self.box.y0
        return Box(scaled.x0 + x, scaled.y0 + y, scaled.x1 + x, scaled.y1 + y)

    def _inward(self, box: Box) -> Box:
        x, y = self.box.x0, self.box.y0
        return Box(box.x0 - x, box.y0 - y, box.x1 - x, box.y1 - y)


def _taken_in(elements: Sequence[Element], new: Element) -> tuple[Element, ...]:
    """Put ``new`` in: what the parser found in its place goes, text inside it is marked as its own."""
    kept: list[Element] = []
    for one in elements:
        if one.box is None or new.box is None:
            kept.append(one)
        elif one.kind in {Kind.TABLE, Kind.CHART, Kind.INFOGRAPHIC}:
            if not _same_place(one.box, new.box):
                kept.append(one)
        elif one.kind is Kind.TEXT and new.kind is not Kind.INFOGRAPHIC and one.box.covered_by(new.box) > _INSIDE:
            kept.append(replace(one, inside=new.kind))
        else:
            kept.append(one)
    return placed(kept, [new])


def _same_place(one: Box, other: Box) -> bool:
    return one.covered_by(other) > _INSIDE or other.covered_by(one) > _INSIDE
