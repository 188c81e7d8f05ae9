"""Drawings in SVG: their text, its place, their picture, and nothing from outside."""

from __future__ import annotations

import base64
import gzip
import io
from typing import TYPE_CHECKING

import pytest
from lxml import etree
from PIL import Image

from nemo_retriever_dagster.errors import CorruptFileError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.svg import SvgExtractor
from nemo_retriever_dagster.extract.svg_geometry import length, transform
from nemo_retriever_dagster.extract.svg_style import StyleSheet
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Box, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Page]:
    def extract(
        body: str | bytes, *, frame: str = 'width="1024" height="512"', limits: Limits | None = None, **options: bool
    ) -> Page:
        path = tmp_path / "x.svg"
        links = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        path.write_bytes(body if isinstance(body, bytes) else f"<svg {links} {frame}>{body}</svg>".encode())
        budget = Budget(limits=limits or Limits())
        (page,) = SvgExtractor().extract(path, ExtractOptions(format="svg", **options), budget)
        return page

    return extract


def texts(page: Page) -> list[str]:
    return [element.text for element in page.elements if element.kind is Kind.TEXT]


def pixel(page: Page, x: int, y: int) -> tuple[int, ...]:
    return Image.open(io.BytesIO(page.scan.data)).convert("RGB").getpixel((x, y))


def png(colour: str = "red", size: int = 20) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(data, "PNG")
    return data.getvalue()


def test_text_has_its_place_and_the_picture_its_alt_text(read):
    page = read('<title>Plan</title><text x="100" y="200" font-size="40">Hello  there</text>')
    text, image = page.elements
    assert (text.text, text.box) == ("Hello there", Box(100, 168, 320, 208))
    assert (image.kind, image.alt_text, image.attributes) == (Kind.IMAGE, "Plan", {"look_inside": True})
    assert page.size == (1024.0, 512.0)
    assert (page.scan.width, page.scan.height, page.needs_ocr) == (1024, 512, False)
    assert page.words[0].text == "Hello there"


def test_boxes_are_in_pixels_of_the_picture(read):
    body = '<text x="30" y="40" font-size="10">ab</text>'
    page = read(body, frame='width="10cm" height="5cm" viewBox="10 20 200 100"')
    assert (page.scan.width, page.scan.height) == (1024, 512)
    assert page.elements[0].box == Box(20 * 5.12, 12 * 5.12, 30 * 5.12, 22 * 5.12)


def test_transforms_are_followed(read):
    page = read(
        '<g transform="translate(100,50)"><text transform="scale(2)" x="10" y="20" font-size="10">ab</text></g>'
    )
    assert page.elements[0].box == Box(120, 74, 140, 94)
    turned = transform("rotate(90)").box(Box(0, 0, 10, 2))
    assert [round(value, 6) for value in turned] == [-2, 0, 0, 10]
    assert transform("rotate(90, 5, 5)").box(Box(5, 5, 5, 5)) == Box(5, 5, 5, 5)
    assert transform("matrix(1 0 0 1 3 4) nonsense(1)") == (1, 0, 0, 1, 3, 4)


def test_lines_and_gaps_of_spans(read):
    body = (
        '<text x="10" y="20" font-size="10">first <tspan font-weight="bold">bold</tspan> end<tspan x="10" dy="12">second</tspan></text>'
        '<text y="100" font-size="10"><tspan x="10">left</tspan><tspan x="200">right</tspan></text>'
    )
    assert texts(read(body)) == ["first bold end\nsecond", "left right"]


def test_texts_are_read_from_the_top_left(read):
    body = "".join(
        f'<text x="{x}" y="{y}" font-size="10">{t}</text>' for t, x, y in [("c", 9, 90), ("b", 80, 20), ("a", 9, 20)]
    )
    assert texts(read(body)) == ["a", "b", "c"]


def test_what_is_not_shown_is_not_read(read):
    body = (
        '<text display="none">no</text><g style="visibility: hidden"><text>no</text></g><defs><text id="d">used</text></defs>'
        '<style>text { fill: red }</style><use href="#d" x="5" y="5"/><foreignObject width="9" height="9"><p>html</p></foreignObject>'
    )
    assert sorted(texts(read(body))) == ["html", "used"]


HTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def test_of_a_switch_the_drawn_child_is_read(read):
    page = f'<foreignObject {{0}} width="9" height="9"><div {HTML}>Web<br/>server</div></foreignObject>'
    adobe = page.format('requiredExtensions="http://ns.adobe.com/AdobeIllustrator/10.0/"')
    german = '<text systemLanguage="de">Netz</text>'
    assert texts(read(f"<switch>{page.format('')}<text>Web...</text></switch>")) == ["Web\nserver"]
    assert texts(read(f"<switch>{adobe}<g><text>all</text></g></switch>")) == ["all"]
    assert texts(read(f"<switch>{german}<text>Net</text></switch>")) == ["Net"]
    assert texts(read(f"<switch>{german}</switch>")) == ["Netz"]
    assert texts(read("<switch><g/><a><text>Viewer too old</text></a></switch>")) == []


def test_a_page_in_a_drawing_is_read_as_a_page(read):
    style = (
        f'<div {HTML}><style>.a{{color:red}}</style><p>Start</p><span/><p style="display:none">no</p><p>now</p></div>'
    )
    assert texts(read(f'<foreignObject width="9" height="9">{style}</foreignObject>')) == ["Start\nnow"]


def test_style_sheets_are_followed(read):
    body = (
        "<style>/* .c{display:none} */ @media print {.c{display:none}} .a, g.b > x {display:none !important}"
        "#d{visibility:hidden} text{font-size:40px} *.e{font-size:10px} g .c{display:none}</style>"
        '<text class="x a">no</text><text id="d">no</text><text class="c" x="100" y="200">yes</text>'
        '<text class="e" x="100" y="300">ab</text><text class="a" style="display:inline;font-size:10px" y="400">shown</text>'
    )
    page = read(body)
    assert texts(page) == ["yes", "ab", "shown"]
    assert [element.box for element in page.elements[:2]] == [Box(100, 168, 160, 208), Box(100, 292, 110, 302)]


def test_short_texts_of_a_document_type_are_written_out(read):
    start = b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "a" "b" [\n<!ENTITY ns "http://www.w3.org/2000/svg">\n<!ENTITY w \'one\'>]>'
    assert texts(read(start + b'<svg xmlns="&ns;" width="9" height="9"><text>&w; &amp; &lt;two</text></svg>')) == [
        "one & <two"
    ]


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY a "x"><!ENTITY b "&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a "x"> %a;',
        '<!ENTITY a "<text>x</text>">',
        "<!ELEMENT svg ANY>",
        f'<!ENTITY a "{"x" * 1_000}">',
    ],
)
def test_other_declarations_are_refused(read, subset):
    with pytest.raises(CorruptFileError, match="Save it as plain SVG"):
        read(f'<!DOCTYPE svg [{subset}]><svg xmlns="http://www.w3.org/2000/svg"><text>&a;</text></svg>'.encode())


def test_entities_cannot_grow_a_drawing_beyond_its_limit(read):
    text = b'<!DOCTYPE svg [<!ENTITY a "' + b"x" * 300 + b'">]><svg xmlns="http://www.w3.org/2000/svg"><text>'
    with pytest.raises(LimitExceededError, match="member_bytes"):
        read(text + b"&a;" * 1_000 + b"</text></svg>", limits=Limits(member_bytes=100_000))


@pytest.mark.timeout(30)  # what is quadratic needs minutes
@pytest.mark.parametrize(
    "trap",
    ["<!DOCTYPE svg [", "<!DOCTYPE svg []>", "<!DOCTYPE svg [<!ENTITY a '", "<!DOCTYPE svg [<!ENTITY " + " " * 99],
)
def test_document_types_are_found_in_linear_time(read, trap):
    with pytest.raises(CorruptFileError):
        read((trap * 100_000).encode())


@pytest.mark.timeout(30)
@pytest.mark.parametrize("trap", ["/*", "{", "a{", "@", "a,", ".a .", "a{b:c;", "-"])
def test_style_sheets_are_read_in_linear_time(trap):
    sheet = StyleSheet([f"text{{display:none}} {trap * 300_000}"])
    assert sheet.declared(etree.Element("text"), "display", tag="text") == "none"


