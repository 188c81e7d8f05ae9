"""Lines set to the full width of a narrow column: their blanks are as wide as those between cells, but even.

Rows of a table differ from them: their blanks are uneven, or their cells stand below each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

from nemo_retriever_dagster.extract.geometry import level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.layout import Line

_EVEN, _ROUNDED = 1.25, 0.1  # blanks of one line: this many times the narrowest, and this much of the type's size more
_ENDS = (".", "!", "?")
_WIDEST = 11.0  # of the type's size
_STRETCHED = 3.5  # TeX widens the blank behind a sentence more
_MANY = 400  # rows with wide blanks: more than the lines of any page of text
_MOST = 30  # words of a line of a narrow column
_PAIR = 2  # words: a label and its value, as far as the line itself can tell
_WORDY = 0.6  # of the words of a line
_REACH = 4  # rows before and behind: lines of a single long word between are not set to the full width
_SOLID, _LEADING = 0.5, 2.0  # of the type's size, for each row between
_SAME_SIZE = 0.12
_EDGE = 0.25  # of the type's size: edges of one column differ less; full stops may be hung out
_INDENT = 3.0  # of the type's size
_BELOW = 0.1  # of the type's size: cells that stand below each other have edges this near


class _Row(NamedTuple):
    """Words on one line, next to each other in the source: their sides, from left to right."""

    words: Sequence[str]
    lefts: list[float]
    rights: list[float]
    top: float
    size: float


@dataclass(slots=True)
class Rows:
    """The words of a page in rows: ``boxes`` is (n, 4), ``sizes`` the type's size of each word.

    ``starts`` are the words that rows start with; the words of a row go from left to right.
    """

    words: Sequence[str]
    boxes: NDArray[Any]
    sizes: NDArray[Any]
    starts: Sequence[int]
    _made: dict[int, _Row | None] = field(default_factory=dict)

    def filled(self, asked: Sequence[int]) -> list[int]:
        """Return which of the rows ``asked`` for, in order, are lines of a column, whatever their blanks.

        Such a row needs another near by that bears it out: set to the same edges, with blanks elsewhere.
        """
        if len(asked) > _MANY:
            return []
        found = {at for at in asked if self._is_borne_out(at, set())}
        if found:
            near = sorted({i for at in asked for i in self._near(at)})
            for at in (*near, *reversed(near)):  # a line found bears out those before and behind it
                if at not in found and self._is_borne_out(at, found):
                    found.add(at)
        return [at for at in asked if at in found]

    def _near(self, at: int) -> range:
        return range(max(at - _REACH, 0), min(at + _REACH + 1, len(self.starts)))

    def span(self, at: int) -> slice:
        """Return the words of a row."""
        return slice(self.starts[at], self.starts[at + 1] if at + 1 < len(self.starts) else len(self.words))

    def _is_borne_out(self, at: int, found: set[int]) -> bool:
        """Tell whether a row near by shows that a row is a line; two rows of two words each cannot."""
        row = self._row(at)
        if row is None:
            return False
        return any(
            _are_of_one_column(row, other, abs(i - at))
            for i in self._near(at)
            if (other := self._row(i)) is not None and (i in found or max(len(row.words), len(other.words)) > _PAIR)
        )

    def _row(self, at: int) -> _Row | None:
        """Return the words of a row, None where they are no text, or too few or too many for a line of a column."""
        if at not in self._made:
            span = self.span(at)
            row = self._sides(span) if _PAIR <= span.stop - span.start <= _MOST else None
            self._made[at] = row if row is not None and _is_text(row) else None
        return self._made[at]

    def _sides(self, span: slice) -> _Row:
        lefts, tops, rights, _ = self.boxes[span].T.tolist()
        return _Row(self.words[span], lefts, rights, tops[0], float(self.sizes[span.start]))


def is_filled_column(lines: Sequence[Line]) -> bool:
    """Tell whether lines, filled ones among them, only stand below each other: cells also stand beside each other."""
    boxes = sorted([line.box for line in lines], key=lambda box: box.y0 + box.y1)
    return any(line.filled for line in lines) and not any(starmap(level, pairwise(boxes)))


def _is_text(row: _Row) -> bool:
    """Tell whether a row holds words, with blanks between them that are like each other."""
    if sum(any(map(str.isalpha, word)) for word in row.words) < _WORDY * len(row.words):
        return False
    blanks = [left - right for right, left in _blanks(row)]
    plain = [blank for blank, word in zip(blanks, row.words, strict=False) if not word.endswith(_ENDS)] or blanks
    even = _EVEN * min(plain) + _ROUNDED * row.size
    return max(plain) <= even and max(blanks) <= min(_STRETCHED * even, _WIDEST * row.size)


def _are_of_one_column(row: _Row, other: _Row, apart: int) -> bool:
    """Tell whether a row has the edges of another, ``apart`` rows away, but not its blanks."""
    size = max(row.size, other.size)
    down = abs(row.top - other.top)
    if abs(row.size - other.size) > _SAME_SIZE * size or not _SOLID * size < down < _LEADING * apart * size:
        return False
    if abs(row.rights[-1] - other.rights[-1]) > _EDGE * size or abs(row.lefts[0] - other.lefts[0]) > _INDENT * size:
        return False
    near = _BELOW * size
    below = sum(
        any(abs(end - right) < near or abs(start - left) < near for end, start in _blanks(other))
        for right, left in _blanks(row)
    )
    return 2 * below < len(row.words) - 1


def _blanks(row: _Row) -> zip[tuple[float, float]]:
    return zip(row.rights[:-1], row.lefts[1:], strict=True)
