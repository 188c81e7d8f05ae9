"""Numbers of charts in Office files are read as the chart shows them: dates as dates, shares as per cent."""

from __future__ import annotations

import pytest
from lxml import etree

from nemo_retriever_dagster.extract.ooxml_chart import Chart, read_chart

SPACE = "http://schemas.openxmlformats.org/drawingml/2006/chart"
EXTENDED = "http://schemas.microsoft.com/office/drawing/2014/chartex"


def cache(code: str, values: list[str], *, kind: str = "numCache") -> str:
    points = "".join(f"<pt idx='{index}'><v>{value}</v></pt>" for index, value in enumerate(values))
    return f"<{kind}>{f'<formatCode>{code}</formatCode>' if code else ''}{points}</{kind}>"


def chart(categories: str, values: str, *, before: str = "") -> Chart:
    series = f"<ser><cat>{categories}</cat><val>{values}</val></ser>"
    xml = f"<chartSpace xmlns='{SPACE}'>{before}<chart><plotArea><lineChart>{series}</lineChart></plotArea></chart></chartSpace>"
    return read_chart(etree.fromstring(xml))


def categories(code: str, values: list[str], *, before: str = "") -> list[str]:
    return chart(f"<numRef>{cache(code, values)}</numRef>", "", before=before).labels


def test_dates_on_the_axis_are_dates_and_shares_per_cent():
    found = chart(
        f"<numRef>{cache('m/d/yyyy', ['45292', '45323'])}</numRef>",
        f"<numRef>{cache('0%', ['0.25', '0.5'])}</numRef>",
    )
    assert found.labels == ["2024-01-01", "2024-02-01"]
    assert found.table().rows()[1:] == [["2024-01-01", "25%"], ["2024-02-01", "50%"]]


@pytest.mark.parametrize(("before", "day"), [("", "2020-01-01"), ("<date1904 val='0'/>", "2020-01-01")])
def test_days_count_from_1900(before, day):
    assert categories("yyyy-mm-dd", ["43831"], before=before) == [day]


@pytest.mark.parametrize("before", ["<date1904/>", "<date1904 val='1'/>"])
def test_days_count_from_1904_where_the_chart_says_so(before):
    assert categories("yyyy-mm-dd", ["43831"], before=before) == ["2024-01-02"]


def test_a_point_has_a_format_of_its_own():
    points = "<numLit><formatCode>General</formatCode><pt idx='0' formatCode='0.0%'><v>0.125</v></pt><pt idx='1'><v>2</v></pt></numLit>"
    assert chart("", points).series[0].values == {0: "12.5%", 1: "2"}


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("", "4.4000000000000004", "4.4"),
        ("General", "45292", "45292"),
        ("yyyy", "#N/A", "#N/A"),
        ("yyyy", "nan", "nan"),
        ("0.00", "inf", "inf"),
        ("yyyy" * 100, "45292", "45292"),
    ],
)
def test_what_has_no_format_stays_as_it_is(code, value, shown):
    assert categories(code, [value]) == [shown]


def test_texts_are_not_taken_for_numbers():
    assert chart(f"<strRef>{cache('', ['007'], kind='strCache')}</strRef>", "").labels == ["007"]


def test_a_chart_of_the_newer_kinds_has_formats_too():
    root = etree.fromstring(
        f"<cx:chartSpace xmlns:cx='{EXTENDED}'><cx:chartData><cx:data id='0'>"
        "<cx:strDim type='cat'><cx:lvl><cx:pt idx='0'>007</cx:pt></cx:lvl></cx:strDim>"
        "<cx:numDim type='val'><cx:lvl formatCode='0%'><cx:pt idx='0'>0.5</cx:pt></cx:lvl></cx:numDim>"
        "</cx:data></cx:chartData></cx:chartSpace>"
    )
    (series,) = read_chart(root).series
    assert (series.categories, series.values) == ({0: "007"}, {0: "50%"})
