"""Where lines of a page might be a table: runs of lines with common blanks, prose left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import common, gaps_of, inner, table_line
from nemo_retriever_dagster.extract.tables.lines import around, line_of, text_lines, wide_line
from nemo_retriever_dagster.extract.tables.tokens import is_value, joined_amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Scale, Span
    from nemo_retriever_dagster.extract.tables.lines import Line, Segment

PROSE_WORDS = 5  # a line of prose has as many words on average
LONE_PROSE_WORDS = 12
FARTHEST = 5.0  # heights of a line that a table's rows may stand apart
MOST_PENDING = 3  # lines without a blank in common that may stand between two of a table


def page_lines(words: Iterable[Glyphs], scale: Scale) -> list[Line]:
    """Return the page's lines, split at wide blanks."""
    return [table_line(joined_amounts(line, scale.height), scale) for line in text_lines(words)]


def prose(lines: Sequence[Line], scale: Scale) -> set[int]:
    """Return the ids of the words that belong to paragraphs: stacked, flush, full of words.

    Looked for twice: justified text has blanks as wide as those between columns, so the second look parts lines at very
    wide blanks only and takes what has no blank in common.
    """
    stacks = [stack for stack in _stacks(lines, scale.height) if is_prose(stack, scale.height)]
    coarse = [wide_line(line.words(), 1.5 * scale.height) for line in lines]
    stacks += [s for s in _stacks(coarse, scale.height) if is_prose(s, scale.height) and not _has_columns(s, scale)]
    return {id(word) for stack in stacks for segment in stack for word in segment.words}


def _has_columns(stack: Sequence[Segment], scale: Scale) -> bool:
    gaps = gaps_of(table_line(stack[0].words, scale))
    for segment in stack[1:]:
        gaps = common(gaps, gaps_of(table_line(segment.words, scale)), 1.2 * scale.blank)
    return bool(inner(gaps))


def _stacks(lines: Sequence[Line], height: float) -> list[list[Segment]]:
    stacks: list[list[Segment]] = []
    for line in lines:
        for segment in line.segments:
            stack = next((s for s in reversed(stacks) if _stacked(s[-1], segment, height)), None)
            if stack is None:
                stacks.append([segment])
            else:
                stack.append(segment)
    return stacks


def _stacked(above: Segment, below: Segment, height: float) -> bool:
    gap = below.box.y0 - above.box.y1
    close = -0.5 * height <= gap < 0.8 * height
    return close and abs(above.box.x0 - below.box.x0) < 2.5 * height and _overlap(above, below)


def _overlap(a: Segment, b: Segment) -> bool:
    return min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0) > 0.5 * min(a.box.width, b.box.width)


def is_prose(stack: Sequence[Segment], height: float) -> bool:
    """Tell whether stacked segments read as a paragraph."""
    box = around(segment.box for segment in stack)
    words = sum(len(segment.words) for segment in stack)
    amounts = sum(is_value(word.text) for segment in stack for word in segment.words)
    if amounts >= 0.3 * words:
        return False
    if len(stack) == 1:
        return words >= LONE_PROSE_WORDS
    full = sum(segment.box.x1 > box.x1 - 0.15 * box.width for segment in stack)
    return words >= PROSE_WORDS * len(stack) and box.width > 12 * height and full >= 0.5 * len(stack)


def without(lines: Iterable[Line], out: set[int]) -> list[Line]:
    """Return the lines without the segments that hold a word of ``out``."""
    kept = []
    for line in lines:
        segments = [s for s in line.segments if not any(id(word) in out for word in s.words)]
        if segments:
            kept.append(line_of(segments))
    return kept


def runs(lines: Sequence[Line], scale: Scale) -> list[list[Line]]:
    """Return the longest runs of lines that share blanks between columns; other lines only between such lines."""
    found: list[list[Line]] = []
    i = 0
    while i < len(lines):
        run, end = _run(lines, i, scale) if len(lines[i].segments) > 1 else ([], i + 1)
        if len(run) > 1:
            found.append(run)
        i = end if len(run) > 1 else i + 1
    return found


def _run(lines: Sequence[Line], start: int, scale: Scale) -> tuple[list[Line], int]:
    gaps = gaps_of(lines[start])
    run, end = [lines[start]], start + 1
    pending: list[Line] = []
    for i in range(start + 1, len(lines)):
        line = lines[i]
        if line.box.y0 - lines[i - 1].box.y1 > FARTHEST * scale.height or len(pending) > MOST_PENDING:
            break
        shared = common(gaps, gaps_of(line), WIDE * scale.blank)
        if _keeps(gaps, shared, line):
            run += [*pending, line]
            pending, gaps, end = [], shared, i + 1
        elif len(line.segments) == 1 and (_left_of(line, gaps) or len(line.segments[0].words) <= 8):
            pending.append(line)
        else:
            break
    return run, end


WIDE = 1.2


def _keeps(gaps: Sequence[Span], shared: Sequence[Span], line: Line) -> bool:
    """Tell whether a line leaves at least half of the blanks between columns, and has text right of the first one."""
    before, now = inner(gaps), inner(shared)
    return bool(now) and 2 * len(now) >= len(before) and line.box.x1 > now[0][1]


def _left_of(line: Line, gaps: Sequence[Span]) -> bool:
    blanks = inner(gaps)
    return bool(blanks) and line.box.x1 <= blanks[0][1]
