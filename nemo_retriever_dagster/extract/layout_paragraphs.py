"""From lines in reading order to paragraphs: which line goes on with the one before, by place, type and room left."""

from __future__ import annotations

import re
from itertools import islice, pairwise
from math import inf
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.layout_marks import BULLET, leads_on, starts_item
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN, has_no_blanks, may_begin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.layout import Line

HYPHENS = ("-", "\u2010", SOFT_HYPHEN)
_COUNT = re.compile(r"(\d{1,3})\s+[^\W\d_]")
_SENTENCE_END = (".", "!", "?", ":", ";", '."', ".\u201d", ".)", "\u3002", "\uff01", "\uff1f", "\u061f", "\u06d4")
_LEADING = 1.0  # of the type's size: blank between two lines of one paragraph at most
_OVERLAP = -0.6  # of the type's size: lines set solid reach into each other
_EVEN = 1.3  # a blank this much wider than the paragraph's own ends it
_TWICE, _MORE = 2.0, 0.25  # the page's usual blank: one this many times as wide, and this much wider, ends a first line
_SAME_SIZE = 0.12
_INDENT = 0.8  # of the type's size
_NEAR = 4  # lines before and behind that tell how wide the column is
_ALIGNED = 2.5  # of the type's size: lines of a column start nearer to each other
_BLANK = 0.3  # of the type's size: between two words
_WIDER = 1  # letters: a word may be this much wider than the letters of its line let expect
_FEWEST_GAPS = 3


def stacks(lines: Sequence[Line]) -> list[list[Line]]:
    """Group lines written one after another that stand one below another, close together and in like type."""
    groups: list[list[Line]] = []
    left = right = bottom = last_size = 0.0
    last_bold = False
    for line in lines:
        _, (x0, y0, x1, y1), own, bold, *_ = line
        size = max(last_size, own) or 1.0
        if (
            groups
            and bold == last_bold
            and _OVERLAP * size < y0 - bottom < _LEADING * size
            and abs(last_size - own) <= _SAME_SIZE * size
            and x0 < right
            and left < x1
            and left < right
            and x0 < x1
        ):
            groups[-1].append(line)
        else:
            groups.append([line])
        left, right, bottom, last_size, last_bold = x0, x1, y1, own, bold
    return groups


def usual_leading(runs: Iterable[Sequence[Line]]) -> float:
    """Return the blank between two lines of a paragraph as most paragraphs have it, in sizes of their type.

    Infinite where there are too few lines to tell.
    """
    gaps = [
        (y0 - bottom) / size
        for run in runs
        for (_, (left, _, right, bottom), last, *_), (_, (x0, y0, x1, _), size, *_) in pairwise(run)
        if last == size > 0 and left < x1 and x0 < right
    ]
    close = sorted(gap for gap in gaps if _OVERLAP < gap < _LEADING)
    return close[len(close) // 4] if len(close) >= _FEWEST_GAPS else inf


def paragraphs_of(lines: Sequence[Line], leading: float) -> list[list[Line]]:
    """Return the paragraphs of lines in reading order; ``leading`` is their `usual_leading`."""
    groups: list[list[Line]] = []
    for at, line in enumerate(lines):
        if groups and _continues(groups[-1], line, leading) and not _starts_anew(groups[-1], lines, at):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(group: list[Line], line: Line, leading: float) -> bool:
    """Tell whether a line stands beside the last one of a paragraph, or where the next one would, and is set alike."""
    _, (left, top, right, bottom), last_size, last_bold, _, last_hidden, *_ = group[-1]
    _, (x0, y0, x1, y1), own, bold, _, hidden, *_ = line
    size = max(last_size, own) or 1.0
    if last_bold != bold or last_hidden != hidden or abs(last_size - own) > _SAME_SIZE * size:
        return False
    if x0 >= right - 0.5 * last_size and min(bottom, y1) - max(top, y0) > 0.5 * min(bottom - top, y1 - y0):
        return 0 <= x0 - right < 2 * size
    gap = y0 - bottom
    if not _OVERLAP * size < gap < _LEADING * size:
        return False
    above: float | None = None
    if len(group) > 1:
        above = group[-2].box.y1
        if above > (top + bottom) / 2:
            left, above = _last_row(group)
    if min(right, x1) <= max(left, x0):
        return False
    if above is None:  # paragraphs of a page differ in leading
        return gap <= max(_TWICE * leading, leading + _MORE) * size
    return gap <= _EVEN * max(top - above, 0.12 * size) + 0.1 * size


def _last_row(group: Sequence[Line]) -> tuple[float, float | None]:
    """Return where the last row of a paragraph starts, which wide blanks may part, and where the one above it ends."""
    left, top, _, bottom = group[-1].box
    middle = (top + bottom) / 2
    for line in islice(reversed(group), 1, None):
        x0, _, _, y1 = line.box
        if y1 <= middle:
            return left, y1
        left = min(left, x0)
    return left, None


def _starts_anew(group: list[Line], lines: Sequence[Line], at: int) -> bool:
    """Tell whether a line that could continue a paragraph starts one: an item, an indent, after a short last line.

    ``at`` is its place among the ``lines`` around it.
    """
    line, last, first = lines[at], group[-1], group[0]
    left, top, _, _ = line.box
    if top < (last.box.y0 + last.box.y1) / 2:  # beside it
        return False
    if leads_on(last.text):
        return True
    size = max(last.size, line.size) or 1.0
    if starts_item(line.text) and not last.text.endswith(HYPHENS):
        return last.text.endswith(_SENTENCE_END) or BULLET.match(line.text) is not None or starts_item(first.text)
    if left < first.box.x0 - 0.3 * size and starts_item(first.text):
        return True
    return last.text.endswith(_SENTENCE_END) and _ends(group, lines, at)


def _ends(group: list[Line], lines: Sequence[Line], at: int) -> bool:
    """Tell whether a paragraph whose last line ends a sentence ends with it, by the line after: ``lines[at]``."""
    line, last, first = lines[at], group[-1], group[0]
    left, size = line.box.x0, max(last.size, line.size) or 1.0
    if _follows(first.text, line.text):
        return True
    hangs = len(group) == 1 and starts_item(first.text)
    if not hangs and left > min([line.box.x0 for line in group]) + _INDENT * size and left > last.box.x0 + 0.5 * size:
        return True
    return may_begin(line.text) and _had_room(last, line, lines[max(at - _NEAR, 0) : at + _NEAR])


def _follows(first: str, text: str) -> bool:
    """Tell whether a text starts with the number after the one another starts with: the next footnote."""
    one, other = _COUNT.match(first), _COUNT.match(text)
    return one is not None and other is not None and int(other[1]) == int(one[1]) + 1


def _had_room(last: Line, line: Line, near: Sequence[Line]) -> bool:
    """Tell whether the first word of a line would have fitted behind the one before: then the break was meant."""
    size = max(last.size, line.size) or 1.0
    right = max(other.box.x1 for other in near if abs(other.box.x0 - last.box.x0) < _ALIGNED * size)
    word = line.text[:1] if has_no_blanks(line.text) else line.text.split(" ", 1)[0]
    width = line.box.width * (len(word) + _WIDER) / len(line.text)
    return last.box.x1 + _BLANK * size + width <= right
