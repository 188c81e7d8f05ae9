"""The rows of separated values, also of files whose quotes do not hold: no quote swallows the lines behind it."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterable, Iterator

_ESCAPE = re.compile(r'\\([\\"])')
_MASK = "\0"
"""Stands for an escaped quote while the rows are read."""
_SAMPLE_CHARS = 20_000
_MOST_READ_AGAIN = 8
"""How often the length of the text may be read in vain before quotes are no longer believed."""


class Rows:
    """Iterates over the rows of a text, fields without blanks around them; rows without text are left out.

    A line that breaks the rules of quoting is read alone, as what begins there may reach to the end of the file; one
    that opens a quote for good is read as it stands. `broken` and `unclosed` count such lines while the rows are taken,
    `first_unclosed` is the number of the first of the latter, from 1. Iterating may raise `CorruptFileError`.
    """

    def __init__(self, text: str, delimiter: str, *, escaped: bool = False) -> None:
        r"""Read ``text``, cut at ``delimiter``; ``escaped``: a backslash stands before a quote inside a field."""
        self.broken = 0
        self.unclosed = 0
        self.first_unclosed = 0
        self._text = _ESCAPE.sub(lambda match: _MASK if match[1] == '"' else match[1], text) if escaped else text
        self._delimiter = delimiter
        self._escaped = escaped
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the rows."""
        try:
            for row in self._rows():
                fields = [field.strip() for field in row]
                if any(fields):
                    yield [field.replace(_MASK, '"') for field in fields] if self._escaped else fields
        except csv.Error as error:
            raise CorruptFileError(f"The file cannot be read as separated values: {error}.") from None

    def _rows(self) -> Iterator[list[str]]:
        file = io.StringIO(self._text, newline="")
        reader = self._reader(file, strict=True)
        in_vain = 0
        while True:
            start = file.tell()
            try:
                row = next(reader, None)
            except csv.Error:
                end = file.tell()
                in_vain += end - start
                file.seek(start)
                yield self._line(file.readline(), start, end)
                believed = in_vain <= _MOST_READ_AGAIN * len(self._text)
                reader = self._reader(file, strict=True, quotes=believed)
                continue
            if row is None:
                return
            yield row

    def _line(self, line: str, start: int, end: int) -> list[str]:
        """Return the fields of a line that breaks the rules of quoting, as was seen at ``end``."""
        self.broken += 1
        is_open = end > start + len(line) or line.count('"') % 2 == 1
        if is_open and not self.unclosed:
            self.first_unclosed = self._text.count("\n", 0, start) + 1
        self.unclosed += is_open
        return next(self._reader([line], quotes=not is_open))

    def _reader(self, lines: Iterable[str], *, strict: bool = False, quotes: bool = True) -> Reader:
        return csv.reader(
            lines,
            delimiter=self._delimiter,
            skipinitialspace=self._delimiter != " ",
            strict=strict,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        )


def rows_of(text: str, delimiter: str) -> Rows:
    r"""Return the rows of a text that may write ``\"`` for a quote inside a field."""
    place = text.find('\\"')
    if place < 0 or _MASK in text:
        return Rows(text, delimiter)
    start = text.rfind("\n", 0, place) + 1
    sample = text[start : start + _SAMPLE_CHARS]
    broken, if_escaped = (_broken(sample, delimiter, escaped=escaped) for escaped in (False, True))
    return Rows(text, delimiter, escaped=if_escaped < broken)  # a path may end in a backslash


def _broken(text: str, delimiter: str, *, escaped: bool) -> int:
    """Return how many lines break the rules of quoting."""
    rows = Rows(text, delimiter, escaped=escaped)
    for _ in rows:
        pass
    return rows.broken
