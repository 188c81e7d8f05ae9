"""Presentations: a page for each slide, everything on it in place."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

import pptx
import pytest
from lxml import etree
from PIL import Image
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches, Pt

from nemo_retriever_dagster.errors import CorruptFileError, DataError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.ooxml_chart import chart_element, read_chart
from nemo_retriever_dagster.extract.pptx import PptxExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLANK, TITLE_ONLY, BULLETS = 6, 5, 1


def read(path: Path, limits: Limits | None = None, **options: object) -> list[Page]:
    chosen = ExtractOptions(format="pptx", **options)  # type: ignore[arg-type]
    return list(PptxExtractor().extract(path, chosen, Budget(limits=limits or Limits())))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def build(fill: Callable[[pptx.presentation.Presentation], None]) -> Path:
        show = pptx.Presentation()
        fill(show)
        path = tmp_path / "made.pptx"
        show.save(path)
        return path

    return build


def slide(show: pptx.presentation.Presentation, layout: int = BLANK) -> pptx.slide.Slide:
    return show.slides.add_slide(show.slide_layouts[layout])


def box(on: pptx.slide.Slide, text: str, left: float, top: float) -> None:
    on.shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(0.5)).text_frame.text = text


def texts(page: Page) -> list[str]:
    return [element.text for element in page.elements]


def only(path: Path, **options: object) -> Element:
    ((element,),) = [page.elements for page in read(path, **options)]
    return element


def test_each_slide_is_a_page_with_its_title_first(make):
    def fill(show):
        for name in ("One", "Two"):
            page = slide(show, TITLE_ONLY)
            box(page, "above the title", 0, 0)
            page.shapes.title.text = name

    pages = read(make(fill))
    assert [(page.number, page.total, page.size) for page in pages] == [(1, 2, (720.0, 540.0)), (2, 2, (720.0, 540.0))]
    assert [(e.text, e.heading) for e in pages[1].elements] == [("Two", 1), ("above the title", 0)]


def test_shapes_are_read_line_by_line_with_boxes_in_points(make):
    def fill(show):
        page = slide(show)
        for text, left, top in [("lower", 1, 4), ("right", 5, 1.05), ("left", 1, 1)]:
            box(page, text, left, top)

    (page,) = read(make(fill))
    assert texts(page) == ["left", "right", "lower"]
    assert page.elements[0].box == (72.0, 72.0, 144.0, 108.0)
    assert page.elements[0].page_size == (720.0, 540.0)


def test_members_of_a_group_have_their_place_on_the_slide(make):
    def fill(show):
        group = slide(show).shapes.add_group_shape()
        group.shapes.add_textbox(Inches(2), Inches(2), Inches(1), Inches(1)).text_frame.text = "inside"
        frame = group._element.grpSpPr.get_or_add_xfrm()
        frame.off.x, frame.off.y, frame.ext.cx, frame.ext.cy = 0, 0, Inches(2), Inches(2)
        frame.chOff.x, frame.chOff.y, frame.chExt.cx, frame.chExt.cy = Inches(2), Inches(2), Inches(1), Inches(1)

    element = only(make(fill))
    assert (element.text, element.box) == ("inside", (0.0, 0.0, 144.0, 144.0))


def test_bullets_are_inherited_from_layout_and_master(make):
    def fill(show):
        frame = slide(show, BULLETS).placeholders[1].text_frame
        frame.text = "first"
        inner = frame.add_paragraph()
        inner.text, inner.level = "inner", 1
        plain = frame.add_paragraph()
        plain.text = "plain"
        plain._p.get_or_add_pPr().append(
            etree.fromstring('<a:buNone xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"/>')
        )

    assert only(make(fill)).text == "- first\n  - inner\nplain"


def test_automatic_numbers_count_and_start_again(make):
    def fill(show):
        frame = slide(show).shapes.add_textbox(0, 0, Inches(3), Inches(3)).text_frame
        for place, kind in enumerate(["alphaLcParenR", "alphaLcParenR", "", "alphaLcParenR"]):
            paragraph = frame.paragraphs[0] if not place else frame.add_paragraph()
            paragraph.text = f"p{place}"
            if kind:
                node = etree.fromstring(
                    f'<a:buAutoNum xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" type="{kind}"/>'
                )
                paragraph._p.get_or_add_pPr().append(node)

    assert only(make(fill)).text == "a) p0\nb) p1\np2\na) p3"


def test_table_with_spans(make):
    def fill(show):
        table = slide(show).shapes.add_table(3, 3, 0, 0, Inches(5), Inches(2)).table
        table.cell(0, 0).merge(table.cell(0, 1))
        table.cell(1, 2).merge(table.cell(2, 2))
        for text, row, column in [("wide", 0, 0), ("head", 0, 2), ("x", 1, 0), ("tall", 1, 2)]:
            table.cell(row, column).text = text

    element = only(make(fill))
    assert element.kind is Kind.TABLE
    spans = {c.text: (c.row, c.column, c.row_span, c.column_span, c.header) for c in element.table.cells if c.text}
    assert spans == {
        "wide": (0, 0, 1, 2, True),
        "head": (0, 2, 1, 1, True),
        "x": (1, 0, 1, 1, False),
        "tall": (1, 2, 2, 1, False),
    }
    assert only(make(fill), tables=False).text.splitlines()[0] == "wide\t\thead"


def chart_file(make, kind=XL_CHART_TYPE.COLUMN_CLUSTERED, *, title="Costs"):
    def fill(show):
        data = CategoryChartData()
        data.categories = ["Hammer", "Minifridge"]
        data.add_series("Cost", (12.5, 80))
        data.add_series("Price", (20, 4.4000000000000004))
        chart = slide(show).shapes.add_chart(kind, 0, 0, Inches(4), Inches(3), data).chart
        chart.has_title = True
        chart.chart_title.text_frame.text = title
        chart.value_axis.has_title = True
        chart.value_axis.axis_title.text_frame.text = "Dollars"

    return make(fill)


def test_chart_gives_labels_and_values(make):
    element = only(chart_file(make))
    assert element.kind is Kind.CHART
    assert element.text.splitlines()[:4] == ["Costs", "Hammer - Minifridge", "Dollars", "Cost - Price"]
    assert [row[1:] for row in element.table.rows()] == [["Cost", "Price"], ["12.5", "20"], ["80", "4.4"]]
    assert "| Hammer | 12.5 | 20 |" in element.text


def test_chart_that_is_not_wanted_stays_as_text(make):
    element = only(chart_file(make), charts=False)
    assert (element.kind, element.table) == (Kind.TEXT, None)
    assert "Hammer - Minifridge" in element.text


def test_scatter_chart_gives_points(make):
    def fill(show):
        data = XyChartData()
        for name, x in [("a", 1), ("b", 5)]:
            data.add_series(name).add_data_point(x, x * x)
        slide(show).shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, 0, Inches(4), Inches(3), data)

    assert only(make(fill)).table.rows() == [["Series", "X", "Y"], ["a", "1", "1"], ["b", "5", "25"]]


def test_levels_of_categories_are_joined(make):
    def fill(show):
        data = CategoryChartData()
        for year in ("2024", "2025"):
            outer = data.add_category(year)
            for half in ("H1", "H2"):
                outer.add_sub_category(half)
        data.add_series("n", (1, 2, 3, 4))
        slide(show).shapes.add_chart(XL_CHART_TYPE.LINE, 0, 0, Inches(4), Inches(3), data)

    rows = only(make(fill)).table.rows()
    assert [row[0] for row in rows[1:]] == ["2024 H1", "2024 H2", "2025 H1", "2025 H2"]


def test_chart_of_the_newer_kinds():
    space = "http://schemas.microsoft.com/office/drawing/2014/chartex"
    root = etree.fromstring(
        f"<cx:chartSpace xmlns:cx='{space}'><cx:chartData><cx:data id='0'>"
        "<cx:strDim type='cat'><cx:lvl><cx:pt idx='0'>up</cx:pt><cx:pt idx='1'>down</cx:pt></cx:lvl></cx:strDim>"
        "<cx:numDim type='val'><cx:lvl><cx:pt idx='0'>3</cx:pt><cx:pt idx='1'>-1</cx:pt></cx:lvl></cx:numDim>"
        "</cx:data></cx:chartData><cx:chart><cx:title><cx:tx><cx:txData><cx:v>Flow</cx:v></cx:txData></cx:tx></cx:title>"
        "<cx:plotArea><cx:plotAreaRegion><cx:series layoutId='waterfall'/></cx:plotAreaRegion></cx:plotArea></cx:chart></cx:chartSpace>"
    )
    element = chart_element(read_chart(root), "simple")
    assert element.text == "Flow\nup - down\n\nup 3 down -1"
    assert element.attributes["chart_type"] == "waterfall"


def test_notes_comments_footers_and_hidden_slides_are_marked(make):
    def fill(show):
        page = slide(show, TITLE_ONLY)
        page.shapes.title.text = "Title"
        page.notes_slide.notes_text_frame.text = "Say it slowly."
        page._element.set("show", "0")

    (page,) = read(make(fill))
    assert texts(page) == ["Title", "Speaker notes: Say it slowly."]
    assert page.elements[1].attributes == {"hidden": True, "part": "notes"}


def picture_file(make):
    def fill(show):
        data = io.BytesIO()
        Image.new("RGB", (100, 90), "teal").save(data, "PNG")
        shape = slide(show).shapes.add_picture(data, Pt(10), Pt(20), Pt(100), Pt(90))
        shape._element.nvPicPr.cNvPr.set("descr", "a teal field")

    return make(fill)


def rewrite(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    target = path.with_name("changed.pptx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return target


def test_picture_has_place_bytes_and_alt_text(make):
    element = only(picture_file(make))
    assert (element.kind, element.alt_text, element.box) == (Kind.IMAGE, "a teal field", (10.0, 20.0, 110.0, 110.0))
    assert (element.picture.width, element.attributes["look_inside"]) == (100, True)


def test_picture_that_cannot_be_had_is_a_warning(make):
    path = picture_file(make)
    damaged = rewrite(path, "ppt/media/image1.png", lambda data: data[:40])
    assert "cannot be read" in only(damaged).warnings[0]
    nameless = rewrite(path, "ppt/slides/slide1.xml", lambda data: re.sub(rb"<p:blipFill>.*</p:blipFill>", b"", data))
    assert "names no image" in only(nameless).warnings[0]


def test_one_damaged_slide_does_not_cost_the_others(make):
    path = make(lambda show: [box(slide(show), f"slide {n}", 1, 1) for n in (1, 2, 3)])
    pages = read(rewrite(path, "ppt/slides/slide2.xml", lambda data: data[:200]))
    assert [texts(page) for page in pages] == [["slide 1"], [""], ["slide 3"]]
    assert "cannot be read" in pages[1].elements[0].warnings[0]


def test_more_slides_than_the_limit_are_refused(make):
    path = make(lambda show: [slide(show) for _ in range(3)])
    with pytest.raises(LimitExceededError, match="pages"):
        read(path, Limits(pages=2))


def test_damage_is_text_or_one_typed_error(make):
    data = picture_file(make).read_bytes()
    path = make(slide).with_name("cut.pptx")
    for place in range(0, len(data), len(data) // 60):
        path.write_bytes(data[:place])
        with pytest.raises(DataError):
            read(path)
        broken = bytearray(data)
        broken[place] ^= 0x55
        path.write_bytes(bytes(broken))
        try:
            assert len(read(path)) == 1
        except DataError:
            continue


def test_a_show_without_its_main_part_is_refused(make):
    path = make(slide)
    with pytest.raises(CorruptFileError):
        read(rewrite(path, "_rels/.rels", lambda data: data.replace(b'officeDocument"', b'other"')))
