"""HTML: blocks, headings, lists, pictures; hidden things are out."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from nemo_retriever_dagster.errors import LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import HtmlExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind, Origin

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path):
    def elements(source: str | bytes, limits: Limits | None = None, **wanted: object) -> list[Element]:
        path = tmp_path / "page"
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        options = ExtractOptions(format="html", **wanted)
        return [e for page in HtmlExtractor().extract(path, options, Budget(limits or Limits())) for e in page.elements]

    return elements


def texts(elements: list[Element]) -> list[str]:
    return [element.text for element in elements]


def test_blocks_and_headings(read):
    elements = read("<h1>A <em>title</em></h1>loose<p>one\n  two<br>three<div>four</div>five<h3>deep</h3><hr><p> ")
    assert [(e.text, e.heading) for e in elements] == [
        ("A title", 1),
        ("loose", 0),
        ("one two\nthree", 0),
        ("four", 0),
        ("five", 0),
        ("deep", 3),
    ]


def test_words_of_neighbouring_blocks_stay_apart_and_of_inline_marks_together(read):
    assert texts(read("<p>un<b>believ</b>able<td>a</td></p><section>x</section><section>y</section>")) == [
        "unbelievable" + "a",
        "x",
        "y",
    ]


def test_lists(read):
    source = "<ul><li>one<li><p>two</p><p>more</p><ol start=3><li>x<li>y</ol><li>three</ul><p>after"
    assert texts(read(source)) == ["- one\n- two\nmore\n  3. x\n  4. y\n- three", "after"]


def test_a_marker_stands_before_the_first_text_of_its_item(read):
    cards = "<li><h3>One</h3><p>x</p></li><li><h3>Two</h3></li>"
    table = "<table><tr><th>a<th>b<tr><td>1<td>2</table>"
    assert [(e.text, e.heading) for e in read(f"<ul>{cards}</ul>")] == [("One", 3), ("x", 0), ("Two", 3)]
    assert texts(read(f"<ol>{cards}</ol>")) == ["1. One", "x", "2. Two"]
    assert texts(read("<ol><li>x<li><pre>a\n b</pre>then</ol>")) == ["1. x", "a\n b", "2. then"]
    assert texts(read(f"<ol><li>{table}then</ol>"))[1:] == ["1. then"]
    assert texts(read("<ul><li><figure><figcaption>Fig</figcaption></figure>text</ul>")) == ["Fig", "- text"]


def test_an_item_without_text_leaves_nothing_but_its_number(read):
    assert texts(read("<ol><li></li><li><img src=x></li><li>c</ol>after")) == ["3. c", "after"]
    assert texts(read("<ul><li><ul><li>inner</ul></ul>")) == ["  - inner"]
    (alone,) = read("<ul><li><img src=x alt=sign></ul>")
    assert (alone.text, alone.origin) == ("- sign", Origin.ALT_TEXT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<ol type=a><li>x<li>y</ol>", "a. x\nb. y"),
        ("<ol type=I start=3><li>x<li type=A>y</ol>", "III. x\nD. y"),
        ("<ol start=-1><li>x<li value=9>y<li>z</ol>", "-1. x\n9. y\n10. z"),
        ("<ol reversed><li>x<li>y</ol>", "2. x\n1. y"),
        ("<ol type=a start=0><li>x</ol>", "0. x"),
        ("<ol start=99999999999999><li>x<li hidden>s<li>y</ol>", "1. x\n2. y"),
    ],
)
def test_items_are_counted_as_a_browser_counts(read, source, expected):
    assert texts(read(source)) == [expected]


def test_text_behind_an_item_stands_apart(read):
    assert texts(read("<ul><li>a</li>b</ul><li>c</li>d")) == ["- a\nb", "c", "d"]


def test_an_item_without_a_list_and_a_long_list(read):
    assert texts(read("<li>alone")) == ["alone"]
    long = texts(read("<ul>" + "<li>item word" * 2_000 + "</ul>"))
    assert max(map(len, long)) < 10_000
    assert "\n".join(long).count("- item word") == 2_000


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>S</script>",
        "<style>S</style>",
        "<template><p>S</template>",
        "<noscript>S</noscript>",
        "<div hidden>S</div>",
        "<p style='color:red; DISPLAY : none !important'>S</p>",
        "<p style='visibility:hidden'>S</p>",
        "<p style='font-size:0px'>S</p>",
        "<p style='font: 0/0 a'>S</p>",
        "<div style='font-size:0'><p style='font-size:2em'>S</p></div>",
        "<div style='visibility:hidden'><p><img alt=S>S</p></div>",
        "<p style='display:block;display:none'>S</p>",
        "<!-- S -->",
        "<input type=hidden value=S>",
        "<iframe srcdoc='S'>S</iframe>",
        "<video controls><source src=a.mp4>S</video>",
        "<audio>S</audio>",
        "<canvas>S</canvas>",
        "<object data=x.swf style='display:block'>S</object>",
        "<dialog>S</dialog>",
        "<ruby><rp>S</rp><rt>S</rt><rtc>S</rtc></ruby>",
        "<svg><title>S</title><desc>S</desc><defs><text>S</text></defs><symbol><text>S</text></symbol></svg>",
    ],
)
def test_hidden_things_are_out(read, hidden):
    assert texts(read(f"before {hidden} after")) in (["before after"], ["before", "after"])


@pytest.mark.parametrize(
    "style",
    [
        *("opacity:0.5", "opacity:0", "font-size:0.8em", "font:12px/0 a", "display:block", "background:none"),
        *("display:none;display:block", "display:block!important;display:none"),
    ],
)
def test_visible_things_are_in(read, style):
    assert texts(read(f"<p style='{style}'>seen</p>")) == ["seen"]


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><td style='font-size:0px;padding:20px'><div style='font-size:13px'>seen</div></table>",
        "<div style='font-size:0'>unseen<ul><li style='font:bold 12px/1 a'>seen</ul></div>",
        "<div style='font-size:0'><p class=column>seen</p></div>",
        "<div style='visibility:hidden'>unseen<p style='visibility:visible'>seen</p></div>",
        "<body style='visibility:hidden'>seen</body>",
        "<p hidden style='display:flex'>seen</p>",
        "<p hidden=until-found>seen</p>",
        "<dialog open>seen</dialog>",
        "<object>seen</object>",
        "<symbol>seen</symbol>",
        "<svg><foreignObject><defs>seen</defs></foreignObject></svg>",
    ],
)
def test_what_hides_can_be_undone_inside(read, page):
    assert " ".join(texts(read(page))).removeprefix("- ") == "seen"


def test_the_title_stands_in_for_a_missing_heading(read):
    assert [(e.text, e.heading) for e in read("<title> The\n title </title><p>x")] == [("The title", 1), ("x", 0)]
    assert texts(read("<title>T</title><h1>H</h1>")) == ["H"]


def test_words_are_whole_without_the_readings_of_their_signs(read):
    assert texts(read("<p><ruby>\u6771<rp>(</rp><rt>\u3068\u3046</rt><rp>)</rp>\u4eac<rt>\u304d</ruby>")) == [
        "\u6771\u4eac"
    ]


def test_buttons_and_fields_stand_apart_in_their_line(read):
    assert texts(read("<button>npm</button><button>yarn</button>")) == ["npm yarn"]
    assert texts(
        read("<p>Name<input value=Bob>of<input type=DATE value=2024-01-01>and<input type=submit value=Go>")
    ) == ["Name Bob of 2024-01-01 and Go"]
    hidden = "".join(f"<input type={kind} value=no>" for kind in ("hidden", "password", "checkbox", "radio", "range"))
    assert texts(read(f"<p>a{hidden}b<input placeholder=no></p>")) == ["a b"]
    assert texts(read("<pre><input type=checkbox>x\n<button>copy</button></pre>")) == ["x\ncopy"]


def test_preformatted_text_keeps_its_lines(read):
    assert texts(read("<pre>\n  def f():\n      pass\n</pre>")) == ["  def f():\n      pass"]
    assert texts(read("<pre><div>a</div><div> b</div>\n<div>c</div></pre>")) == ["a\n b\n\nc"]
    assert "".join("".join(texts(read("<pre>" + "line\n\n" * 2_000 + "</pre>"))).split()) == "line" * 2_000


def test_alternative_texts(read):
    elements = read(
        "<p>Hello <img alt=world src=w.png>!</p><p><img alt='A chart of sales' src='https://x.invalid/c.png'></p>"
    )
    assert [(e.text, e.origin) for e in elements] == [
        ("Hello world !", Origin.NATIVE),
        ("A chart of sales", Origin.ALT_TEXT),
    ]


def png(size: tuple[int, int] = (40, 30)) -> str:
    target = io.BytesIO()
    Image.new("RGB", size, "red").save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def test_embedded_pictures(read):
    (text, picture) = read(f"<p>see <img src='{png()}' alt=red></p>")
    assert text.text == "see"
    assert (picture.kind, picture.picture.width, picture.picture.height, picture.alt_text) == (
        Kind.IMAGE,
        40,
        30,
        "red",
    )
    assert texts(read(f"<p>see <img src='{png()}' alt=red></p>", images=False)) == ["see red"]


def test_a_damaged_picture_is_told_and_a_huge_one_refused(read):
    (damaged,) = read("<img src='data:image/png;base64,AAAA' alt=x>")
    assert (damaged.picture, damaged.alt_text) == (None, "x")
    assert "damaged" in damaged.warnings[0]
    with pytest.raises(LimitExceededError, match="page_pixels"):
        read(f"<img src='{png((100, 100))}'>", Limits(page_pixels=5_000))


@pytest.mark.parametrize(
    ("encoding", "meta"),
    [
        ("cp1252", "<meta charset=windows-1252>"),
        ("iso-8859-2", "<meta charset='ISO-8859-2'>"),
        ("iso-8859-7", '<META http-equiv="Content-Type" content="text/html; charset=iso-8859-7">'),
        ("utf-16", ""),
        ("utf-8", "<meta charset=shift_jis>"),
        ("utf-8-sig", ""),
    ],
)
def test_the_charset(read, encoding, meta):
    word = "Δοκιμή" if encoding == "iso-8859-7" else "Größe"
    assert texts(read(f"<html><head>{meta}</head><body><p>{word}".encode(encoding))) == [word]


@pytest.mark.parametrize(
    "start",
    [
        '<?xml version="1.0" encoding="iso-8859-2"?><html>',
        '\n<!DOCTYPE html><html lang="pl" xmlns="http://www.w3.org/1999/xhtml"><meta charset="iso-8859-2"/>',
    ],
)
def test_xhtml_is_read_by_the_rules_of_xml(read, start):
    page = f"{start}<head><title/></head><body><h2/><p>G\u0119<i/> \u015b</p><a href=x/>link</a></body></html>"
    assert texts(read(page.encode("iso-8859-2"))) == ["G\u0119 \u015b", "link"]


def test_a_page_in_html_is_read_by_the_rules_of_html(read):
    assert texts(read("<h1/>A<p>b</p>")) == ["A b"]


def test_text_in_drawings_and_odd_markup_is_kept(read):
    assert texts(read("<svg><text>label</text></svg><foo-bar>custom</foo-bar><textarea>typed</textarea>")) == [
        "label custom",
        "typed",
    ]


def test_texts_of_a_drawing_stay_apart_and_parts_of_one_together(read):
    source = "<svg><text>m<tspan dy=-5>2</tspan></text><text><tspan x=0>one</tspan><tspan x=0>two</tspan></text></svg>"
    assert texts(read(source)) == ["m2 one two"]


def test_the_corpus(shared):
    words = {
        "fake-html.html": "My First Heading",
        "fake-html-cp1252.html": "L'été était très chaud cette année.",
        "fake-html-lang-de.html": "Jahresabschluss zum Geschäftsjahr vom 01.01.2020 bis zum 31.12.2020",
        "fake-html-pre.htm": "[107th Congress Public Law 56]",
        "test.html": "My First Heading",
    }
    for name, text in words.items():
        path = shared / "corpora/dev/files" / name
        pages = HtmlExtractor().extract(path, ExtractOptions(format="html"), Budget(Limits()))
        assert any(text in element.text for page in pages for element in page.elements), name
