"""A page read by every NIM it needs, over the wire: boxes and texts arrive where they belong."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.nim import nim_engines
from nemo_retriever_dagster.engines.ports import Engines, Region
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Element, Kind, Origin, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

TABLE = Box(100, 200, 500, 300)  # on a render of 600 x 800 pixels
CELLS = [("Animal", "Legs"), ("Cat", "4"), ("Bird", "2")]


class Seer:
    """Sees one table on the page and its rows and columns in the cutting; reads each cell."""

    name = "seer"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [self._words(one) for one in pictures]

    def _words(self, picture: Picture) -> list[Word]:
        x, y = (TABLE.x0, TABLE.y0) if picture.width == 600 else (0.0, 0.0)
        words = [
            Word(text=text, box=Box(x + c * 200 + 10, y + r * 33 + 5, x + c * 200 + 80, y + r * 33 + 25))
            for r, row in enumerate(CELLS)
            for c, text in enumerate(row)
        ]
        heading = Word(text="Heading", box=Box(100, 40, 200, 60))
        return [heading, *words] if picture.width == 600 else words

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        return [self._regions(one) for one in pictures]

    def _regions(self, picture: Picture) -> list[Region]:
        if picture.width == 600:
            return [Region(label="table", box=TABLE, confidence=0.9)]
        rows = [Region(label="row", box=Box(0, r * 33, 400, r * 33 + 33), confidence=0.9) for r in range(3)]
        columns = [Region(label="column", box=Box(c * 200, 0, c * 200 + 200, 100), confidence=0.9) for c in range(2)]
        return [*rows, *columns]


def render() -> Picture:
    image = Image.new("RGB", (600, 800), "white")
    ImageDraw.Draw(image).rectangle(TABLE, outline="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(data=out.getvalue(), width=600, height=800)


def recognised(server: NimServer, page: Page) -> tuple[Element, ...]:
    ports = ("page_elements", "table_structure", "ocr")
    endpoints = server.endpoints(backoff=0.001, backoff_cap=0.01)

    async def work() -> tuple[Element, ...]:
        engines = nim_engines({port: endpoints[port] for port in ports})
        try:
            return await recognise(page, ExtractOptions(format="pdf"), engines)
        finally:
            await engines.aclose()

    return asyncio.run(work())


@pytest.mark.parametrize("faulty", [False, True])
def test_scanned_page_with_a_table(faulty: bool) -> None:
    seer = Seer()
    page = Page(number=4, size=(300.0, 400.0), scan=render(), needs_ocr=True)
    with NimServer(Engines(page_elements=seer, table_structure=seer, ocr=seer)) as server:
        if faulty:
            server.inject(*(Fault(kind=kind, port="ocr") for kind in (FaultKind.LOADING,)))
            server.inject(Fault(kind=FaultKind.RESET, port="table_structure", times=2))
        found = recognised(server, page)
    (table,) = [one for one in found if one.kind is Kind.TABLE]
    assert table.table is not None
    assert table.table.rows() == [list(row) for row in CELLS]
    assert table.box == pytest.approx((50, 100, 250, 150))
    assert (table.page, table.origin) == (4, Origin.OCR)
    texts = [one for one in found if one.kind is Kind.TEXT]
    assert texts[0].text == "Heading"
    assert texts[0].inside is None
    assert all(one.inside is Kind.TABLE for one in texts[1:])


def test_native_page_keeps_its_words() -> None:
    seer = Seer()
    words = tuple(
        Word(text=f"{text}!", box=Box(52 + c * 100, 102 + r * 16.5, 90 + c * 100, 112 + r * 16.5))
        for r, row in enumerate(CELLS)
        for c, text in enumerate(row)
    )
    page = Page(number=1, size=(300.0, 400.0), scan=render(), words=words)
    with NimServer(Engines(page_elements=seer, table_structure=seer, ocr=seer)) as server:
        (table,) = recognised(server, page)
        assert server.count("ocr") == 0
    assert table.table is not None
    assert table.table.rows() == [[f"{text}!" for text in row] for row in CELLS]
    assert table.origin is Origin.NATIVE
