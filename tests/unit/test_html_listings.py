"""Listings in HTML and the signs that makers of manuals put beside text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import HtmlExtractor
from nemo_retriever_dagster.extract.page_markdown import to_markdown
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from pathlib import Path

    from nemo_retriever_dagster.model import Element


@pytest.fixture
def read(tmp_path: Path):
    def elements(source: str) -> list[Element]:
        path = tmp_path / "page"
        path.write_text(source, encoding="utf-8")
        options = ExtractOptions(format="html")
        return [e for page in HtmlExtractor().extract(path, options, Budget(Limits())) for e in page.elements]

    return elements


def parts(elements: list[Element]) -> list[tuple[str, str]]:
    return [(element.text, element.attributes.get("part", "")) for element in elements]


def test_preformatted_text_is_a_listing(read):
    found = read("<p>Say:<pre>\n  for x in y:\n      z</pre>and<ul><li>item<pre>code</pre></ul>")
    assert parts(found) == [
        ("Say:", ""),
        ("  for x in y:\n      z", "listing"),
        ("and", ""),
        ("- item", ""),
        ("code", "listing"),
    ]


def test_a_listing_of_doxygen_is_one(read):
    lines = (
        '<div class="line"><a id="l1"></a><span class="lineno">    1</span><span class="keyword">namespace</span> a {</div>'
        '\n<div class="line"><a id="l2"></a><span class="lineno">    2</span> </div>\n'
        '<div class="line"><span class="lineno">    3</span>&#160;  int <a href="x.html">b</a>;</div>\n'
        '<div class="ttc" id="t"><div class="ttname">a::b</div><div class="ttdef">Definition: a.h:3</div></div>\n'
    )
    found = read(f'<p>Above</p><div class="fragment">{lines}</div><!-- fragment --><p>Below')
    assert parts(found) == [
        ("Above", ""),
        ("    1 namespace a {\n    2\n    3    int b;", "listing"),
        ("Below", ""),
    ]


@pytest.mark.parametrize("name", ["source-line-no", "sourceLineNo", "linenos", "lineno"])
def test_the_number_of_a_line_is_no_part_of_its_first_word(read, name):
    found = read(f'<pre><span class="{name}">017</span>package a;\n<span class="{name}">018</span> b</pre>')
    assert [element.text for element in found] == ["017 package a;\n018  b"]


def test_links_that_only_name_their_place_are_no_text(read):
    found = read(
        '<h2>Title<a class="headerlink" href="#title" title="Permalink">\u00b6</a></h2>'
        '<h3><a href="#examples">\u00a7</a>Examples</h3><dl><dt>f()<a class="headerlink" href="#f">\u00b6</a></dt></dl>'
        '<p>See <a href="#s5">\u00a7</a> 5, <a class="headerlink" href="#c">C#</a>.</p>'
    )
    assert [(element.text, element.heading) for element in found] == [
        ("Title", 2),
        ("Examples", 3),
        ("f()", 0),
        ("See \u00a7 5, C#.", 0),
    ]


def test_a_very_long_listing_is_cut_and_is_one_in_markdown(read):
    code = "\n\n".join(f"    line {n} &lt;x&gt;" for n in range(600))
    found = read(f"<pre>{code}</pre><pre>other</pre>")
    assert len(found) == 601
    assert {element.attributes["part"] for element in found} == {"listing"}
    expected = code.replace("&lt;", "<").replace("&gt;", ">")
    assert to_markdown(found) == f"```\n{expected}\n```\n\n```\nother\n```\n"
