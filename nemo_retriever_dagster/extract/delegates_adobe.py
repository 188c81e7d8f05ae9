"""The structured data of Adobe PDF Extract as pages: a flat list of texts, each with the path of its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.tabular import table_element
from nemo_retriever_dagster.model import Element, Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_CELL = re.compile(
    r"(?P<table>.*?/Table(?:\[\d+\])?)/(?P<row>(?:T(?:Head|Body)/)?TR(?:\[\d+\])?)/(?P<cell>T[HD](?:\[\d+\])?)"
)
_HEADING = re.compile(r".*/H(\d)(?:\[\d+\])?")
_TITLE = re.compile(r".*/Title(?:\[\d+\])?")

Grid = dict[str, dict[str, list[str]]]
"""Row -> cell -> texts, each by the name its path gives it, in the order of the list."""


def adobe_pages(found: Iterable[Mapping[str, Any]], options: ExtractOptions) -> Iterator[Page]:
    """Yield the pages of ``structuredData.json``'s elements; ``Page`` counts from 0 there.

    ``//Document/Table/TR[2]/TD/P`` is a paragraph in the first cell of a table's second row.
    """
    pages: dict[int, list[Element | str]] = {}
    tables: dict[str, Grid] = {}
    for item in found:
        text = str(item.get("Text", "")).strip()
        if not text:
            continue
        place = str(item["Path"])
        on_page = pages.setdefault(int(item.get("Page", 0)) + 1, [])
        cell = _CELL.match(place) if options.tables else None
        if cell is None:
            on_page.append(Element(kind=Kind.TEXT, text=text, heading=_heading(place)))
            continue
        if cell["table"] not in tables:
            on_page.append(cell["table"])  # the table stands where its first cell does
        grid = tables.setdefault(cell["table"], {})
        grid.setdefault(cell["row"], {}).setdefault(cell["cell"], []).append(text)
    for number, items in sorted(pages.items()):
        elements = (_table(tables[item], options) if isinstance(item, str) else item for item in items)
        yield Page(number=number, elements=tuple(elements))


def _table(grid: Grid, options: ExtractOptions) -> Element:
    rows = [[" ".join(texts) for texts in row.values()] for row in grid.values()]
    return table_element(Table.of_rows(rows, headers=1), options.table_format)


def _heading(place: str) -> int:
    match = _HEADING.fullmatch(place)
    return int(match[1]) if match else int(bool(_TITLE.fullmatch(place)))
