"""Where lines of a page might be a table: runs of lines with common blanks, prose and lists left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import common, gaps_of, inner, table_line
from nemo_retriever_dagster.extract.tables.lines import Line, Segment, around, segment_line, text_lines
from nemo_retriever_dagster.extract.tables.tokens import is_mark, is_value, joined_amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

PROSE_WORDS = 5  # a line of prose has as many words on average
FARTHEST = 5.0  # heights of a line that a table's rows may stand apart


def page_lines(words: Iterable[Glyphs], blank: float, height: float) -> list[Line]:
    """Return the page's lines, split at wide blanks."""
    return [table_line(joined_amounts(line, height), blank) for line in text_lines(words)]


def prose(lines: Sequence[Line], blank: float, height: float) -> set[int]:
    """Return the ids of the words that belong to paragraphs: stacked, flush, full of words.

    Looked for twice: justified text has blanks as wide as those between columns, so the second look parts lines at very
    wide blanks only and takes what has no blank in common.
    """
    found = {id(word) for stack in _stacks(lines, height) if is_prose(stack, height) for s in stack for word in s.words}
    coarse = [segment_line(_words(line), 1.5 * height) for line in lines]
    for stack in _stacks(coarse, height):
        if is_prose(stack, height) and not _has_columns(stack, blank):
            found |= {id(word) for segment in stack for word in segment.words}
    return found


def _words(line: Line) -> list[Glyphs]:
    return [word for segment in line.segments for word in segment.words]


def _has_columns(stack: Sequence[Segment], blank: float) -> bool:
    gaps = gaps_of(table_line(stack[0].words, blank))
    for segment in stack[1:]:
        gaps = common(gaps, gaps_of(table_line(segment.words, blank)), 1.2 * blank)
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
    words = [len(segment.words) for segment in stack]
    if len(stack) == 1:
        return words[0] >= 12 and sum(is_value(w.text) for w in stack[0].words) < 0.3 * words[0]
    full = sum(segment.box.x1 > box.x1 - 0.15 * box.width for segment in stack)
    amounts = sum(is_value(word.text) for segment in stack for word in segment.words)
    wordy = sum(words) / len(words) >= PROSE_WORDS and amounts < 0.3 * sum(words)
    return wordy and box.width > 12 * height and full >= 0.5 * len(stack)


def without(lines: Sequence[Line], out: set[int]) -> list[Line]:
    """Return the lines without the segments that hold a word of ``out``."""
    kept = []
    for line in lines:
        segments = tuple(segment for segment in line.segments if not any(id(word) in out for word in segment.words))
        if segments:
            kept.append(Line(segments=segments, box=around(s.box for s in segments)))
    return kept


def runs(lines: Sequence[Line], blank: float, height: float) -> list[list[Line]]:
    """Return the longest runs of lines that share a blank between columns; single segments only between such lines."""
    found: list[list[Line]] = []
    i = 0
    while i < len(lines):
        if len(lines[i].segments) < 2:
            i += 1
            continue
        run, end = _run(lines, i, blank, height)
        if len(run) > 1:
            found.append(run)
            i = end
        else:
            i += 1
    return found


def _run(lines: Sequence[Line], start: int, blank: float, height: float) -> tuple[list[Line], int]:
    gaps = gaps_of(lines[start])
    run, pending, end = [lines[start]], [], start + 1
    for i in range(start + 1, len(lines)):
        line = lines[i]
        last = (pending or run)[-1]
        if line.box.y0 - last.box.y1 > FARTHEST * height:
            break
        shared = common(gaps, gaps_of(line), 1.5 * blank)
        if inner(shared):
            if len(line.segments) > 1 or line.segments[0].box.x0 > inner(shared)[0][0]:
                run += [*pending, line]
                pending, gaps, end = [], shared, i + 1
            else:
                pending.append(line)
        elif len(line.segments) == 1 and len(pending) < 2:
            pending.append(line)
        else:
            break
        if len(pending) > 3:
            break
    return run, end


def bullets(lines: Sequence[Line]) -> bool:
    """Tell whether the first segments are a list's marks."""
    firsts = [line.segments[0] for line in lines if len(line.segments) > 1]
    return sum(is_mark(segment.words[0].text) and len(segment.words) == 1 for segment in firsts) >= 0.5 * len(firsts)
