"""Scanned pages that lean: how far is seen, the page is read upright, and boxes are those of the page as it is."""

import asyncio
import io
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_recognise import Reader

from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Element, Kind, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.recognise.tilt import leaning, tilt_of, upright

SIZE = (850, 1100)


def encoded(image: Image.Image, form: str = "PNG") -> Picture:
    out = io.BytesIO()
    image.save(out, form)
    return Picture(data=out.getvalue(), width=image.width, height=image.height)


def page_of_lines() -> Image.Image:
    """Lines of words of many lengths, as dark as letters are on the whole."""
    image = Image.new("L", SIZE, 255)
    draw, random = ImageDraw.Draw(image), np.random.default_rng(3)
    for y in range(100, 1000, 24):
        x = 80
        while x < 700:
            width = int(random.integers(15, 90))
            for stroke in range(x, x + width, 4):
                draw.line((stroke, y, stroke, y + 9), fill=0, width=2)
            x += width + 12
    return image


def turned(angle: float, fill: int = 255) -> Picture:
    return encoded(page_of_lines().rotate(angle, Image.Resampling.BICUBIC, fillcolor=fill))


@pytest.mark.parametrize("angle", [-12.0, -7.0, -4.0, -1.5, -0.5, 0.3, 0.7, 2.0, 5.0])
def test_a_tilt_is_seen(angle: float) -> None:
    assert tilt_of(turned(angle)) == pytest.approx(angle, abs=0.11)


@pytest.mark.parametrize("angle", [0.0, 2.0, -8.0])
def test_dark_margins_hide_no_tilt(angle: float) -> None:
    """Those of a copier: as straight as its glass, however the page lies on it, and darker than all of its letters."""
    page = page_of_lines().rotate(angle, Image.Resampling.BICUBIC, fillcolor=255)
    copy = Image.new("L", (SIZE[0] + 160, SIZE[1] + 200), 20)
    copy.paste(page, (80, 100))
    assert tilt_of(encoded(copy)) == pytest.approx(angle, abs=0.11)


@pytest.mark.parametrize("angle", [-2.0, 1.0])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_page_that_is_set_upright_leans_no_more(angle: float, form: str) -> None:
    page = page_of_lines().rotate(angle, Image.Resampling.BICUBIC, fillcolor=255)
    straight = upright(encoded(page, form), angle)
    assert (straight.width, straight.height) == SIZE
    assert tilt_of(straight) == 0
    with Image.open(io.BytesIO(straight.data)) as opened:
        assert opened.format == form
        assert Image.MIME[form] == straight.media_type


def test_corners_get_the_colour_of_the_paper() -> None:
    straight = upright(encoded(Image.new("RGB", SIZE, (240, 230, 200))), 3)
    with Image.open(io.BytesIO(straight.data)) as opened:
        assert opened.getcolors() == [(SIZE[0] * SIZE[1], (240, 230, 200))]


def test_what_has_no_lines_does_not_lean() -> None:
    random = np.random.default_rng(5)
    noise = [Image.fromarray(random.integers(0, 255, (400, 400), dtype=np.uint8)) for _ in range(3)]
    slope = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(slope).line((20, 20, 380, 20), fill=0, width=3)
    ImageDraw.Draw(slope).line((20, 20, 20, 380), fill=0, width=3)
    ImageDraw.Draw(slope).line((20, 200, 380, 182), fill=0, width=2)
    blank = Image.new("L", (400, 400), 255)
    assert [tilt_of(encoded(image)) for image in (*noise, slope, blank, page_of_lines())] == [0] * 6


def test_a_box_goes_to_where_its_words_are_on_the_leaning_page() -> None:
    image = Image.new("L", SIZE, 255)
    ImageDraw.Draw(image).rectangle((500, 200, 599, 219), fill=0)
    dark = np.argwhere(np.asarray(image.rotate(3, Image.Resampling.BICUBIC, fillcolor=255)) < 128)
    box = leaning(Box(500, 200, 600, 220), 3, SIZE)
    expected = (dark[:, 1].min(), dark[:, 0].min(), dark[:, 1].max() + 1, dark[:, 0].max() + 1)
    assert box == pytest.approx(expected, abs=1.5)
    assert leaning(Box(0, 0, *SIZE), 3, SIZE) == Box(0, 0, *SIZE), "it stays on the page"


def test_a_leaning_page_is_read_upright_and_its_boxes_lean() -> None:
    words = [Word(text="Hello", box=Box(100, 100, 180, 120)), Word(text="there", box=Box(190, 100, 260, 120))]
    picture = Element(kind=Kind.IMAGE, page=1, box=Box(0, 0, *SIZE), picture=turned(2.0))
    page = Page(number=1, total=1, size=SIZE, elements=(picture,), scan=turned(2.0), needs_ocr=True)
    found = asyncio.run(recognise(page, ExtractOptions(format="png"), Engines(ocr=Reader({SIZE: words}))))
    text, image = sorted(found, key=lambda element: element.kind is Kind.IMAGE)
    assert text.text == "Hello there"
    assert image.box == picture.box
    assert text.box is not None
    drop = (SIZE[0] / 2 - 180) * math.sin(math.radians(2.0))
    assert (text.box.y0 + text.box.y1) / 2 == pytest.approx(110 + drop, abs=2)
