"""The data of charts in Word and PowerPoint files: title, axes, categories, series, read from the chart's own part."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import OFF, every, first, number, q, short
from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.contract import TableFormat

NO_DATA = "The chart keeps no copy of its data; it was read without values."
_PLAIN = "General"
_LONGEST_FORMAT = 255
"""What Excel lets one type; a longer one is no format of a chart's."""
_AXES = ("c:catAx", "c:dateAx", "c:valAx", "c:serAx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of bars, one line, one pie: its name, its categories (or x values) and values by index."""

    name: str
    categories: dict[int, str]
    values: dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a chart says."""

    kind: str
    title: str
    axes: tuple[str, ...]
    series: tuple[Series, ...]

    @property
    def labels(self) -> list[str]:
        """The categories of all series, each once, in order."""
        return list(dict.fromkeys(text for series in self.series for text in series.categories.values()))

    def table(self) -> Table:
        """Return the values: one column a series where they share categories, else one row a point."""
        shared = {tuple(series.categories.items()) for series in self.series if series.categories}
        if len(shared) > 1:
            return Table.of_rows(self._points(), headers=1)
        categories = dict(next(iter(shared), ()))
        places = sorted({index for series in self.series for index in series.values} | categories.keys())
        head = [self.axes[0] if self.axes else "", *(series.name for series in self.series)]
        rows = [[categories.get(i, ""), *(series.values.get(i, "") for series in self.series)] for i in places]
        return Table.of_rows([head, *rows], headers=1)

    def _points(self) -> list[list[str]]:
        rows = [["Series", "X", "Y"]]
        for series in self.series:
            places = sorted(series.values.keys() | series.categories.keys())
            rows += [[series.name, series.categories.get(i, ""), series.values.get(i, "")] for i in places]
        return rows


def read_chart(root: _Element) -> Chart:
    """Read a chart part (``c:chartSpace``, or the newer ``cx:chartSpace``)."""
    return _read_extended(root) if short(root.tag).startswith("cx:") else _read_classic(root)


def chart_element(chart: Chart, table_format: TableFormat, *, alt_text: str = "") -> Element:
    """Return the chart as an element: title, labels as ``a - b - c``, axes, series, then the values as a table."""
    table = chart.table()
    lines = [chart.title, " - ".join(chart.labels), *chart.axes, " - ".join(s.name for s in chart.series if s.name)]
    has_values = any(series.values for series in chart.series)
    rendered = [render(table, table_format)] if has_values else []
    text = "\n".join(line for line in dict.fromkeys(lines) if line)
    return Element(
        kind=Kind.CHART,
        text="\n\n".join(part for part in [text, *rendered] if part),
        table=table if has_values else None,
        table_format=table_format if has_values else "",
        alt_text=alt_text,
        warnings=() if has_values else (NO_DATA,),
        attributes={"chart_type": chart.kind, "title": chart.title},
    )


def _read_classic(root: _Element) -> Chart:
    area = first(root, "c:chart/c:plotArea")
    plots = [node for node in (area if area is not None else ()) if short(node.tag).endswith("Chart")]
    axes = [_rich_text(first(axis, "c:title")) for name in _AXES for axis in every(area, name)]
    return Chart(
        kind=", ".join(dict.fromkeys(short(plot.tag)[2:].removesuffix("Chart") for plot in plots)),
        title=_rich_text(first(root, "c:chart/c:title")),
        axes=tuple(axis for axis in axes if axis),
        series=tuple(_series(node, mac_epoch=_mac_epoch(root)) for plot in plots for node in every(plot, "c:ser")),
    )


def _mac_epoch(root: _Element) -> bool:
    """Whether days are counted from 1904."""
    node = first(root, "c:date1904")
    return node is not None and node.get("val", "1") not in OFF


def _series(node: _Element, *, mac_epoch: bool) -> Series:
    name = first(node, "c:tx")
    return Series(
        name=" ".join(_points(name).values()) if name is not None else "",
        categories=_points(_either(node, "c:cat", "c:xVal"), mac_epoch=mac_epoch),
        values=_points(_either(node, "c:val", "c:yVal"), mac_epoch=mac_epoch),
    )


def _either(node: _Element, *paths: str) -> _Element | None:
    return next((found for path in paths if (found := first(node, path)) is not None), None)


def _points(node: _Element | None, *, mac_epoch: bool = False) -> dict[int, str]:
    """Return the cached values below a node by index; the levels of a multi-level category stand in one text."""
    if node is None:
        return {}
    levels = list(node.iter(q("c:lvl"))) or [node]
    code = _number_format(node)
    found: dict[int, str] = {}
    for level in reversed(levels):
        own = {number(point.get("idx")): _value(point, code, mac_epoch=mac_epoch) for point in level.iter(q("c:pt"))}
        found = _below(found, own) if found else own
    return found or {i: text for i, v in enumerate(node.iter(q("c:v"))) if (text := (v.text or "").strip())}


def _below(outer: dict[int, str], inner: dict[int, str]) -> dict[int, str]:
    """Put the outer label, which stands once for several inner ones, before each of them."""
    joined, label = {}, ""
    for index in sorted(inner):
        label = outer.get(index, label)
        joined[index] = f"{label} {inner[index]}".strip()
    return joined


def _number_format(node: _Element) -> str | None:
    """Return the format of cached numbers, None where texts are cached."""
    cache = next(node.iter(q("c:numCache"), q("c:numLit")), None)
    if cache is None:
        return None
    code = first(cache, "c:formatCode")
    return _PLAIN if code is None else code.text or _PLAIN


def _value(point: _Element, code: str | None, *, mac_epoch: bool) -> str:
    value = first(point, "c:v")
    text = (value.text or "").strip() if value is not None else ""
    return text if code is None else _number_text(text, point.get("formatCode", code), mac_epoch=mac_epoch)


def _number_text(text: str, code: str, *, mac_epoch: bool = False) -> str:
    """Return a cached number as Office shows it: a date, per cent, without the noise behind the fifteenth digit."""
    from nemo_retriever_dagster.extract.xlsx_shown import shown

    try:
        value = float(text)
    except ValueError:
        return text
    if not isfinite(value):
        return text
    return shown(value, code if len(code) <= _LONGEST_FORMAT else _PLAIN, mac_epoch=mac_epoch)


def _rich_text(title: _Element | None) -> str:
    """Return the text of a title, typed or taken from a cell."""
    if title is None:
        return ""
    typed = "".join(node.text or "" for node in title.iter(q("a:t"))).strip()
    return typed or " ".join(_points(title).values())


def _read_extended(root: _Element) -> Chart:
    """Read a chart of the 2014 kinds (waterfall, treemap, funnel ...): one table of dimensions."""
    area = first(root, "cx:chart/cx:plotArea")
    kinds = [node.get("layoutId", "") for node in every(area, "cx:plotAreaRegion/cx:series")]
    names = [_extended_text(first(node, "cx:tx")) for node in every(area, "cx:plotAreaRegion/cx:series")]
    data = every(root, "cx:chartData/cx:data")
    return Chart(
        kind=", ".join(dict.fromkeys(kinds)),
        title=_extended_text(first(root, "cx:chart/cx:title")),
        axes=tuple(text for axis in every(area, "cx:axis") if (text := _extended_text(first(axis, "cx:title")))),
        series=tuple(_extended_series(node, name) for node, name in zip(data, _padded(names, len(data)), strict=True)),
    )


def _extended_series(node: _Element, name: str) -> Series:
    categories, values = (_extended_points(every(node, path)) for path in ("cx:strDim", "cx:numDim"))
    return Series(name=name, categories=categories, values=values)


def _extended_points(dimensions: Sequence[_Element]) -> dict[int, str]:
    found: dict[int, str] = {}
    for dimension in dimensions:
        for level in reversed(every(dimension, "cx:lvl")):
            own = {number(point.get("idx")): _extended_value(point, level) for point in every(level, "cx:pt")}
            found = _below(found, own) if found else own
    return found


def _extended_value(point: _Element, level: _Element) -> str:
    text, code = (point.text or "").strip(), level.get("formatCode")
    return text if code is None else _number_text(text, code)


def _extended_text(node: _Element | None) -> str:
    if node is None:
        return ""
    typed = "".join(part.text or "" for part in node.iter(q("a:t"))).strip()
    return typed or "".join(part.text or "" for part in node.iter(q("cx:v"))).strip()


def _padded(names: list[str], length: int) -> list[str]:
    return (names + [""] * length)[:length]
