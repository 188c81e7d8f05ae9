"""Lines drawn on a scan are seen, and keep the cells of its tables apart."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Kind, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.recognise.rulings import rulings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

SIZE = (1700, 2200)
LEFT, TOP, WIDTH, HEIGHT = 200, 300, 400, 120
ROWS = [["Region", "Cause", "Remedy"], ["North", "", "none yet"], ["South", "a worn seal", ""], ["West", "", "a new"]]


def picture(image: Image.Image) -> Picture:
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(data=out.getvalue(), width=image.width, height=image.height)


def grid(colour: int = 0, lean: int = 0, width: int = 2) -> Image.Image:
    """Draw the walls of ``ROWS``, each line of them ending ``lean`` pixels lower than it starts."""
    image = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(image)
    right, bottom = LEFT + 3 * WIDTH, TOP + len(ROWS) * HEIGHT
    for row in range(len(ROWS) + 1):
        y = TOP + row * HEIGHT
        draw.line((LEFT, y, right, y + lean), fill=colour, width=width)
    for column in range(4):
        x = LEFT + column * WIDTH
        draw.line((x, TOP, x, bottom), fill=colour, width=width)
    return image


def words() -> list[Word]:
    return [
        Word(text=text, box=Box(x, y, x + 14 * len(text), y + 26))
        for row, texts in enumerate(ROWS)
        for column, cell in enumerate(texts)
        for at, text in enumerate(cell.split())
        for x, y in [(LEFT + column * WIDTH + 20 + 110 * at, TOP + row * HEIGHT + 30)]
    ]


@dataclass
class Reader:
    """Reads the words it was made with."""

    found: list[Word]
    name: str = "reader"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [self.found for _ in pictures]


@pytest.mark.parametrize(
    ("colour", "lean", "width"),
    [(0, 0, 2), (0, 0, 1), (150, 0, 2), (210, 0, 2), (0, 8, 3)],
    ids=["black", "hair line", "grey", "light grey", "leaning"],
)
def test_lines_of_a_grid_are_seen(colour: int, lean: int, width: int) -> None:
    found = rulings_of(picture(grid(colour, lean, width)))
    across = sorted(ruling.box.y0 for ruling in found if ruling.horizontal)
    upright = sorted(ruling.box.x0 for ruling in found if not ruling.horizontal)
    assert across == pytest.approx([TOP + HEIGHT * row + lean / 2 for row in range(5)], abs=3)
    assert upright == pytest.approx([LEFT + WIDTH * column for column in range(4)], abs=3)
    wide = next(ruling.box for ruling in found if ruling.horizontal)
    assert (wide.x0, wide.x1) == pytest.approx((LEFT, LEFT + 3 * WIDTH), abs=4)


def test_light_lines_between_low_rows_are_seen_in_shade() -> None:
    """Where lines cross neither is darker than what lies beside it; the rows are no higher than a line is long."""
    image = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(image)
    for row in range(9):
        draw.rectangle((200, 300 + 44 * row, 1400, 344 + 44 * row), fill=255 if row % 2 else 235)
    for row in range(10):
        draw.line((200, 300 + 44 * row, 1400, 300 + 44 * row), fill=191, width=2)
    for column in range(4):
        draw.line((200 + 400 * column, 300, 200 + 400 * column, 696), fill=191, width=2)
    shade = np.linspace(1.0, 0.5, SIZE[0])
    scan = Image.fromarray((np.asarray(image) * shade).astype(np.uint8))
    upright = [ruling.box for ruling in rulings_of(picture(scan)) if not ruling.horizontal]
    assert sorted(box.x0 for box in upright) == pytest.approx([200 + 400 * column for column in range(4)], abs=3)
    assert all(box.height > 380 for box in upright)


def test_a_light_line_close_under_words_is_seen_whole() -> None:
    image = Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(image)
    draw.line((100, 420, 750, 420), fill=200)
    for left in (110, 400):
        draw.rectangle((left, 405, left + 150, 415), fill=0)
    (line,) = [ruling.box for ruling in rulings_of(picture(image)) if 418 < ruling.box.y0 < 422]
    assert (line.x0, line.x1) == pytest.approx((100, 750), abs=4)


def test_areas_letters_and_noise_are_no_lines() -> None:
    image = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((200, 300, 1400, 420), fill=0)
    for place in range(40):
        draw.text((200 + 30 * place, 600), "mlI_"[place % 4], fill=0, font_size=36)
    assert rulings_of(picture(image)) == ()
    noise = np.random.default_rng(7).integers(0, 255, SIZE[::-1], dtype=np.uint8)
    assert rulings_of(picture(Image.fromarray(noise))) == ()
    assert rulings_of(picture(Image.new("L", (1, 1), 0))) == ()


def test_empty_cells_of_a_scanned_table_stay_where_they_are() -> None:
    scan = picture(grid())
    size = (612.0, 792.0)
    page = Page(number=1, size=size, scan=scan, needs_ocr=True)
    elements = asyncio.run(recognise(page, ExtractOptions(format="pdf"), Engines(ocr=Reader(words()))))
    (table,) = [element for element in elements if element.kind is Kind.TABLE]
    assert table.table is not None
    assert table.table.rows() == ROWS
    assert table.attributes["ruled"] is True
    assert table.box is not None
    assert table.box.x0 == pytest.approx(LEFT * 612 / 1700, abs=2)
