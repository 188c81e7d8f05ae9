"""From words to lines: runs of words on one baseline without a wide gap, whatever the words were read from.

Everything here is in one unit (points for PDF, pixels for scans), origin top-left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nemo_retriever_dagster.extract.geometry import boxes_of
from nemo_retriever_dagster.extract.layout_justified import Rows
from nemo_retriever_dagster.extract.typewriter import is_line_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.model import Box

    Floats = NDArray[np.float32]

_SHIFT = 0.45  # of the higher of two words: more than this apart in height is another line
_GAP = 1.3  # of the type's size: a wider blank starts another line (a column, a cell)
_BACK = 0.6  # of the type's size: a word may start this far left of the last one's end
_MISMATCH = 3.0  # one word this much higher than its neighbour is not on its line
_MOSTLY = 0.8


class Line(NamedTuple):
    """A run of words on one baseline. ``size`` is the height of its type, ``order`` its place in the source."""

    text: str
    box: Box
    size: float
    bold: bool = False
    italic: bool = False
    hidden: bool = False
    order: int = 0
    filled: bool = False
    """Set to the full width of its column, with blanks in it as wide as those between cells."""
    typewriter: bool = False
    """Set in a face all of whose characters are equally wide; the number before it may be in another."""


_line = partial(tuple.__new__, Line)  # a third of the time of `Line(...)`


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Per word: size, bold, italic, hidden, in a typewriter face; each an array as long as the words."""

    size: Floats
    bold: NDArray[np.bool_]
    italic: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    typewriter: NDArray[np.bool_]

    @classmethod
    def plain(cls, boxes: Floats, share: float = 1.0) -> Looks:
        """Return the looks of words of which only the boxes are known: a ``share`` of a word's height is its size."""
        off = np.zeros(len(boxes), dtype=np.bool_)
        return cls(size=share * (boxes[:, 3] - boxes[:, 1]), bold=off, italic=off, hidden=off, typewriter=off)


def lines_of(
    words: Sequence[str],
    boxes: Floats,
    looks: Looks,
    *,
    exact: bool = False,
    join: Callable[[Sequence[str]], str] = " ".join,
) -> list[Line]:
    """Join consecutive words into lines; the words' order is kept.

    ``boxes`` is (n, 4), ``exact`` tells that they are those of the type, not of what was seen of it. A line ends where
    the next word stands higher or lower, far to the right, or back to the left, and where visible and hidden words
    meet. A line set to the full width of a narrow column has blanks as wide: only exact boxes tell them apart. ``join``
    makes a line's text of its words.
    """
    if not words:
        return []
    starts, filled = _starts(words, boxes, looks, exact=exact)
    ends = [*starts[1:], len(words)]
    hulls = np.empty((len(starts), 4), dtype=boxes.dtype)
    np.minimum.reduceat(boxes[:, :2], starts, axis=0, out=hulls[:, :2])
    np.maximum.reduceat(boxes[:, 2:], starts, axis=0, out=hulls[:, 2:])
    middle = [(start + end) // 2 for start, end in zip(starts, ends, strict=True)]
    rows = zip(
        [join(words[start:end]) for start, end in zip(starts, ends, strict=True)],
        boxes_of(hulls),
        looks.size[middle].tolist(),
        _mostly(looks.bold, words, starts),
        _mostly(looks.italic, words, starts),
        looks.hidden[middle].tolist(),
        range(len(starts)),
        [start in filled for start in starts],
        _mostly(_with_numbers(looks.typewriter, words, starts), words, starts),
        strict=True,
    )
    return list(map(_line, rows))


def _with_numbers(typewriter: NDArray[np.bool_], words: Sequence[str], starts: list[int]) -> NDArray[np.bool_]:
    """Return which words are in a typewriter face or number a line of such words."""
    if not typewriter.any():
        return typewriter
    found = typewriter.copy()
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        if end - start > 1 and typewriter[start + 1] and is_line_number(words[start]):
            found[start] = True
    return found


def _mostly(look: NDArray[np.bool_], words: Sequence[str], starts: list[int]) -> list[bool]:
    """Tell for each line whether most of its letters have a look."""
    if not look.any():
        return [False] * len(starts)
    found: list[bool] = np.logical_and.reduceat(look, starts).tolist()
    mixed = np.logical_or.reduceat(look, starts)
    mixed ^= found
    for line in mixed.nonzero()[0].tolist():
        some = slice(starts[line], starts[line + 1] if line + 1 < len(starts) else len(words))
        lengths = list(map(len, words[some]))
        found[line] = sum(compress(lengths, look[some].tolist())) >= _MOSTLY * sum(lengths)
    return found


def _starts(words: Sequence[str], boxes: Floats, looks: Looks, *, exact: bool) -> tuple[list[int], set[int]]:
    """Return the positions of the words that start a line, and of those among them that start a filled line."""
    left, top, right, bottom = boxes.T
    heights, middles = bottom - top, (top + bottom) / 2
    higher, lower = np.maximum(heights[:-1], heights[1:]), np.minimum(heights[:-1], heights[1:])
    each = np.maximum(looks.size, 0.5 * heights)
    sizes = np.minimum(each[:-1], each[1:])
    gaps = left[1:] - right[:-1]
    broken: NDArray[np.bool_] = np.abs(middles[1:] - middles[:-1]) > _SHIFT * higher
    broken |= higher > _MISMATCH * lower
    broken |= gaps < -_BACK * sizes
    broken |= looks.hidden[:-1] != looks.hidden[1:]
    wide = gaps > _GAP * sizes
    filled: set[int] = set()
    if exact and (inside := wide & ~broken).any():
        rows = Rows(words, boxes, each, [0, *(broken.nonzero()[0] + 1).tolist()])
        asked = sorted(set(np.searchsorted(rows.starts, inside.nonzero()[0], side="right").tolist()))
        for row in rows.filled([row - 1 for row in asked]):
            span = rows.span(row)
            wide[span.start : span.stop - 1] = False
            filled.add(span.start)
    broken |= wide
    return [0, *(broken.nonzero()[0] + 1).tolist()], filled


def sorted_words(boxes: Floats) -> list[int]:
    """Return the order of words that come in none: line by line from the top, each from left to right."""
    if not len(boxes):
        return []
    heights = (boxes[:, 3] - boxes[:, 1]).tolist()
    places = (boxes[:, 1] + boxes[:, 3]) / 2
    middles, by_height = places.tolist(), np.argsort(places, kind="stable").tolist()
    rows: list[list[int]] = [[by_height[0]]]
    level = middles[by_height[0]]
    for index in by_height[1:]:
        if middles[index] - level > 0.5 * min(heights[index], heights[rows[-1][-1]]):
            rows.append([])
            level = middles[index]
        rows[-1].append(index)
        level += (middles[index] - level) / len(rows[-1])
    lefts: list[float] = boxes[:, 0].tolist()
    return [index for row in rows for index in sorted(row, key=lefts.__getitem__)]