def test_a_drawing_that_uses_itself_ends(read):
    bomb = "".join(f'<g id="l{n}"><use href="#l{n + 1}"/><use href="#l{n + 1}"/></g>' for n in range(3))
    assert texts(read(f'{bomb}<text id="l3">once</text>')).count("once") <= 2
    assert texts(read('<g id="me"><use href="#me"/><text>me</text></g>')) != []


def test_a_drawing_without_text_is_to_be_recognised(read):
    data = base64.b64encode(png()).decode()
    page = read(f'<image href="data:image/png;base64,{data}" width="1024" height="512"/>')
    assert page.needs_ocr
    assert pixel(page, 512, 256) == (255, 0, 0)
    assert page.elements[0].warnings == ()


@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
def test_files_of_this_machine_are_not_drawn(read, tmp_path, attribute):
    canary = tmp_path / "canary.png"
    canary.write_bytes(png("red"))
    for target in (str(canary), canary.as_uri(), "http://canary.invalid/x.png"):
        page = read(f'<image {attribute}="{target}" width="1024" height="512"/>')
        assert pixel(page, 512, 256) == (255, 255, 255)
        assert "not followed" in page.elements[0].warnings[0]
    inner = base64.b64encode(
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{canary}"/></svg>'.encode()
    ).decode()
    page = read(f'<image {attribute}="data:image/svg+xml;base64,{inner}" width="1024" height="512"/>')
    assert pixel(page, 512, 256) == (255, 255, 255)


@pytest.mark.parametrize("fill", ["url(#g)", "url( '#g' )"])
def test_references_inside_the_drawing_stay(read, fill):
    gradient = '<linearGradient id="g"><stop stop-color="blue"/></linearGradient>'
    page = read(f'{gradient}<rect width="1024" height="512" style="fill: {fill}"/>')
    assert pixel(page, 512, 256) == (0, 0, 255)
    page = read(f'{gradient}<rect width="1024" height="512" style="fill: {fill}; mask: url(file:///x.svg#m)"/>')
    assert pixel(page, 512, 256) == (0, 0, 255)


def test_a_pictures_pixels_inside_a_drawing_are_counted(read):
    data = base64.b64encode(png(size=200)).decode()
    page = read(
        f'<image href="data:image/png;base64,{data}"/>',
        frame='width="100" height="1"',
        limits=Limits(page_pixels=30_000),
    )
    assert "page_pixels" in page.elements[0].warnings[0]


@pytest.mark.parametrize(
    "frame", ['width="1e9" height="1e9"', 'width="-5"', 'viewBox="0 0 nan 1"', 'viewBox="0 0 1 90000"', ""]
)
def test_claimed_sizes_are_not_believed(read, frame):
    page = read("<text>x</text>", frame=frame)
    assert 1 <= page.scan.width <= 2048
    assert 1 <= page.scan.height <= 2048


def test_switches(read):
    page = read("<text>x</text>", text=False, images=False)
    assert (page.elements, page.scan is not None) == ((), True)
    assert [e.kind for e in read("<text>x</text>", page_as_image=True).elements] == [
        Kind.TEXT,
        Kind.PAGE_IMAGE,
        Kind.IMAGE,
    ]


def test_plain_doctype_and_compression_are_ordinary(read):
    drawn = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>fine</text></svg>'
    doctype = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    assert texts(read(doctype + drawn)) == ["fine"]
    assert texts(read(gzip.compress(drawn))) == ["fine"]


def test_unfit_files_are_one_typed_error(read):
    with pytest.raises(EmptyFileError):
        read(b" \n")
    with pytest.raises(CorruptFileError):
        read(b"<svg")
    with pytest.raises(CorruptFileError, match="root 'html'"):
        read(b"<html/>")
    with pytest.raises(CorruptFileError):
        read(
            b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>'
        )
    with pytest.raises(CorruptFileError, match="damaged"):
        read(gzip.compress(b"<svg/>")[:-4])
    with pytest.raises(LimitExceededError):
        read(gzip.compress(b" " * 100_000), limits=Limits(member_bytes=10_000))


def test_lengths():
    assert (length("2in"), length("50%", 10), length("x"), length(None), length("1e999")) == (192.0, 5.0, 0.0, 0.0, 0.0)
