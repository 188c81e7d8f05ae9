"""Tables and charts on a page that OCR reads: what they look like, and those in its pictures only once."""

from __future__ import annotations

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_recognise import ANIMALS, PARSE, Detector, Parser, Reader, axes, grid, picture, run

from nemo_retriever_dagster.engines.ports import Engines, Region
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Chunk, Document, Element, Kind, Origin, Picture, Place, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.recognise.frame import Frame
from nemo_retriever_dagster.recognise.tilt import leaning, tilt_of
from nemo_retriever_dagster.shape import Made, to_json

SIZE = (200.0, 250.0)


def scanned(*elements: Element, scan: Picture | None = None) -> Page:
    return Page(number=1, size=SIZE, elements=elements, scan=scan or picture(), needs_ocr=True)


def axes_at(x: float, y: float, scale: float = 1.0) -> list[Word]:
    """The labels of a chart on the page's render, its left top corner at ``x``, ``y``."""
    return [
        Word(text=word.text, box=Box(*(v * scale + at for v, at in zip(word.box, (x, y, x, y), strict=True))))
        for word in axes()
    ]


def chart_in_picture(**marks: bool) -> Element:
    return Element(
        kind=Kind.IMAGE, page=1, box=Box(20, 50, 120, 100), page_size=SIZE, picture=picture(300, 150), attributes=marks
    )


def reader_of_both() -> Reader:
    """Reads the chart in the picture, and the same chart on the page with a line of text above and below."""
    lines = [Word(text=t, box=Box(40, y, 360, y + 16)) for t, y in (("Above", 40), ("Below", 400))]
    inside = [Word(text=word.text, box=word.box.scale(1.5, 1.5)) for word in axes()]
    return Reader({(300, 150): inside, (400, 500): [*lines, *axes_at(40, 100)]})


def pixels(made: Picture | None) -> Image.Image:
    assert made is not None
    with Image.open(io.BytesIO(made.data)) as opened:
        assert (opened.size, opened.format) == ((made.width, made.height), "PNG")
        return opened.convert("RGB")


def dark(image: Image.Image) -> tuple[int, int, int, int] | None:
    return image.convert("L").point(lambda level: 255 * (level < 128)).getbbox()


def test_a_table_on_a_scan_has_the_picture_of_its_place() -> None:
    scan = picture(dots=[(60, 102), (250, 132)])
    words = [Word(text="Animals", box=Box(40, 20, 160, 36)), *grid(40, 100, ANIMALS, dx=160)]
    text, inner, table = run(scanned(scan=scan), Engines(ocr=Reader({(400, 500): words})))
    assert (table.kind, table.origin, table.table_format) == (Kind.TABLE, Origin.OCR, "markdown")
    assert table.box == pytest.approx((20, 50, 120, 75))
    assert text.picture is None
    assert inner.picture is None
    shown = pixels(table.picture)
    assert shown.size == (200, 50)
    assert shown.getpixel((25, 5)) == (0, 0, 0)
    assert shown.getpixel((5, 5)) == (255, 255, 255)


def test_a_chart_that_ocr_found_is_told_as_a_native_one() -> None:
    (element,) = (e for e in run(scanned(), Engines(ocr=reader_of_both())) if e.kind is Kind.CHART)
    chunk = Chunk(
        element=0, position=0, kind=Kind.CHART, text=element.text, begins=0, places=(Place(page=1, box=element.box),)
    )
    document = Document(uri="a.pdf", key="a", format="pdf")
    metadata = to_json(Made(document=document, elements=[element], chunks=[chunk]), 0)["metadata"]
    assert metadata["table_metadata"]["table_format"] == "image"
    assert element.picture is not None
    assert base64.b64decode(metadata["content"]) == element.picture.data


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_picture_of_a_large_scan_is_made_smaller(mode: str) -> None:
    stripes = Image.new("L", (2, 1), 255)
    stripes.putpixel((0, 0), 0)
    image = Image.new("L", (3000, 2000), 255)
    for x in range(0, 1500, 2):
        image.paste(stripes.resize((2, 2000), Image.Resampling.NEAREST), (x, 0))
    out = io.BytesIO()
    image.convert(mode).save(out, "PNG")
    frame = Frame(number=1, size=(300.0, 200.0), picture=Picture(data=out.getvalue(), width=3000, height=2000))
    bare = Element(kind=Kind.TABLE, box=Box(0, 0, 300, 100))
    small = Element(kind=Kind.CHART, box=Box(140, 0, 160, 10))
    large, little = frame.pictured([bare, small])
    assert pixels(large.picture).size == (1024, 341)
    grey = np.asarray(pixels(large.picture).convert("L"))[:, :500]
    assert 60 < grey.min() <= grey.max() < 190, "lines finer than a pixel turn grey, none is lost"
    assert pixels(little.picture).size == (200, 100), "cut as it is"


