"""Is a run of lines with columns a table? Lists, contents, formulas, prose, the labels of figures are not."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FEWEST, MOSTLY
from nemo_retriever_dagster.extract.tables.lines import around, mostly_in
from nemo_retriever_dagster.extract.tables.tokens import is_mark, is_page, is_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import PageGeometry
    from nemo_retriever_dagster.extract.tables.lines import Line
    from nemo_retriever_dagster.model import Box, Cell, Table

LEAST_FILLED = 0.4  # share of a table's places that have text
MOST_WEAK = 0.4  # share of cells of one or two letters: formulas
ENOUGH_AMOUNTS = 0.4  # share of amounts that makes columns a table without more ado
MOST_SMALL = 0.4  # share of cells that start with a small letter: lines of prose
ROWS_OF_TEXT = 3  # a table without amounts has at least as many
WORDS_A_CELL, WORDS_A_CELL_OF_TWO = 8, 6  # at most, on average, in a table without amounts
CONTENTS_COLUMNS, CONTENTS_ROWS = 4, 3
NUMBERED_LINES, SPARSE = 8, 0.7
SIGNS = 2  # cells of nothing but the signs of formulas
SHAPES = 3
ADDRESS_LINES, ADDRESS_PITCH = 6, 1.4  # at most; sizes of type from line to line
LARGE_SHAPE, LARGE_PICTURE = 0.5, 0.8  # shares of the page: backgrounds, not figures
_PAGE = re.compile(r"(?:page|seite|pagina|p\u00e1gina|s|p|pp|pg|no)\.?", re.IGNORECASE)  # over the numbers of pages
_WORD = re.compile(r"[^\W\d_]{2}|^[A-Z✓✗]$|^[A-Z]{1,3}[-./ ]?\d{2,}")  # or the code of a part: K1007, B-258
_SIGNS = re.compile(r"[=∈≤≥∑∏∫≈≡+|\u2212]+")


def acceptable(table: Table, run: Sequence[Line]) -> bool:
    """Tell a table from lists, contents, formulas, stray columns of text."""
    height, width = table.shape
    texts = [cell for cell in table.cells if cell.text]
    body = [cell.text for cell in texts if cell.column and cell.row]
    if height < FEWEST or width < FEWEST or not body:
        return False
    if _contents(table) or _listed(texts) or _form(texts) or (width == FEWEST and (_marked(run) or _counted(table))):
        return False
    filled = sum(cell.column_span for cell in texts) / (height * width)
    weak = sum(not _WORD.search(cell.text) and not is_value(cell.text) for cell in texts)
    signs = sum(bool(_SIGNS.fullmatch(cell.text)) for cell in texts)
    if signs >= SIGNS or filled < LEAST_FILLED or weak > MOST_WEAK * len(texts):
        return False
    if sum(map(is_value, body)) >= ENOUGH_AMOUNTS * len(body):
        return len(body) >= FEWEST
    return height >= ROWS_OF_TEXT and _terse(body, width) and not _numbered_lines(table)


def _terse(body: Sequence[str], width: int) -> bool:
    words = sum(len(text.split()) for text in body) / len(body)
    small = sum(text[0].islower() for text in body) / len(body)
    return words < (WORDS_A_CELL if width > FEWEST else WORDS_A_CELL_OF_TWO) and small < MOST_SMALL


def _contents(table: Table) -> bool:
    """Tell a table of contents: the last column, under no other heading than that, counts pages upwards."""
    height, width = table.shape
    rows = table.rows()
    head = rows[0][-1]
    if head and not is_page(head) and not _PAGE.fullmatch(head):
        return False
    pages = [int(row[-1]) for row in rows if is_page(row[-1])]
    rising = sum(a <= b for a, b in pairwise(pages))
    enough = len(pages) >= CONTENTS_ROWS and 2 * len(pages) >= height
    return width <= CONTENTS_COLUMNS and enough and rising >= 0.9 * (len(pages) - 1)


def _numbered_lines(table: Table) -> bool:
    """Tell text whose lines are numbered in the margin, as in transcripts: few of its places are filled."""
    rows = table.rows()
    numbers = [int(row[0]) for row in rows if is_page(row[0])]
    counting = sum(b - a == 1 for a, b in pairwise(numbers))
    filled = sum(bool(text) for row in rows for text in row[1:])
    sparse = filled < SPARSE * len(rows) * (table.shape[1] - 1)
    return len(numbers) >= NUMBERED_LINES and counting >= 0.9 * (len(rows) - 1) and sparse


def _listed(texts: Sequence[Cell]) -> bool:
    """Tell whether most cells start with a bullet: a list set in columns."""
    return sum(is_mark(cell.text.split()[0]) and not cell.text[0].isalnum() for cell in texts) > MOSTLY * len(texts)


def _form(texts: Sequence[Cell]) -> bool:
    """Tell a form: most texts are names of fields, with a colon before the place to write in."""
    return sum(cell.text.endswith(":") for cell in texts) > MOSTLY * len(texts)


def _counted(table: Table) -> bool:
    """Tell a list whose items are counted from the first on, without amounts: what heads a table is no number."""
    firsts, others = zip(*table.rows(), strict=True)
    numbers = [int(text) for text in firsts if is_page(text)]
    in_order = is_page(firsts[0]) and all(b - a == 1 for a, b in pairwise(numbers))
    return in_order and 2 * len(numbers) > len(firsts) and not any(map(is_value, others))


def beside_each_other(table: Table, run: Sequence[Line]) -> bool:
    """Tell two blocks of lines, as addresses are set: few close lines, no amounts, nothing in the first set apart."""
    height, width = table.shape
    words = [{word.bold for word in line.words()} for line in run]
    headed = words[0] == {True} and any(False in bold for bold in words[1:])
    if width > FEWEST or height > ADDRESS_LINES or headed or any(is_value(cell.text) for cell in table.cells):
        return False
    return all(below.box.y1 - above.box.y1 < ADDRESS_PITCH * _size(below) for above, below in pairwise(run))


def _size(line: Line) -> float:
    return max(word.size for word in line.words()) or line.box.height


def _marked(lines: Sequence[Line]) -> bool:
    """Tell whether the first segments are a list's marks."""
    firsts = [line.segments[0] for line in lines if len(line.segments) > 1]
    marks = sum(is_mark(segment.words[0].text) and len(segment.words) == 1 for segment in firsts)
    return marks >= MOSTLY * len(firsts)


def in_pictures(run: Sequence[Line], geometry: PageGeometry) -> bool:
    """Tell whether most words stand in pictures, or in three or more drawn shapes: they are labels of a figure."""
    page = geometry.size[0] * geometry.size[1]
    box = around(line.box for line in run)
    areas = [picture for picture in geometry.pictures if picture.area < LARGE_PICTURE * page]
    shapes = [s for s in geometry.drawings if _overlaps(s, box) and s.area < LARGE_SHAPE * page]
    if len(shapes) >= SHAPES:
        areas += shapes
    areas = [area for area in areas if _overlaps(area, box)]
    words = [word.box for line in run for word in line.words()]
    return sum(any(mostly_in(word, area) for area in areas) for word in words) > MOSTLY * len(words)


def _overlaps(a: Box, b: Box) -> bool:
    return min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)
