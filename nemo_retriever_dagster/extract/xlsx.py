"""Excel workbooks (.xlsx): one page a sheet; blocks of cells as tables, with charts, pictures and comments.

Rows that are empty part a sheet into blocks. A block of one column is text, any other is a table, in groups of rows
that repeat its header, so that no table is larger than a bounded element.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.ooxml import Package, attribute, every, first, q
from nemo_retriever_dagster.extract.ooxml_picture import chart_of, link_attribute, picture_element, wanted_elements
from nemo_retriever_dagster.extract.tabular import CELLS_A_GROUP, ROWS_A_GROUP, table_element
from nemo_retriever_dagster.extract.xlsx_cells import Workbook, merges, rich_text, rows
from nemo_retriever_dagster.model import Cell, Element, Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

Rows = list[tuple[int, dict[int, str]]]
_NUMBER = re.compile(r"[-+(]?[^\w\s]?\s*[\d.,]+\s*[%)]?|\d{4}-\d\d-\d\d.*|TRUE|FALSE")
_SHOWN = {"", "visible"}


class XlsxExtractor:
    """Reads .xlsx with the values the file keeps; formulas are not computed."""

    formats: tuple[str, ...] = ("xlsx",)
    methods: tuple[str, ...] = ()
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page a sheet, in the order of the tabs."""
        with Package(path, budget) as package:
            part, root = package.main("s:workbook")
            sheets = every(root, "s:sheets/s:sheet")
            budget.check("pages", len(sheets))
            workbook = Workbook(package, part, root)
            for index, node in enumerate(sheets):
                reader = _Sheet(package, workbook, options, budget, index + 1)
                elements = reader.elements(node, part)
                if not index:
                    elements = [*elements, *(Element(kind=Kind.TEXT, warnings=(text,)) for text in workbook.warnings)]
                yield Page(number=index + 1, elements=tuple(wanted_elements(elements, options)), total=len(sheets))


class _Sheet:
    """Reads one sheet."""

    def __init__(
        self, package: Package, workbook: Workbook, options: ExtractOptions, budget: Budget, number: int
    ) -> None:
        self._package = package
        self._workbook = workbook
        self._options = options
        self._budget = budget
        self._number = number

    def elements(self, node: _Element, workbook_part: str) -> list[Element]:
        """Return the sheet's name and content; a sheet that is damaged is a warning, the others are still read."""
        name = node.get("name", "")
        marks = {} if node.get("state", "") in _SHOWN else {"hidden": True}
        title = Element(kind=Kind.TEXT, text=name, heading=1, page=self._number, attributes={"part": "sheet", **marks})
        link = self._package.links(workbook_part).get(attribute(node, "r:id"))
        try:
            if link is None or link.external:
                raise CorruptFileError("its reference leads nowhere.")  # noqa: TRY301 -- one place makes the warning
            return [title, *self._content(link.target)]
        except CorruptFileError as error:
            warning = f"The sheet {name!r} cannot be read: {error.message}"
            return [title, Element(kind=Kind.TEXT, page=self._number, warnings=(warning,))]

    def _content(self, part: str) -> Iterator[Element]:
        root = self._package.xml(part)
        spans = merges(root)
        for block in _blocks(rows(root, self._workbook), spans):
            yield from self._block(block, spans)
        yield from self._drawings(part)
        yield from self._comments(part)

    def _block(self, block: Rows, spans: dict[tuple[int, int], tuple[int, int]]) -> Iterator[Element]:
        columns = sorted({column for _, cells in block for column in cells})
        if len(columns) == 1 or not self._options.tables:
            lines = ("\t".join(cells[column] for column in sorted(cells)) for _, cells in block)
            yield Element(kind=Kind.TEXT, text="\n".join(lines), page=self._number)
            return
        self._budget.spend("xml_nodes", len(block) * len(columns))  # a few far cells must not make a vast grid
        head = block[:1] if _is_header(block) else []
        body = block[len(head) :]
        step = max(1, min(ROWS_A_GROUP, CELLS_A_GROUP // len(columns)))
        for start in range(0, max(len(body), 1), step):
            table = _table([*head, *body[start : start + step]], columns, spans, headers=len(head))
            yield table_element(table, self._options.table_format, page=self._number)

    def _drawings(self, part: str) -> Iterator[Element]:
        drawing = self._package.link(part, "drawing")
        if not drawing:
            return
        for node in self._package.xml(drawing).iter(q("c:chart"), q("cx:chart"), q("a:blip")):
            link_id = node.get(link_attribute("id")) or node.get(link_attribute("embed")) or ""
            if node.tag == q("a:blip"):
                yield picture_element(
                    self._package, drawing, link_id, alt_text="", options=self._options, budget=self._budget
                )
            else:
                yield chart_of(self._package, drawing, link_id, alt_text="", options=self._options)

    def _comments(self, part: str) -> Iterator[Element]:
        target = self._package.link(part, "comments")
        for node in every(self._package.xml(target), "s:commentList/s:comment") if target else ():
            body = first(node, "s:text")
            if body is not None and (text := rich_text(body)):
                label = f"Comment on {node.get('ref', '?')}: {text}"
                yield Element(kind=Kind.TEXT, text=label, page=self._number, attributes={"part": "comment"})


def _blocks(
    found: Iterator[tuple[int, dict[int, str]]], spans: dict[tuple[int, int], tuple[int, int]]
) -> Iterator[Rows]:
    """Part the rows where one is empty; a merged cell holds the rows it covers together."""
    block: Rows = []
    reach = 0
    for row, cells in found:
        if block and row > reach + 1:
            yield block
            block = []
        block.append((row, cells))
        reach = max(row, *(row + spans.get((row, column), (1, 1))[0] - 1 for column in cells))
    if block:
        yield block


def _table(block: Rows, columns: list[int], spans: dict[tuple[int, int], tuple[int, int]], *, headers: int) -> Table:
    """Return a table of these rows and columns; spans are cut to them."""
    places = {row: index for index, (row, _) in enumerate(block)}
    covered: set[tuple[int, int]] = set()
    made: list[Cell] = []
    for index, (row, cells) in enumerate(block):
        for position, column in enumerate(columns):
            if (index, position) in covered:
                continue
            height, width = spans.get((row, column), (1, 1))
            span = bisect_left(columns, column + width) - position
            down = max(places.get(row + more, index) for more in range(min(height, len(block)))) - index + 1
            covered |= {(index + r, position + c) for r in range(down) for c in range(span)}
            cell = Cell(
                row=index,
                column=position,
                text=cells.get(column, ""),
                row_span=down,
                column_span=span,
                header=index < headers,
            )
            made.append(cell)
    return Table(cells=tuple(made))


def _is_header(block: Rows) -> bool:
    """Whether the first row names the columns: texts without a number, above further rows."""
    return len(block) > 1 and not any(_NUMBER.fullmatch(text) for text in block[0][1].values())
