"""Tables of contents and indexes: entries, dots that lead on, and the pages they stand on. They are no tables."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.tokens import is_leader, is_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.lines import Line
    from nemo_retriever_dagster.model import Box, Table

_PAGE = r"(?:\d{1,4}|[ivxlc]+)"
_ENTRY = re.compile(rf"(.*[^\W\d_].*[^\d\s$€£,;\u2013-])\s(?P<page>{_PAGE})(?:(?:,\s|\s?[\u2013-]\s?){_PAGE})*,?")
FEWEST_ENTRIES = 2
LED = 0.25  # share of lines with dots that lead on
ENTRIES = 0.25  # share of rows that end with pages
MOST_AMOUNTS = 0.1  # share of rows that end with an amount which is no page
IN_ORDER = 0.8  # of the entries follow the one before, by page or by letter
ENOUGH_ENTRIES, SURELY = 8, 0.9  # under a heading: that many entries, of which that share is in order, by page


def leaders_of(words: Iterable[Glyphs]) -> list[Box]:
    """Return the boxes of the words that are dots leading from an entry to its page, or end with them."""
    return [word.box for word in words if is_leader(word.text)]


def is_contents(table: Table, run: Sequence[Line], leaders: Sequence[Box]) -> bool:
    """Tell contents or an index: most rows lead to pages, which count upwards, or stand in the order of the alphabet.

    Accounts lead to amounts in the same way: those are in no order, are no pages, or have a heading over them.
    """
    if sum(any(_leads(dots, line.box) for dots in leaders) for line in run) < max(FEWEST_ENTRIES, LED * len(run)):
        return False
    rows = table.rows()
    found = [_ENTRY.fullmatch(" ".join(filter(None, row))) for row in rows]
    entries = [entry for entry in found if entry]
    if len(entries) < max(FEWEST_ENTRIES, ENTRIES * len(rows)) or _amounts(rows, found) > MOST_AMOUNTS * len(rows) + 1:
        return False
    pages = [int(entry["page"]) for entry in entries if entry["page"].isdecimal()]
    steps = [one <= other for one, other in pairwise(pages)]
    if found[0] is None and rows[0][-1]:  # a heading over the last column, or what runs over the page
        return len(entries) >= ENOUGH_ENTRIES and sum(steps) >= SURELY * len(steps)
    names = [re.sub(r"\W+", "", entry[1]).casefold() for entry in entries]
    return _in_order(steps) or _in_order([one <= other for one, other in pairwise(names)])


def _amounts(rows: Sequence[Sequence[str]], entries: Sequence[object]) -> int:
    """Count the rows that end with an amount but are no entries; the pages of an entry go on in rows of their own."""
    others = [[text for text in row if text] for row, entry in zip(rows, entries, strict=True) if not entry]
    return sum(len(row) > 1 and is_value(row[-1]) and not is_value(row[0]) for row in others)


def _leads(dots: Box, line: Box) -> bool:
    return line.y0 < (dots.y0 + dots.y1) / 2 < line.y1 and line.x0 <= dots.x0 and dots.x1 <= line.x1


def _in_order(steps: Sequence[bool]) -> bool:
    return bool(steps) and sum(steps) >= IN_ORDER * len(steps)
