"""Recognise: what engines add to a page, with engines that really look at the pictures they are given."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.ports import Engines, ParsedBlock, Region, Segment
from nemo_retriever_dagster.errors import MissingDependencyError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page, Sound
from nemo_retriever_dagster.model import Box, Element, Kind, Origin, Picture, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.recognise.latex import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

OPTIONS = ExtractOptions(format="pdf")


def picture(width: int = 400, height: int = 500, dots: Sequence[tuple[int, int]] = ()) -> Picture:
    image = Image.new("RGB", (width, height), "white")
    for x, y in dots:
        ImageDraw.Draw(image).rectangle((x, y, x + 9, y + 9), fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(data=out.getvalue(), width=width, height=height)


@dataclass
class Reader:
    """Reads a fixed text wherever the picture has the size it was written for; notes what it was asked."""

    pages: dict[tuple[int, int], list[Word]]
    name: str = "reader"
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        self.asked += [(one.width, one.height) for one in pictures]
        return [self.pages.get((one.width, one.height), []) for one in pictures]


@dataclass
class Detector:
    regions: dict[tuple[int, int], list[Region]]
    name: str = "detector"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        return [self.regions.get((one.width, one.height), []) for one in pictures]


@dataclass
class Parser:
    blocks: list[ParsedBlock]
    name: str = "parser"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        return self.blocks


@dataclass
class Listener:
    segments: list[Segment]
    name: str = "listener"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        return self.segments if segments else self.segments[:1]


def run(page: Page, engines: Engines, options: ExtractOptions = OPTIONS) -> tuple[Element, ...]:
    return asyncio.run(recognise(page, options, engines))


def grid(x0: float, y0: float, texts: Sequence[Sequence[str]], dx: float = 100, dy: float = 20) -> list[Word]:
    return [
        Word(text=text, box=Box(x0 + c * dx, y0 + r * dy, x0 + c * dx + 40, y0 + r * dy + 10))
        for r, row in enumerate(texts)
        for c, text in enumerate(row)
    ]


def text(value: str, box: Box) -> Element:
    return Element(kind=Kind.TEXT, text=value, page=1, box=box, page_size=(200.0, 250.0))


ANIMALS = [["Animal", "Legs"], ["Cat", "4"], ["Bird", "2"]]


def test_native_elements_pass_through_unchanged() -> None:
    page = Page(number=1, elements=(text("Hello", Box(0, 0, 10, 10)),), size=(200.0, 250.0))
    assert run(page, Engines()) == page.elements


def test_scan_is_read_and_boxes_come_back_in_page_units() -> None:
    words = [Word(text="Hello", box=Box(40, 50, 100, 70)), Word(text="world", box=Box(106, 50, 160, 70))]
    page = Page(number=3, size=(200.0, 250.0), scan=picture(), needs_ocr=True)
    (element,) = run(page, Engines(ocr=Reader({(400, 500): words})))
    assert (element.text, element.page, element.origin, element.engine) == ("Hello world", 3, Origin.OCR, "reader")
    assert element.box == pytest.approx((20, 25, 80, 35))
    assert element.page_size == (200.0, 250.0)


def test_scan_without_ocr_engine_says_what_to_configure() -> None:
    page = Page(number=1, scan=picture(), needs_ocr=True)
    with pytest.raises(MissingDependencyError, match="'ocr'") as caught:
        run(page, Engines())
    assert "OCR_HTTP_ENDPOINT" in caught.value.hint


def test_scan_on_which_nothing_is_read_says_so() -> None:
    page = Page(number=1, scan=picture(), needs_ocr=True)
    (element,) = run(page, Engines(ocr=Reader({})))
    assert element.text == ""
    assert element.warnings == ("OCR read nothing on this page.",)


def test_pictures_on_a_scan_stand_where_they_belong() -> None:
    words = [Word(text=t, box=Box(40, y, 360, y + 16)) for t, y in (("Above", 20), ("Below", 400))]
    image = Element(kind=Kind.IMAGE, page=1, box=Box(20, 60, 180, 150), picture=picture(50, 50))
    page = Page(number=1, size=(200.0, 250.0), elements=(image,), scan=picture(), needs_ocr=True)
    found = run(page, Engines(ocr=Reader({(400, 500): words})))
    assert [one.kind if one.kind is Kind.IMAGE else one.text for one in found] == ["Above", Kind.IMAGE, "Below"]


def engines_with_table(ocr: Reader | None = None) -> Engines:
    """Detectors that see a table at (40, 100, 360, 200) of the render, with three rows and two columns."""
    rows = [Region(label="row", box=Box(0, y, 320, y + 33)) for y in (0, 33, 66)]
    columns = [Region(label="column", box=Box(x, 0, x + 160, 100)) for x in (0, 160)]
    return Engines(
        ocr=ocr,
        page_elements=Detector({(400, 500): [Region(label="table", box=Box(40, 100, 360, 200))]}),
        table_structure=Detector({(320, 100): [*rows, *columns]}),
    )


def test_table_of_a_region_takes_native_words_first() -> None:
    ocr = Reader({})
    words = tuple(grid(25, 53, ANIMALS, dx=80, dy=16.5))
    native = (text("Before", Box(20, 10, 180, 20)), text("Animal Legs", Box(25, 53, 150, 63)))
    page = Page(number=1, size=(200.0, 250.0), elements=native, scan=picture(), words=words)
    before, table, inside = run(page, engines_with_table(ocr))
    assert before == native[0]
    assert table.table is not None
    assert table.table.rows() == ANIMALS
    assert table.text.splitlines()[0].split("|")[1].strip() == "Animal"
    assert (table.origin, table.engine) == (Origin.NATIVE, "detector+detector")
    assert table.box == pytest.approx((20, 50, 180, 100))
    assert table.picture is not None
    assert (table.picture.width, table.picture.height) == (320, 100)
    assert inside.inside is Kind.TABLE
    assert ocr.asked == []


def test_table_without_native_words_is_read_by_ocr() -> None:
    ocr = Reader({(320, 100): grid(10, 10, ANIMALS, dx=160, dy=33)})
    page = Page(number=1, size=(200.0, 250.0), elements=(text("Before", Box(20, 10, 180, 20)),), scan=picture())
    _, table = run(page, engines_with_table(ocr))
    assert table.table is not None
    assert table.table.rows() == ANIMALS
    assert table.origin is Origin.OCR


def test_native_table_in_the_same_place_gives_way() -> None:
    words = tuple(grid(25, 53, ANIMALS, dx=80, dy=16.5))
    native = Element(kind=Kind.TABLE, text="guessed", page=1, box=Box(22, 51, 170, 98))
    page = Page(number=1, size=(200.0, 250.0), elements=(native,), scan=picture(), words=words)
    (table,) = run(page, engines_with_table())
    assert table.text != "guessed"


def test_table_without_structure_keeps_its_text() -> None:
    engines = Engines(page_elements=Detector({(400, 500): [Region(label="table", box=Box(40, 100, 360, 200))]}))
    words = tuple(Word(text=t, box=Box(x, 60, x + 30, 70)) for t, x in (("one", 30), ("two", 62)))
    page = Page(number=1, size=(200.0, 250.0), scan=picture(), words=words)
    (table,) = run(page, engines)
    assert (table.text, table.table_format) == ("one two", "simple")
    assert "No rows and columns" in table.warnings[0]


def test_region_without_words_and_without_ocr_is_an_error() -> None:
    page = Page(number=1, size=(200.0, 250.0), scan=picture())
    with pytest.raises(MissingDependencyError, match="ocr"):
        run(page, engines_with_table())


def test_chart_text_follows_the_order_of_its_parts() -> None:
    regions = [
        Region(label="chart_title", box=Box(100, 0, 220, 12)),
        Region(label="xlabel", box=Box(40, 80, 120, 100)),
        Region(label="xlabel", box=Box(200, 80, 280, 100)),
    ]
    engines = Engines(
        page_elements=Detector({(400, 500): [Region(label="chart", box=Box(40, 100, 360, 200))]}),
        graphic_elements=Detector({(320, 100): regions}),
    )
    words = (
        Word(text="Hammer", box=Box(42, 91, 75, 99)),
        Word(text="Power", box=Box(122, 91, 140, 99)),
        Word(text="drill", box=Box(142, 91, 158, 99)),
        Word(text="Prices", box=Box(80, 51, 110, 56)),
    )
    page = Page(number=1, size=(200.0, 250.0), scan=picture(), words=words)
    (chart,) = run(page, engines)
    assert (chart.kind, chart.text) == (Kind.CHART, "Prices Hammer - Power drill")


def test_regions_that_are_not_asked_for_are_left_alone() -> None:
    engines = Engines(page_elements=Detector({(400, 500): [Region(label="infographic", box=Box(0, 0, 400, 500))]}))
    page = Page(number=1, size=(200.0, 250.0), elements=(text("x", Box(0, 0, 5, 5)),), scan=picture())
    assert run(page, engines) == page.elements


PARSE = ExtractOptions(format="pdf", method="nemotron_parse")


def test_parsed_page_becomes_elements() -> None:
    latex = r"\begin{tabular}{|c|c|}\hline \textbf{A} & B \\ \hline 1 & 2\\ \end{tabular}"
    blocks = [
        ParsedBlock(label="Section-header", text="## Introduction", box=Box(40, 40, 200, 60)),
        ParsedBlock(label="Text", text="Words.", box=Box(40, 70, 200, 90)),
        ParsedBlock(label="Table", text=latex, box=Box(40, 100, 360, 200)),
        ParsedBlock(label="Picture", text="", box=Box(40, 300, 140, 400)),
    ]
    page = Page(number=2, size=(200.0, 250.0), scan=picture())
    head, body, table, image = run(page, Engines(page_parser=Parser(blocks)), PARSE)
    assert (head.text, head.heading, head.origin) == ("Introduction", 2, Origin.PARSE)
    assert (body.text, body.box) == ("Words.", Box(20, 35, 100, 45))
    assert table.table is not None
    assert table.table.rows() == [["A", "B"], ["1", "2"]]
    assert table.table_format == "markdown"
    assert image.kind is Kind.IMAGE
    assert image.picture is not None
    assert (image.picture.width, image.picture.height) == (100, 100)


def test_parser_that_reads_nothing_leaves_native_text_and_says_so() -> None:
    page = Page(number=1, size=(200.0, 250.0), elements=(text("Native", Box(0, 0, 9, 9)),), scan=picture())
    (element,) = run(page, Engines(page_parser=Parser([])), PARSE)
    assert element.text == "Native"
    assert "the native one" in element.warnings[0]


def test_parser_that_reads_nothing_on_a_scan_leaves_it_to_ocr() -> None:
    words = [Word(text="Seen", box=Box(40, 50, 100, 70))]
    page = Page(number=1, size=(200.0, 250.0), scan=picture())
    (element,) = run(page, Engines(page_parser=Parser([]), ocr=Reader({(400, 500): words})), PARSE)
    assert element.text == "Seen"
    assert "OCR's" in element.warnings[0]


def test_method_nemotron_parse_needs_a_parser() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        run(Page(number=1, scan=picture()), Engines(), PARSE)
    assert "NEMOTRON_PARSE_HTTP_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize(("apart", "count"), [(False, 1), (True, 2)])
def test_speech_becomes_segments_with_times(apart: bool, count: int) -> None:
    said = [Segment(text="One.", start_ms=0, end_ms=900), Segment(text="Two.", start_ms=950, end_ms=2000)]
    page = Page(sound=Sound(data=b"\0\0", sample_rate=16000))
    options = ExtractOptions(format="wav", segment_audio=apart)
    found = run(page, Engines(transcriber=Listener(said)), options)
    assert len(found) == count
    assert (found[0].kind, found[0].origin, found[0].start_ms, found[0].end_ms) == (Kind.AUDIO, Origin.SPEECH, 0, 900)


def test_silence_says_so() -> None:
    (element,) = run(Page(sound=Sound(data=b"", sample_rate=16000)), Engines(transcriber=Listener([])))
    assert element.warnings == ("No speech was recognised.",)


def test_speech_needs_a_transcriber() -> None:
    with pytest.raises(MissingDependencyError, match="transcriber"):
        run(Page(sound=Sound(data=b"", sample_rate=16000)), Engines())


def marked(**marks: bool) -> Element:
    return Element(
        kind=Kind.IMAGE,
        page=1,
        box=Box(10, 10, 110, 60),
        page_size=(200, 250),
        picture=picture(200, 100),
        attributes=marks,
    )


def axes() -> list[Word]:
    up = [Word(text=str(v), box=Box(5, 80 - i * 20, 17, 88 - i * 20)) for i, v in enumerate((0, 10, 20, 30))]
    across = [Word(text=t, box=Box(x, 90, x + 30, 98)) for t, x in (("Cat", 30), ("Dog", 90), ("Fish", 150))]
    return [*up, *across]


def test_chart_in_a_picture_stands_behind_it() -> None:
    page = Page(number=1, elements=(marked(look_inside=True),))
    image, chart = run(page, Engines(ocr=Reader({(200, 100): axes()})))
    assert image.attributes == {}
    assert (chart.kind, chart.origin, chart.box) == (Kind.CHART, Origin.OCR, image.box)
    assert "Cat - Dog - Fish" in chart.text


@pytest.mark.parametrize("sign", ["\N{BLACK SQUARE}", "_", "$"])
def test_bars_that_ocr_takes_for_signs_do_not_hide_the_chart(sign: str) -> None:
    bars = [Word(text=sign, box=Box(40 + 60 * i, 86 - (sign != "$"), 50 + 60 * i, 89)) for i in range(3)]
    bars += [Word(text=sign, box=Box(40 + 60 * i, 20 + 10 * i, 58 + 60 * i, 86)) for i in range(3)] * (sign != "$")
    page = Page(number=1, elements=(marked(look_inside=True),))
    _, chart = run(page, Engines(ocr=Reader({(200, 100): [*axes(), *bars]})))
    assert chart.kind is Kind.CHART
    assert "Cat - Dog - Fish" in chart.text
    assert sign not in chart.text


def test_signs_in_the_cells_of_a_table_in_a_picture_stay() -> None:
    rows = [["Part", "Weight", "Here"], ["Bolt", "12", "yes"], ["Nut", "7", "\N{CHECK MARK}"], ["Pin", "3", "no"]]
    words = [replace(word, box=word.box.scale(0.6, 1.0)) for word in grid(10, 10, rows)]
    page = Page(number=1, elements=(marked(look_inside=True),))
    _, table = run(page, Engines(ocr=Reader({(200, 100): words})))
    assert table.table is not None
    assert table.table.rows() == rows


def test_picture_that_was_only_a_maybe_goes_if_it_is_no_chart() -> None:
    page = Page(number=1, elements=(marked(may_be_chart=True, only_as_chart=True),))
    assert run(page, Engines(ocr=Reader({}))) == ()


def test_picture_that_nobody_could_look_into_says_so() -> None:
    (image,) = run(Page(number=1, elements=(marked(look_inside=True),)), Engines())
    assert "no OCR engine" in image.warnings[0]


@pytest.mark.parametrize(
    ("latex", "rows"),
    [
        (r"\begin{tabular}{cc}A & B\\1 & 2\end{tabular}", [["A", "B"], ["1", "2"]]),
        (
            r"\begin{tabular}{cc}\multicolumn{2}{c}{Both} \\ x \& y & 5\% \\ \end{tabular}",
            [["Both", ""], ["x & y", "5%"]],
        ),
        (r"\begin{tabular}{cc}\multirow{2}{*}{Tall} & 1 \\ & 2 \\ \end{tabular}", [["Tall", "1"], ["", "2"]]),
    ],
)
def test_latex_tables_are_read(latex: str, rows: list[list[str]]) -> None:
    table = read_table(latex)
    assert table is not None
    assert table.rows() == rows


def test_latex_that_is_no_table_is_not_read() -> None:
    assert read_table("E = mc^2") is None
