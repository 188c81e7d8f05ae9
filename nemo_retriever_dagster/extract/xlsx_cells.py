"""The cells of a worksheet as text, and the workbook's tables they point into: shared strings, number formats."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.ooxml import every, first, number, q
from nemo_retriever_dagster.extract.xlsx_shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.ooxml import Package

_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LETTERS = 26
_MOST_COLUMNS = 16_384
_PHONETIC = "s:rPh"
_YES = {"1", "true"}
_MENDED = {
    **dict.fromkeys((*range(27, 37), *range(50, 59)), "yyyy-mm-dd"),
    44: r'_("$"* #,##0.00_);_("$"* \(#,##0.00\);_("$"* "-"??_);_(@_)',
}
"""Formats that openpyxl lacks or has without semicolons; 27 to 36 and 50 to 58 are dates and times of East Asia."""


class Hidden(NamedTuple):
    """Rows and columns that a sheet does not show, from 0."""

    rows: frozenset[int]
    columns: frozenset[int]


class Workbook:
    """What the sheets of a workbook share."""

    def __init__(self, package: Package, part: str, root: _Element) -> None:
        """Read shared strings and styles; a workbook without them is whole too."""
        properties = first(root, "s:workbookPr")
        self.mac_epoch = properties is not None and properties.get("date1904", "0") in _YES
        self.warnings: list[str] = []
        self._strings = [rich_text(node) for node in every(self._part(package, part, "sharedStrings"), "s:si")]
        styles = self._part(package, part, "styles")
        own = {number(n.get("numFmtId")): n.get("formatCode", "") for n in every(styles, "s:numFmts/s:numFmt")}
        self._formats = [
            own.get(code, _built_in(code))
            for code in (number(node.get("numFmtId")) for node in every(styles, "s:cellXfs/s:xf"))
        ]

    def text(self, cell: _Element) -> str:
        """Return what a cell (``s:c``) shows; a formula whose result the file does not keep is shown itself."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = first(cell, "s:is")
            return rich_text(inline) if inline is not None else ""
        value, formula = first(cell, "s:v"), first(cell, "s:f")
        text = (value.text or "").strip() if value is not None else ""
        if not text:
            return f"={formula.text}" if formula is not None and formula.text else ""
        if kind == "s":
            place = number(text, -1)
            return self._strings[place] if 0 <= place < len(self._strings) else ""
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        return self._number(text, cell) if kind == "n" else unescaped(text)

    def _number(self, text: str, cell: _Element) -> str:
        try:
            value = float(text)
        except ValueError:
            return text
        style = number(cell.get("s"), -1)
        code = self._formats[style] if 0 <= style < len(self._formats) else "General"
        return shown(value, code, mac_epoch=self.mac_epoch)

    def _part(self, package: Package, part: str, kind: str) -> _Element | None:
        target = package.link(part, kind)
        try:
            return package.xml(target) if target else None
        except CorruptFileError as error:
            self.warnings.append(f"The part {target} cannot be read: {error.message}")
            return None


def rich_text(node: _Element) -> str:
    """Return the text of a string item, reading aids for Asian scripts left out."""
    phonetic = {run for aid in every(node, _PHONETIC) for run in aid.iter(q("s:t"))}
    return unescaped("".join(run.text or "" for run in node.iter(q("s:t")) if run not in phonetic)).strip()


def unescaped(text: str) -> str:
    """Return a string with the signs that XML cannot hold put back (``_x000D_``) and control codes left out."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\r\n", "\n").replace("\r", "\n")
    joined = units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # pairs are escaped one by one
    return _CONTROL.sub("", joined)


def rows(sheet: _Element, workbook: Workbook) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield each row that holds text: its number and its cells by column, both from 0."""
    for row, node in _numbered(sheet):
        cells: dict[int, str] = {}
        column = -1
        for cell in every(node, "s:c"):
            column = place(cell.get("r", ""))[1] if cell.get("r") else column + 1
            if text := workbook.text(cell):
                cells[column] = text
        if cells:
            yield row, cells


def hidden(sheet: _Element) -> Hidden:
    """Return the rows and columns that the sheet does not show."""
    columns: set[int] = set()
    reach = 0
    ranges = ((number(n.get("min")), number(n.get("max"))) for n in every(sheet, "s:cols/s:col") if _is_hidden(n))
    for low, high in sorted(ranges):  # ranges that overlap are not counted out twice
        columns.update(range(max(low - 1, reach), min(high, _MOST_COLUMNS)))
        reach = max(reach, high)
    return Hidden(frozenset(row for row, node in _numbered(sheet) if _is_hidden(node)), frozenset(columns))


def _numbered(sheet: _Element) -> Iterator[tuple[int, _Element]]:
    """Yield the rows (``s:row``) under their number from 0; one that does not say it follows the last."""
    row = -1
    for node in every(sheet, "s:sheetData/s:row"):
        row = number(node.get("r"), row + 2) - 1
        yield row, node


def _is_hidden(node: _Element) -> bool:
    return node.get("hidden", "0") in _YES


def merges(sheet: _Element) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the merged cells: (row, column) of the first -> (rows, columns)."""
    found = {}
    for node in every(sheet, "s:mergeCells/s:mergeCell"):
        start, _, end = node.get("ref", "").partition(":")
        if end:
            (top, left), (bottom, right) = place(start), place(end)
            found[top, left] = (bottom - top + 1, right - left + 1)
    return found


def place(reference: str) -> tuple[int, int]:
    """Turn ``B3`` into (2, 1); raise `CorruptFileError` for anything else."""
    match = _REFERENCE.fullmatch(reference.replace("$", "").upper())
    if match is None:
        raise CorruptFileError(f"A cell of the workbook stands at {reference!r}, which is no place.")
    column = 0
    for letter in match[1]:
        column = column * _LETTERS + ord(letter) - ord("A") + 1
    return int(match[2]) - 1, column - 1


def _built_in(code: int) -> str:
    """Return the format of a number that files use without stating it."""
    from openpyxl.styles.numbers import BUILTIN_FORMATS

    return _MENDED.get(code) or str(BUILTIN_FORMATS.get(code, "General"))
