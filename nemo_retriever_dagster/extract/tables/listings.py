"""Listings of programs, whose lines have blanks in common and are no table: set in typewriter, or numbered."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.tokens import is_value
from nemo_retriever_dagster.extract.typewriter import is_line_number, is_typewriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.lines import Line
    from nemo_retriever_dagster.model import Table

TYPED_PAGE = 0.9  # of a page's letters: prose and tables are in typewriter too
TYPED = 0.85  # of a run's letters
TYPED_NUMBERED = 0.5  # of the letters behind the numbers
COUNTING = 0.8  # of the numbers are one more than the one before
ENOUGH_AMOUNTS = 0.4  # share of cells: columns of output, not code


def is_listing(run: Sequence[Line], table: Table, share: float, cuts: int) -> bool:
    """Tell a listing: code whose lines are numbered, or code on a page of other type, with no lines drawn in it.

    ``share`` is the `typed_share` of the page, ``cuts`` how many drawn lines go through the run.
    """
    rows = [line.words() for line in run]
    if _is_numbered(rows):
        return True
    if share >= TYPED_PAGE or cuts >= FEWEST or typed_share(word for row in rows for word in row) < TYPED:
        return False
    body = [cell.text for cell in table.cells if cell.text and cell.column and cell.row]
    return sum(map(is_value, body)) < ENOUGH_AMOUNTS * len(body)


def typed_share(words: Iterable[Glyphs]) -> float:
    """Return the share of the words' letters that are in a typewriter face."""
    lengths = [(len(word.text), is_typewriter(word.font)) for word in words]
    return sum(length for length, typed in lengths if typed) / max(sum(length for length, _ in lengths), 1)


def _is_numbered(rows: Sequence[Sequence[Glyphs]]) -> bool:
    numbered = [row for row in rows if is_line_number(row[0].text)]
    if len(numbered) < max(FEWEST, 0.5 * len(rows)):
        return False
    numbers = [int(row[0].text) for row in numbered]
    counting = sum(after - before == 1 for before, after in pairwise(numbers))
    behind = [word for row in numbered for word in row[1:]]
    return counting >= COUNTING * (len(numbers) - 1) and typed_share(behind) >= TYPED_NUMBERED
