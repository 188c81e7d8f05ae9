"""Excel workbooks (.xlsx): one page a sheet; blocks of cells as tables, with text boxes, charts, pictures, comments.

Rows that are empty, and columns between tables, part a sheet into blocks; what is hidden of a block stands apart. A
block of one column is text, any other is a table, in groups of rows that repeat its header, so that no table is larger
than a bounded element.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.ooxml import Package, attribute, every
from nemo_retriever_dagster.extract.ooxml_picture import wanted_elements
from nemo_retriever_dagster.extract.tabular import CELLS_A_GROUP, ROWS_A_GROUP, table_element
from nemo_retriever_dagster.extract.xlsx_blocks import blocks, parted, table_of
from nemo_retriever_dagster.extract.xlsx_cells import Workbook, hidden, merges, rows
from nemo_retriever_dagster.extract.xlsx_comments import comments
from nemo_retriever_dagster.extract.xlsx_drawings import drawn
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.xlsx_blocks import Part, Spans
    from nemo_retriever_dagster.limits import Budget

_SHOWN = {"", "visible"}


class XlsxExtractor:
    """Reads .xlsx with the values the file keeps; formulas are not computed."""

    formats: tuple[str, ...] = ("xlsx",)
    methods: tuple[str, ...] = ()
    version = "3"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page a sheet, in the order of the tabs."""
        with Package(path, budget) as package:
            part, root = package.main("s:workbook")
            sheets = every(root, "s:sheets/s:sheet")
            budget.check("pages", len(sheets))
            workbook, said = Workbook(package, part, root), package.dates()
            for index, node in enumerate(sheets):
                reader = _Sheet(package, workbook, options, budget, index + 1)
                elements = reader.elements(node, part)
                if not index:
                    elements = [*elements, *(Element(kind=Kind.TEXT, warnings=(text,)) for text in workbook.warnings)]
                wanted = tuple(wanted_elements(elements, options))
                yield Page(number=index + 1, elements=wanted, total=len(sheets), dates=said)


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
        found = [Element(kind=Kind.TEXT, text=name, heading=1, attributes={"part": "sheet"})]
        link = self._package.links(workbook_part).get(attribute(node, "r:id"))
        try:
            if link is None or link.external:
                raise CorruptFileError("its reference leads nowhere.")  # noqa: TRY301 -- one place makes the warning
            for element in self._content(link.target, workbook_part):
                found.append(element)  # noqa: PERF402 -- what comes before the damage is kept
        except CorruptFileError as error:
            warning = f"The sheet {name!r} cannot be read: {error.message}"
            found.append(Element(kind=Kind.TEXT, warnings=(warning,)))
        return [replace(e, page=self._number, attributes={**e.attributes, **marks}) for e in found]

    def _content(self, part: str, workbook_part: str) -> Iterator[Element]:
        root = self._package.xml(part)
        spans, unseen = merges(root), hidden(root)
        for block in blocks(rows(root, self._workbook), spans):
            for shown in parted(block, unseen):
                yield from self._block(shown, spans)
        yield from drawn(self._package, part, self._options, self._budget)
        yield from comments(self._package, workbook_part, part)

    def _block(self, part: Part, spans: Spans) -> Iterator[Element]:
        marks = {"hidden": True} if part.hidden else {}
        columns = sorted({column for _, cells in part.rows for column in cells})
        if len(columns) == 1 or not self._options.tables:
            lines = ("\t".join(cells[column] for column in sorted(cells)) for _, cells in part.rows)
            yield Element(kind=Kind.TEXT, text="\n".join(lines), attributes=marks)
            return
        self._budget.spend("xml_nodes", len(part.rows) * len(columns))  # a few far cells must not make a vast grid
        head, body = part.rows[: part.headers], part.rows[part.headers :]
        step = max(1, min(ROWS_A_GROUP, CELLS_A_GROUP // len(columns)))
        for start in range(0, max(len(body), 1), step):
            table = table_of([*head, *body[start : start + step]], columns, spans, headers=part.headers)
            yield replace(table_element(table, self._options.table_format), attributes=marks)