def test_only_what_has_no_picture_is_cut() -> None:
    own = Element(kind=Kind.CHART, box=Box(0, 0, 50, 50), picture=picture(20, 20))
    others = [own, Element(kind=Kind.TEXT, text="a", box=Box(0, 60, 50, 70)), Element(kind=Kind.TABLE, text="b")]
    unreadable = Frame(number=1, size=SIZE, picture=Picture(data=b"no picture", width=400, height=500))
    assert unreadable.pictured(others) == tuple(others), "nothing is decoded"


def test_a_chart_in_a_picture_on_a_page_that_is_read_is_given_once() -> None:
    found = run(scanned(chart_in_picture(may_be_chart=True)), Engines(ocr=reader_of_both()))
    above, image, inner, chart, below = found
    assert [above.text, below.text] == ["Above", "Below"]
    assert image == chart_in_picture()
    assert (chart.kind, chart.box, chart.picture) == (Kind.CHART, image.box, image.picture)
    assert (inner.kind, inner.inside) == (Kind.TEXT, Kind.CHART)
    assert inner.text.split() == ["30", "20", "10", "0", "Cat", "Dog", "Fish"]


def test_a_chart_in_a_picture_that_is_not_wanted_itself_is_given_once() -> None:
    page = scanned(chart_in_picture(may_be_chart=True, only_as_chart=True))
    found = run(page, Engines(ocr=reader_of_both()), ExtractOptions(format="pdf", images=False))
    assert [one.kind for one in found if one.kind is not Kind.TEXT] == [Kind.CHART]


def test_a_chart_in_a_picture_gives_way_to_the_region_of_a_detector() -> None:
    seen = Detector({(400, 500): [Region(label="chart", box=Box(40, 100, 240, 200))]})
    page = Page(number=1, size=SIZE, elements=(chart_in_picture(may_be_chart=True),), scan=picture())
    ocr = Reader({**reader_of_both().pages, (200, 100): axes()})
    charts = [one for one in run(page, Engines(ocr=ocr, page_elements=seen)) if one.kind is Kind.CHART]
    assert [one.engine for one in charts] == ["detector+reader"]


def test_a_page_that_the_parser_could_not_read_has_its_chart_once_and_pictured() -> None:
    engines = Engines(ocr=reader_of_both(), page_parser=Parser([]))
    found = run(scanned(chart_in_picture(may_be_chart=True)), engines, PARSE)
    (chart,) = (one for one in found if one.kind is Kind.CHART)
    assert chart.box == (20, 50, 120, 100)
    (chart,) = (one for one in run(scanned(), engines, PARSE) if one.kind is Kind.CHART)
    assert pixels(chart.picture).size == (175, 78)


def leaning_page(angle: float) -> Picture:
    """Return a page of many lines with a black block at (500, 300), turned."""
    image = Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(image)
    for y in range(500, 1000, 24):
        for x in range(80, 700 - y % 100, 4):
            draw.line((x, y, x, y + 9), fill=0, width=2)
    draw.rectangle((300, 100, 349, 149), fill=0)
    out = io.BytesIO()
    image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255).save(out, "PNG")
    return Picture(data=out.getvalue(), width=850, height=1100)


def test_a_page_that_leans_shows_its_tables_upright_and_leaves_its_pictures_in_place() -> None:
    scan = leaning_page(3.0)
    size = (850.0, 1100.0)
    logo = Element(
        kind=Kind.IMAGE,
        page=1,
        box=Box(600, 300, 800, 400),
        page_size=size,
        picture=picture(300, 150),
        attributes={"may_be_chart": True},
    )
    page = Page(number=1, size=size, elements=(logo,), scan=scan, needs_ocr=True)
    ocr = Reader({**reader_of_both().pages, (850, 1100): grid(250, 80, ANIMALS, dx=100, dy=40)})
    found = asyncio.run(recognise(page, ExtractOptions(format="pdf"), Engines(ocr=ocr)))
    table = next(one for one in found if one.kind is Kind.TABLE)
    chart = next(one for one in found if one.kind is Kind.CHART)
    assert chart.box == logo.box
    assert table.box == leaning(Box(250, 80, 390, 170), tilt_of(scan), size)
    assert pixels(table.picture).size == (140, 90)
    assert dark(pixels(table.picture)) == pytest.approx((50, 20, 100, 70), abs=3)
