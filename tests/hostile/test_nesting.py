"""Deep nesting and quadratic traps in the text formats: refused early or read in linear time, never silently empty."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.errors import DataError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html_scan import check_depth
from nemo_retriever_dagster.extract.html_xml import as_html
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)  # what is quadratic needs minutes


def read(path: Path, data: str | bytes, kind: str, limits: Limits | None = None) -> str:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    pages = extractor_for(kind).extract(path, ExtractOptions(format=kind), Budget(limits or Limits()))
    return "\n".join(element.text for page in pages for element in page.elements)


@pytest.mark.parametrize("levels", [10_000, 1_000_000])
@pytest.mark.parametrize(
    "tag", ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "<blockquote><p>", "<svg><g>", "<x-y>", '<div title=">">']
)
def test_deep_html_is_refused_before_it_is_parsed(tmp_path, tag, levels):
    path = tmp_path / "deep.html"
    path.write_text(tag * levels + "hello")
    with pytest.raises(LimitExceededError, match="depth"):
        list(extractor_for("html").extract(path, ExtractOptions(format="html"), Budget(Limits())))


@pytest.mark.parametrize(
    "hiding",
    [
        "<svg><td>",
        "<svg><title><g>",
        "<math><mi><option>",
        "<svg><g a=/>",
        "<div a='\">'>",
        "<div a b=c'd>",
        "<svg><style><g>",
    ],
)
def test_nesting_cannot_hide_from_the_scan(hiding):
    with pytest.raises(LimitExceededError):
        check_depth(hiding * 3_000, Budget(Limits()))


@pytest.mark.parametrize(
    "flat",
    [
        "<p>a",
        "<li>a",
        "<tr><td>a",
        "<br>",
        "<a name=x>",
        "<img src='>'>",
        "<div><!-- <div><div> --></div>",
        "<script>'<div><div>'</script>",
        "<svg><path d='M0'/><circle r='5'/></svg>",
        "<h1>a</h1>",
        "<DIV>a</div>",
        "<option>a",
        "</div></b>",
        "<textarea><div></textarea>",
        "<ol reversed><li>a</ol>",
        "<math><mfrac><mi>a</mi></mfrac></math>",
        "<span aria-hidden=true>a</span>",
        "<table><tr><th>a<th>b<tr><td>c</table>",
    ],
)
def test_long_flat_html_is_no_attack(tmp_path, flat):
    assert "end" in read(tmp_path / "flat.html", "<body>" + flat * 5_000 + "<p>end", "html")


@pytest.mark.parametrize(
    "trap",
    [
        "<",
        "<!--",
        "<!",
        "</",
        "<a",
        "<a ",
        "<a b",
        "<a b='",
        '<a b="',
        "<a =",
        "<script>",
        "<style",
        "&",
        "<![CDATA[",
        "<svg><",
        "\x00",
        "<!DOCTYPE ",
    ],
)
def test_the_scan_is_linear(trap):
    text = trap * 200_000
    with contextlib.suppress(LimitExceededError):
        check_depth(text, Budget(Limits()))
    assert as_html(text) == text


@pytest.mark.parametrize(
    "style", ["font-size:" + "0" * 500_000 + "!", "font:" + " " * 500_000, ";:!" * 200_000, "font:" + "1em " * 100_000]
)
def test_a_long_style_is_read_in_linear_time(tmp_path, style):
    assert "end" in read(tmp_path / "x.html", f"<p style='{style}'>a</p><p>end", "html")


@pytest.mark.parametrize("parts", ["<mrow>", "<mfrac><mi>a</mi>", "<mtable><mtr>", "<semantics>"])
def test_a_deep_formula_with_a_long_text_is_read(tmp_path, parts):
    formula = parts * (450 // parts.count("<")) + "<mi>x</mi>" * 20_000
    assert "end" in read(tmp_path / "x.html", f"<math>{formula}</math><p>end", "html")


def test_xhtml_cannot_hide_its_depth():
    with pytest.raises(LimitExceededError):
        check_depth(as_html("<div a=/><div><p/>" * 3_000), Budget(Limits()))
    assert as_html("<p/>" * 200_000) == "<p></p>" * 200_000


@pytest.mark.parametrize(
    "mark",
    ["#", "- ", "> ", "```\n", "|a|b|\n|-|-|\n", "| ", "[", "*", "`", "~~~\n", "a\n---\n", "\\|", "|" * 50 + "\n"],
)
def test_markdown_is_linear_and_keeps_its_text(tmp_path, mark):
    assert "the end" in read(tmp_path / "x.md", mark * 20_000 + "\n\nthe end\n", "md")


@pytest.mark.parametrize(
    "data", ['"' * 100_001, ",\n" * 50_000, "a" * 300_000, '"a\n' * 50_000, ";" * 5_000, "a,b\n" * 20_000]
)
def test_csv_of_any_shape_is_read_or_refused(tmp_path, data):
    try:
        text = read(tmp_path / "x.csv", data, "csv")
    except DataError:
        return
    assert text.count("a") >= data.count("a")


@pytest.mark.parametrize("attribute", ["colspan", "rowspan"])
def test_hostile_spans_cost_nothing(tmp_path, attribute):
    rows = f"<tr><td {attribute}=999999999>a</td><td {attribute}=1000>b</td></tr>" * 300
    text = read(tmp_path / "x.html", f"<table>{rows}</table>", "html")
    assert text.count("a") == text.count("b") == 300


def test_formatting_that_is_rebuilt_in_each_paragraph_stays_in_its_process(tmp_path):
    """Unclosed formatting elements are opened again by every paragraph: 400 x 20,000 nodes from 200 KB."""
    path = tmp_path / "x.html"
    path.write_text("".join(f"<font size={n}>" for n in range(400)) + "<p>x</p>" * 20_000)
    with ParserPool(1, Limits(idle_seconds=20, worker_bytes=2**30)) as pool:
        with contextlib.suppress(DataError):
            assert list(pool.pages(path, ExtractOptions(format="html")))
        (tmp_path / "y.txt").write_text("next")
        assert list(pool.pages(tmp_path / "y.txt", ExtractOptions(format="txt")))
