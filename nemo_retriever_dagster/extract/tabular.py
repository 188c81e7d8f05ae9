"""Long tables as bounded elements: groups of rows, the header repeated on each."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Element, Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nemo_retriever_dagster.extract.contract import TableFormat

ROWS_A_GROUP = 200
CELLS_A_GROUP = 10_000


def table_element(table: Table, table_format: TableFormat) -> Element:
    """Return a table as an element, its text in ``table_format``."""
    return Element(kind=Kind.TABLE, text=render(table, table_format), table=table, table_format=table_format)


def row_groups(rows: Iterable[Sequence[str]], table_format: TableFormat, *, headers: int = 0) -> Iterator[Element]:
    """Yield tables of at most 200 rows and about 10,000 cells; the first ``headers`` rows stand above each of them.

    Rows are padded to the widest of their group; no cell is left out. Reads no further than the group it yields.
    """
    remaining = iter(rows)
    head = list(islice(remaining, headers))
    group: list[Sequence[str]] = []
    cells = 0
    yielded = False
    for row in remaining:
        group.append(row)
        cells += len(row)
        if len(group) >= ROWS_A_GROUP or cells >= CELLS_A_GROUP:
            yield _group(head, group, table_format)
            group, cells, yielded = [], 0, True
    if group or (head and not yielded):
        yield _group(head, group, table_format)


def _group(head: Sequence[Sequence[str]], group: Sequence[Sequence[str]], table_format: TableFormat) -> Element:
    width = max((len(row) for row in chain(head, group)), default=0)
    padded = [[*row, *[""] * (width - len(row))] for row in chain(head, group)]
    return table_element(Table.of_rows(padded, headers=len(head)), table_format)
