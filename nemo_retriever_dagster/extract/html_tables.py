"""HTML tables to cells: spans kept, layout tables told apart, hostile spans bounded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.html_style import Ink, ink_of
from nemo_retriever_dagster.extract.tabular import ROWS_A_GROUP
from nemo_retriever_dagster.model import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from selectolax.lexbor import LexborNode

_WIDEST_SPAN = 1_000
_PLACES_A_GROUP = 200_000
_SIGNS_OF_DATA = frozenset(["thead", "caption", "colgroup"])
_SIGNS_OF_LAYOUT = "table, h1, h2, h3, h4, h5, h6, form, nav, article, section"
_SIGNS_IN_SPITE_OF_HEADER = "h1, nav, article, section"
_SIGNS_OF_HEADER = "th, thead"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A cell as it is written, before it has a place."""

    text: str
    row_span: int
    column_span: int
    header: bool


class Row(NamedTuple):
    """A row that is laid out: its cells that are, what they inherit, whether it stands in the table's head."""

    cells: list[LexborNode]
    ink: Ink
    in_head: bool


def rows_of(table: LexborNode, ink: Ink) -> list[Row]:
    """Return a table's own rows, not those of tables inside of it; ``ink`` is the table's."""
    groups = [(group, inside) for group in _in_order(table) if (inside := ink_of(group, ink)) is not None]
    return [
        Row(_cells(row, row_ink), row_ink, group.tag == "thead")
        for group, inside in groups
        for row in group.iter()
        if row.tag == "tr" and (row_ink := ink_of(row, inside)) is not None
    ]


def is_grid(table: LexborNode, rows: Sequence[Row]) -> bool:
    """Whether a table holds data: one around other tables, headings or a single row or column is a page's layout.

    Under a header, headings, forms and plain tables are what a cell says.
    """
    cells = [cell for row in rows for cell in row.cells]
    headed = _has_header([row for row in rows if row.cells])
    if table.attributes.get("role") in {"presentation", "none"} or _holds_layout(table, headed=headed):
        return False
    if any(cell.tag == "th" for cell in cells) or any(child.tag in _SIGNS_OF_DATA for child in table.iter()):
        return bool(cells)
    return sum(bool(row.cells) for row in rows) > 1 and max(len(row.cells) for row in rows) > 1


def tables_of(rows: Sequence[Row], read: Callable[[LexborNode, Ink], str]) -> Iterator[Table]:
    """Yield the table, in groups of rows under the same header when it is long.

    ``read`` gives a cell's text; its second argument is what the cell inherits.
    """
    spots = [[_spot(cell, read(cell, row.ink)) for cell in row.cells] for row in rows]
    headers = sum(row.in_head for row in rows) or _header_rows(spots)
    head, body = spots[:headers], spots[headers:]
    width = max((sum(spot.column_span for spot in row) for row in spots), default=0)
    step = max(1, min(ROWS_A_GROUP, _PLACES_A_GROUP // max(width, 1)))
    for start in range(0, max(len(body), 1), step):
        if placed := _placed(head, body[start : start + step]):
            yield placed


def lines_of(table: Table) -> str:
    """Return a table as plain text, a line a row."""
    rows = (" ".join(" ".join(row).split()) for row in table.rows())
    return "\n".join(row for row in rows if row)


def _in_order(table: LexborNode) -> list[LexborNode]:
    """Return a table's groups of rows where a browser draws them: the first head above, the first foot below all."""
    groups = list(table.iter())
    head, foot = (next((group for group in groups if group.tag == tag), None) for tag in ("thead", "tfoot"))
    moved = {group.mem_id for group in (head, foot) if group is not None}
    body = [group for group in groups if group.mem_id not in moved]
    return [group for group in (head, *body, foot) if group is not None]


def _cells(row: LexborNode, ink: Ink) -> list[LexborNode]:
    return [cell for cell in row.iter() if cell.tag in {"td", "th"} and ink_of(cell, ink) is not None]


def _has_header(rows: Sequence[Row]) -> bool:
    """Whether the first of ``rows`` names the columns of those below it."""
    if not rows or not any(cell.tag == "td" for row in rows[1:] for cell in row.cells):
        return False
    names = rows[0].cells
    return rows[0].in_head or (len(names) > 1 and all(cell.tag == "th" for cell in names))


def _holds_layout(table: LexborNode, *, headed: bool) -> bool:
    if not headed:
        return any(found.mem_id != table.mem_id for found in table.css(_SIGNS_OF_LAYOUT)[:2])
    inner = (found for found in table.css("table") if found.mem_id != table.mem_id)
    return table.css_first(_SIGNS_IN_SPITE_OF_HEADER) is not None or any(
        one.css_first(_SIGNS_OF_HEADER) for one in inner
    )


def _header_rows(rows: Sequence[Sequence[_Spot]]) -> int:
    return sum(1 for _ in takewhile(lambda row: row and all(spot.header for spot in row), rows))


def _spot(cell: LexborNode, text: str) -> _Spot:
    return _Spot(
        text=text,
        row_span=_span(cell, "rowspan"),
        column_span=_span(cell, "colspan"),
        header=cell.tag == "th",
    )


def _span(cell: LexborNode, name: str) -> int:
    """Return a span as it is written, 1 to 1000; ``rowspan=0`` (all rows to the end) is the most."""
    text = (cell.attributes.get(name) or "1").strip()
    if not text.isascii() or not text.isdigit():
        return 1
    value = int(text[:6])
    return min(value or (_WIDEST_SPAN if name == "rowspan" else 1), _WIDEST_SPAN)


def _placed(head: Sequence[Sequence[_Spot]], body: Sequence[Sequence[_Spot]]) -> Table | None:
    """Give each cell its row and column; a row span ends with the header or the group it began in."""
    cells: list[Cell] = []
    for first, rows, in_head in ((0, head, True), (len(head), body, False)):
        taken: dict[int, int] = {}  # column -> the first row where it is free again
        for row, spots in enumerate(rows, first):
            last = first + len(rows)
            cells += _row(row, spots, taken, last, in_head=in_head)
    return Table(cells=tuple(cells)) if any(cell.text for cell in cells) else None


def _row(row: int, spots: Sequence[_Spot], taken: dict[int, int], last: int, *, in_head: bool) -> Iterator[Cell]:
    column = 0
    for spot in spots:
        while taken.get(column, 0) > row:
            column += 1
        width = max(1, min(spot.column_span, _WIDEST_SPAN - column))
        height = min(spot.row_span, last - row)
        yield Cell(
            row=row,
            column=column,
            text=spot.text,
            row_span=height,
            column_span=width,
            header=spot.header or in_head,
        )
        for place in range(column, column + width):
            taken[place] = row + height
        column += width
