"""Separated values: one table, in groups of rows, so that a large file makes bounded elements."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.csv_rows import Rows, rows_of
from nemo_retriever_dagster.extract.encoding import read_text
from nemo_retriever_dagster.extract.tabular import ROWS_A_GROUP, row_groups
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 100
_COMMA_BETWEEN = re.compile(r",(?! )(?!(?<=[0-9],)[0-9])")
"""A comma that is neither a decimal one nor one of prose, which another delimiter may have beside it."""
_HINT = re.compile(r"sep=(.)\n")  # Excel's first line
_NUMBER = re.compile(r"\s*[-+(]?[$€£]?\s*\d[\d.,' ]*\s*[%)]?\s*")


class CsvExtractor:
    """Reads csv: comma, semicolon, tab or bar, whichever cuts the first lines most evenly."""

    formats = ("csv",)
    methods: tuple[str, ...] = ()
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield pages without a number, each a group of rows under the file's header."""
        decoded = read_text(path, budget)
        text = decoded.text
        hint = _HINT.match(text)
        delimiter = hint[1] if hint else delimiter_of(text[:_SAMPLE_CHARS])
        rows = rows_of(f"\n{text[hint.end() :]}" if hint else text, delimiter)
        for element in _elements(iter(rows), options, delimiter):
            yield Page(elements=(element,))
        warnings = (*decoded.warnings, *([_unclosed(rows)] if rows.unclosed else []))
        if warnings:
            yield Page(elements=(Element(kind=Kind.TEXT, warnings=warnings),))


def _unclosed(rows: Rows) -> str:
    if rows.unclosed == 1:
        return f"Line {rows.first_unclosed} opens a quote and does not close it; it was read as it stands."
    first = f"the first of them line {rows.first_unclosed}"
    return f"{rows.unclosed} lines open a quote and do not close it, {first}; they were read as they stand."


def delimiter_of(sample: str) -> str:
    """Return the delimiter that cuts most rows of ``sample`` into the same number (above 1) of fields; else a comma."""
    return max(_DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(sample: str, delimiter: str) -> float:
    rows = list(islice(Rows(sample, delimiter), _SAMPLE_ROWS))
    width, even = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
    if width == 1:
        return 0.0
    stray = sum(any('"' in field.strip('"') for field in row) for row in rows)  # quotes that the delimiter cut through
    counts = delimiter != "," or _COMMA_BETWEEN.search(sample) is not None
    return (even - stray) / len(rows) + (width / 1000 if counts else 0)


def _elements(rows: Iterator[list[str]], options: ExtractOptions, delimiter: str) -> Iterator[Element]:
    if options.tables:
        start = list(islice(rows, 2))
        yield from row_groups(chain(start, rows), options.table_format, headers=int(_has_header(start)))
    elif options.text:
        while group := list(islice(rows, ROWS_A_GROUP)):
            lines = (f"{delimiter} ".join(row) for row in group)
            yield Element(kind=Kind.TEXT, text="\n".join(lines))


def _has_header(start: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: no numbers, no gaps, no name twice."""
    if len(start) < 2:  # noqa: PLR2004 -- a header needs something below it
        return False
    first = start[0]
    return all(first) and len(set(first)) == len(first) and not any(_NUMBER.fullmatch(field) for field in first)
