"""Page elements, table structure, graphic elements: three NIMs, one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nemo_retriever_dagster.engines import postprocess
from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.engines.nim.base import NimClient, batches, halved
from nemo_retriever_dagster.engines.nim.wire import field, listed, number, rows
from nemo_retriever_dagster.engines.ports import Region
from nemo_retriever_dagster.errors import EngineReplyError
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Picture

_SLACK = 0.05  # a box may reach this far out of the picture; it is cut back


class NimDetector(NimClient):
    """Finds labelled regions, 8 pictures a request; labels that are not in ``labels`` are left out."""

    default_batch = 8
    labels: ClassVar[tuple[str, ...]] = ()

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        """Return the regions of each picture, in pixels, thresholds and overlap removal applied."""

        async def work(batch: Sequence[Picture]) -> list[list[Region]]:
            return await halved(self._request, batch)

        parts = await gather_bounded(work, batches(pictures, min(self.batch, 8)), limit=self.window)
        return [regions for part in parts for regions in part]

    async def _request(self, batch: Sequence[Picture]) -> list[list[Region]]:
        async def body() -> dict[str, Any]:
            return {"input": [{"type": "image_url", "url": await self.image(picture)} for picture in batch]}

        def read(reply: Any) -> list[list[Region]]:
            found = rows(reply, len(batch))
            return [self._regions(item, picture) for item, picture in zip(found, batch, strict=True)]

        return await self.ask(body, read, items=len(batch))

    def _regions(self, item: Any, picture: Picture) -> list[Region]:
        boxes = field(item, "bounding_boxes", dict)
        regions = [_region(label, box, picture) for label in self.labels for box in listed(boxes, label)]
        return self.tidy(regions, picture)

    def tidy(self, regions: list[Region], picture: Picture) -> list[Region]:
        """Apply thresholds and remove overlaps."""
        del picture  # only page elements need its size
        return postprocess.distinct(regions)


class NimPageElements(NimDetector):
    """Finds tables, charts, infographics, titles, paragraphs, headers and footers on a page."""

    default_model = "nvidia/nemotron-page-elements-v3"
    labels = ("table", "chart", "title", "infographic", "paragraph", "header_footer")

    def tidy(self, regions: list[Region], picture: Picture) -> list[Region]:
        """Return the regions in reading order, titles joined to their tables and charts."""
        return postprocess.page_regions(regions, (picture.width, picture.height))


class NimGraphicElements(NimDetector):
    """Finds the title, axes, labels and legend of a chart."""

    default_model = "nvidia/nemotron-graphic-elements-v1"
    labels = postprocess.CHART_LABELS


class NimTableStructure(NimDetector):
    """Finds the cells, rows and columns of a table."""

    default_model = "nvidia/nemotron-table-structure-v1"
    labels = ("border", "cell", "row", "column", "header")


def _region(label: str, item: Any, picture: Picture) -> Region:
    if not isinstance(item, dict):
        raise EngineReplyError("a bounding box is not an object")
    x0, y0, x1, y1 = (unit(item.get(name), name) for name in ("x_min", "y_min", "x_max", "y_max"))
    confidence = number(item.get("confidence", 1.0), "confidence")
    box = Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return Region(label=label, box=box.scale(picture.width, picture.height), confidence=confidence)


def unit(value: Any, what: str) -> float:
    """Return a coordinate from 0 to 1; what lies a little outside is moved to the edge."""
    found = number(value, what)
    if not -_SLACK <= found <= 1 + _SLACK:
        raise EngineReplyError(f"{what} is {found:g}, not a share of the picture from 0 to 1")
    return min(max(found, 0.0), 1.0)
