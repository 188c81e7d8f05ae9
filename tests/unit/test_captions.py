"""Captions that a document gives its tables, charts and pictures: found beside them, and only there."""

from dataclasses import replace
from pathlib import Path

import pytest

from nemo_retriever_dagster.extract.captions import CAPTION_PART, FROM_DOCUMENT, captioned
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import HtmlExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Box, Element, Kind

SIZE = (600.0, 800.0)


def at(kind, top, bottom, text="", *, left=50, right=550, page=1, **more):
    return Element(kind=kind, text=text, page=page, box=Box(left, top, right, bottom), page_size=SIZE, **more)


def captions(*elements):
    return [element.caption for element in captioned(elements) if element.kind is not Kind.TEXT]


@pytest.mark.parametrize(
    "line",
    [
        "Fig. 3 Shapes",
        "FIGURE 12: x",
        "Chart 1",
        "Table IV. Results",
        "Exhibit A1 - map",
        "Table 2.1 Sales",
        "[Figure 7] A cell",
        "Tabelle 4: Umsatz",
    ],
)
def test_what_a_caption_looks_like(line):
    kind = Kind.TABLE if line.startswith("Tab") else Kind.IMAGE
    assert captions(at(Kind.TEXT, 100, 112, line), at(kind, 120, 300)) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "We figured it out",
        "See the chart below",
        "Table 2 shows that sales fell",
        "mapping 3 things",
        "Tables are useful",
    ],
)
def test_sentences_are_no_captions(line):
    assert captions(at(Kind.TEXT, 100, 112, line), at(Kind.TABLE, 120, 300)) == [""]


def test_a_table_takes_the_one_above_and_a_picture_the_one_below():
    above, between, below = (
        at(Kind.TEXT, top, top + 12, text)
        for top, text in ((88, "Table 1: a"), (310, "Table 2: b"), (530, "Figure 9: c"))
    )
    tables = at(Kind.TABLE, 110, 300), at(Kind.TABLE, 330, 500)
    assert captions(above, tables[0], between, tables[1]) == ["Table 1: a", "Table 2: b"]
    pictures = at(Kind.IMAGE, 330, 520), at(Kind.IMAGE, 550, 700)
    assert captions(pictures[0], below, pictures[1], at(Kind.TEXT, 705, 717, "Figure 10: d")) == [
        "Figure 9: c",
        "Figure 10: d",
    ]


def test_what_is_far_away_on_another_page_or_in_another_column_is_not_beside():
    table = at(Kind.TABLE, 300, 400, right=290)
    assert captions(at(Kind.TEXT, 100, 112, "Table 1: far"), table) == [""]
    assert captions(at(Kind.TEXT, 285, 297, "Table 1: there", page=2), table) == [""]
    assert captions(at(Kind.TEXT, 285, 297, "Table 1: there", left=310), table) == [""]


def test_a_table_is_named_before_a_picture_beside_it_is():
    picture, line, table = at(Kind.IMAGE, 100, 290), at(Kind.TEXT, 295, 305, "Table 3: x"), at(Kind.TABLE, 320, 400)
    assert captions(picture, line, table) == ["", "Table 3: x"]
    assert captions(picture, line) == ["Table 3: x"]


def test_hidden_inner_and_long_texts_name_nothing():
    table = at(Kind.TABLE, 120, 300)
    for more in ({"attributes": {"hidden": True}}, {"inside": Kind.TABLE}):
        assert captions(at(Kind.TEXT, 100, 112, "Table 1: a", **more), table) == [""]
    assert captions(at(Kind.TEXT, 100, 112, "Table 1: " + "a" * 600), table) == [""]


def test_without_places_the_neighbours_count():
    table, other = Element(kind=Kind.TABLE), Element(kind=Kind.IMAGE, alt_text="x")
    first, second, text = (Element(kind=Kind.TEXT, text=text) for text in ("Table 1. a", "Figure 1. b", "and so on"))
    assert captions(first, table, text, other, second) == ["Table 1. a", "Figure 1. b"]
    assert captions(first, text, table) == [""]


def test_a_bare_number_goes_on_with_the_line_below_it():
    label, line = at(Kind.TEXT, 60, 72, "Table 1", heading=2), at(Kind.TEXT, 76, 88, "Animals and what they do")
    table, inner = at(Kind.TABLE, 90, 200), at(Kind.TEXT, 92, 198, "Lion Sleep", inside=Kind.TABLE)
    assert captions(label, line, inner, table) == ["Table 1 Animals and what they do"]
    assert captions(label, replace(line, heading=2), inner, table) == ["Table 1"]
    assert captions(label, line, at(Kind.TEXT, 40, 50, "more"), inner, table) == ["Table 1"]
    assert captions(replace(label, text="Table 1: Zoo"), line, table) == ["Table 1: Zoo"]


def test_the_words_of_a_caption_are_one_line_and_stay_text():
    found = captioned([at(Kind.TEXT, 100, 112, "Table 1\nSales  by year"), at(Kind.TABLE, 120, 300)])
    assert [element.text for element in found] == ["Table 1\nSales  by year", ""]
    assert (found[1].caption, found[1].caption_source) == ("Table 1 Sales by year", FROM_DOCUMENT)
    assert captioned(found) == found


def test_what_html_marks_as_a_caption_needs_no_number(tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(
        "<p>Before.</p><table><caption>Stock at <b>year end</b></caption><tr><th>a<th>b<tr><td>1<td>2</table>"
        "<figure><img src='data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='>"
        "<figcaption>A grey dot</figcaption></figure><p>After.</p>"
    )
    pages = list(HtmlExtractor().extract(path, ExtractOptions(format="html"), Budget(Limits())))
    elements = captioned([element for page in pages for element in page.elements])
    assert [(element.kind, element.caption) for element in elements if element.kind is not Kind.TEXT] == [
        (Kind.TABLE, "Stock at year end"),
        (Kind.IMAGE, "A grey dot"),
    ]
    marked = [element.text for element in elements if element.attributes.get("part") == CAPTION_PART]
    assert marked == ["Stock at year end", "A grey dot"]
    assert [element.text for element in elements if element.kind is Kind.TEXT][-1] == "After."
