"""Where lines of a page might be a table: runs of lines with common blanks, prose left out."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import islice, pairwise
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import FAR, WIDE_BETWEEN_AMOUNTS, common, gaps_of, inner, table_line
from nemo_retriever_dagster.extract.tables.found import FEWEST
from nemo_retriever_dagster.extract.tables.lines import around, line_of, wide_line
from nemo_retriever_dagster.extract.tables.rows import row_gap
from nemo_retriever_dagster.extract.tables.tokens import is_value, is_year, joined_amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.tables.columns import Scale, Span
    from nemo_retriever_dagster.extract.tables.lines import Line, Segment
    from nemo_retriever_dagster.model import Box

_CAPTION = re.compile(r"(?:table|figure|fig\.|exhibit|chart|tableau|tabelle|tabla|tabella)\s*\d", re.IGNORECASE)
_SECTION = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?")
PROSE_WORDS = 5  # a line of prose has as many words on average
FEWEST_PROSE_WORDS, NARROW_PROSE = 2.5, 6.0  # words on a line, and heights of a line, that prose has more of
LONE_PROSE_WORDS = 12
FIRST_LINE_INDENT = 5.0  # heights of a line
FARTHEST = 5.0  # heights of a line that a table's rows may stand apart
SHORT_PARAGRAPH = 4
LEADING_SLACK = 0.15  # heights of a line: a paragraph's lines are more evenly set
FEW_WORDS = 8
FEW_CELL_WORDS = 3
REMARKS = 0.35  # of the lines of a column of remarks begin a row
MOST_HEADS = 6
TITLE, SECTION_TITLE = 1.4, 1.15  # heights of a line
MOST_PENDING = 3  # lines without a blank in common that may stand between two of a table


def page_lines(lines: Iterable[Sequence[Glyphs]], scale: Scale) -> list[Line]:
    """Return the page's lines of words, split at wide blanks."""
    joined = (joined_amounts(line, scale.height) for line in lines)
    return [table_line(line, scale) for line in joined if line]


def prose(lines: Sequence[Line], scale: Scale) -> list[Segment]:
    """Return the segments of paragraphs: stacked, flush, full of words.

    Looked for twice: justified text has blanks as wide as those between columns, so the second look parts lines at very
    wide blanks only and takes what has no blank in common.
    """
    coarse = [wide_line(line.words(), 1.5 * scale.height) for line in lines]
    blanks = {id(part): gaps for line, whole in zip(lines, coarse, strict=True) for part, gaps in _blanks(line, whole)}
    stacks = _paragraphs(lines, scale)
    stacks += [stack for stack in _paragraphs(coarse, scale) if not _has_columns(stack, blanks, scale)]
    return [segment for stack in stacks for segment in stack]


def _paragraphs(lines: Sequence[Line], scale: Scale) -> list[list[Segment]]:
    crowd = {id(segment): len(line.segments) for line in lines for segment in line.segments}
    labels = {id(line.segments[0]) for line in lines if len(line.segments) > 1 and is_value(line.segments[-1].text)}
    cells = {id(segment): between for line in lines for segment, between in _between_cells(line)}
    stacks = [stack for stack in _stacks(lines, scale.height) if is_prose(stack, scale.height)]
    return [s for s in stacks if not (_is_cell(s, crowd) or _are_labels(s, labels) or _is_column(s, cells))]


def _between_cells(line: Line) -> Iterator[tuple[Segment, bool]]:
    """Yield the segments of a line, and whether short ones stand left and right of each.

    On one side only they may be those of a table in the next column.
    """
    short = [_like_cells(segment) for segment in line.segments]
    for i, segment in enumerate(line.segments):
        yield segment, any(short[:i]) and any(short[i + 1 :])


def _is_column(stack: Sequence[Segment], cells: Mapping[int, bool]) -> bool:
    """Tell whether enough lines stand between short cells: remarks of several lines, a column of a table."""
    return sum(cells[id(segment)] for segment in stack) >= max(FEWEST, REMARKS * len(stack))


def _are_labels(stack: Sequence[Segment], labels: AbstractSet[int]) -> bool:
    """Tell whether amounts stand right of a ragged stack: its lines are the labels of rows."""
    box = around(segment.box for segment in stack)
    full = sum(segment.box.x1 > box.x1 - 0.05 * box.width for segment in stack)
    labelled = sum(id(segment) in labels for segment in stack)
    return 3 * labelled >= len(stack) and (full < 0.7 * len(stack) or len(stack) < SHORT_PARAGRAPH)


def _is_cell(stack: Sequence[Segment], crowd: Mapping[int, int]) -> bool:
    """Tell whether a short paragraph is one of three or more pieces side by side: a row's cell."""
    return len(stack) <= SHORT_PARAGRAPH and crowd[id(stack[0])] > FEWEST


def _blanks(line: Line, coarse: Line) -> Iterator[tuple[Segment, list[Span]]]:
    """Yield the blanks inside each segment of a line that is parted at very wide blanks only.

    A segment that ends inside one of the finer line's is left out.
    """
    fine = iter(line.segments)
    for part in coarse.segments:
        inside: list[Segment] = []
        left = len(part.words)
        while left > 0:
            inside.append(next(fine))
            left -= len(inside[-1].words)
        if left < 0:
            return
        yield part, gaps_of(inside)


def _has_columns(stack: Sequence[Segment], blanks: Mapping[int, list[Span]], scale: Scale) -> bool:
    gaps: list[Span] | None = None
    for segment in stack:
        own = blanks.get(id(segment)) or gaps_of(table_line(segment.words, scale).segments)
        gaps = own if gaps is None else common(gaps, own, 1.2 * scale.blank)
    return bool(inner(gaps or ()))


def _stacks(lines: Sequence[Line], height: float) -> list[list[Segment]]:
    stacks: list[list[Segment]] = []
    growing: list[list[Segment]] = []
    labels: set[int] = set()
    for line in lines:
        growing = [stack for stack in growing if line.box.y0 - stack[-1].box.y1 < height]
        labels |= {id(label) for label, beside in pairwise(line.segments) if _like_cells(beside)}
        for segment in line.segments:
            stack = next((s for s in reversed(growing) if _stacked(s[-1], segment, height)), None)
            if stack is None or _changes(stack, segment, labels, height):
                stacks.append([segment])
                growing.append(stacks[-1])
            else:
                stack.append(segment)
    return stacks


def _like_cells(segment: Segment) -> bool:
    return len(segment.words) <= FEW_CELL_WORDS or all(is_value(word.text) for word in segment.words)


def _changes(stack: Sequence[Segment], segment: Segment, labels: AbstractSet[int], height: float) -> bool:
    """Tell whether a table starts right below a paragraph, or a paragraph right below a table.

    One of two lines has a short cell to its right and the other has not, and the blank between them is wider than the
    one above.
    """
    if len(stack) < FEWEST or (id(segment) in labels) == (id(stack[-1]) in labels):
        return False
    above, last = stack[-2:]
    return segment.box.y0 - last.box.y1 > last.box.y0 - above.box.y1 + LEADING_SLACK * height


def _stacked(above: Segment, below: Segment, height: float) -> bool:
    gap = below.box.y0 - above.box.y1
    close = -0.5 * height <= gap < 0.8 * height
    indent = above.box.x0 - below.box.x0
    return close and -2.5 * height < indent < FIRST_LINE_INDENT * height and _overlap(above, below)


def _overlap(a: Segment, b: Segment) -> bool:
    return min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0) > 0.5 * min(a.box.width, b.box.width)


def is_prose(stack: Sequence[Segment], height: float) -> bool:
    """Tell whether stacked segments read as a paragraph."""
    count = sum(len(segment.words) for segment in stack)
    if count < (LONE_PROSE_WORDS if len(stack) == 1 else FEWEST_PROSE_WORDS * len(stack)):
        return False
    box = around([segment.box for segment in stack])
    if len(stack) > 1 and box.width <= NARROW_PROSE * height:
        return False
    if sum(is_value(word.text) for segment in stack for word in segment.words) >= 0.3 * count:
        return False
    if len(stack) == 1:
        return True
    full = sum(segment.box.x1 > box.x1 - 0.15 * box.width for segment in stack)
    if count >= PROSE_WORDS * len(stack) and box.width > 12 * height and full >= 0.5 * len(stack):
        return True
    small = sum(segment.words[0].text[0].islower() for segment in stack[1:])
    return len(stack) > FEWEST and small >= 0.6 * (len(stack) - 1)


def without(lines: Iterable[Line], left_out: Iterable[Segment]) -> list[Line]:
    """Return the lines without the segments that share a word with ``left_out``."""
    out = {id(word) for segment in left_out for word in segment.words}
    kept = []
    for line in lines:
        segments = [s for s in line.segments if not any(id(word) in out for word in s.words)]
        if segments:
            kept.append(line_of(segments))
    return kept


def runs(lines: Sequence[Line], barriers: Sequence[Box], scale: Scale) -> list[Sequence[Line]]:
    """Return the longest runs of lines that share blanks between columns; other lines only between such lines.

    No run goes past one of ``barriers``, the boxes of paragraphs and of tables already found.
    """
    barriers = sorted(barriers, key=_middle)
    found: list[list[Line]] = []
    i = free = 0
    while i < len(lines):
        opens = len(lines[i].segments) > 1 and not (_caption(lines[i]) or _is_title(lines[i], scale))
        run, end = _run(lines, i, barriers, scale) if opens else ([], i + 1)
        if len(run) > 1:
            tail = _tail(lines[end:], run, scale)
            end += len(tail)
            whole = [*_heading_lines(lines[free:i], run, scale), *_trimmed(run + tail, scale)]
            if found and _heads(found[-1], whole, barriers, scale):
                whole = found.pop() + whole
            found.append(whole)
            free = end
        i = end if len(run) > 1 else i + 1
    return [part for run in found for part in _apart(run, scale)]


def _caption(line: Line) -> bool:
    """Tell whether a line starts like the caption of a table or a figure."""
    return bool(_CAPTION.match(" ".join(segment.text for segment in line.segments)))


def _heads(above: Sequence[Line], run: Sequence[Line], barriers: Sequence[Box], scale: Scale) -> bool:
    """Tell whether a run without amounts stands close above another: it is the header's upper part."""
    close = run[0].box.y0 - above[-1].box.y1 < 0.6 * scale.height
    return (
        close
        and not any(map(_amounts, above))
        and len(above) <= MOST_HEADS
        and not _barred(above[-1].box, run[0].box, barriers)
    )


def _apart(run: Sequence[Line], scale: Scale) -> list[Sequence[Line]]:
    """Split a run where a wide blank is followed by a heading over the columns: two tables, one below the other."""
    gaps = [b.box.y0 - a.box.y1 for a, b in pairwise(run)]
    left = min((line.segments[1].box.x0 for line in run if len(line.segments) > 1), default=FAR)
    for i, gap in enumerate(gaps, start=1):
        wide = gap > max(1.5 * scale.height, 2.5 * median(gaps))
        if wide and run[i].box.x0 > left - scale.height and 1 < i < len(run) - 1 and not _amounts(run[i]):
            return [run[:i], *_apart(run[i:], scale)]
    return [run]


def _amounts(line: Line) -> bool:
    return any(is_value(segment.text) and not is_year(segment.text) for segment in line.segments)


def _run(lines: Sequence[Line], start: int, barriers: Sequence[Box], scale: Scale) -> tuple[list[Line], int]:
    gaps = gaps_of(lines[start].segments)
    run, end = [lines[start]], start + 1
    pending: list[Line] = []
    for i in range(start + 1, len(lines)):
        line = lines[i]
        far = line.box.y0 - lines[i - 1].box.y1 > FARTHEST * scale.height or _is_title(line, scale)
        if far or len(pending) > MOST_PENDING or _barred(lines[i - 1].box, line.box, barriers):
            break
        shared = common(gaps, gaps_of(line.segments), WIDE_BETWEEN_AMOUNTS * scale.blank)
        if _keeps(gaps, shared, line):
            run += [*pending, line]
            pending, gaps, end = [], shared, i + 1
        elif len(line.segments) == 1 and (_left_of(line, gaps) or len(line.segments[0].words) <= FEW_WORDS):
            pending.append(line)
        else:
            break
    return run, end


def _is_title(line: Line, scale: Scale) -> bool:
    """Tell whether a line is in much larger type than the page, or the heading of a section in larger: no row."""
    if _is_section(line):
        return line.box.height > SECTION_TITLE * scale.height
    return len(line.segments) == 1 and line.box.height > TITLE * scale.height


def _is_section(line: Line) -> bool:
    """Tell whether a line is bold, the number of a section and its title, which a wide blank may part."""
    number, *title = line.words()
    if not title or len(line.segments) > 2 or len(line.segments[0].words) not in {1, len(title) + 1}:  # noqa: PLR2004
        return False
    return (
        _SECTION.fullmatch(number.text) is not None and title[0].text[0].isalpha() and all(w.bold for w in line.words())
    )


def _barred(above: Box, below: Box, barriers: Sequence[Box]) -> bool:
    both = above.union(below)
    top, bottom = (above.y0 + above.y1) / 2, (below.y0 + below.y1) / 2
    first = bisect_right(barriers, top, key=_middle)
    for barrier in islice(barriers, first, None):
        if _middle(barrier) >= bottom + 0.2 * below.height:
            break
        if min(barrier.x1, both.x1) > max(barrier.x0, both.x0):
            return True
    return False


def _middle(box: Box) -> float:
    return (box.y0 + box.y1) / 2


def _keeps(gaps: Sequence[Span], shared: Sequence[Span], line: Line) -> bool:
    """Tell whether a line leaves at least half of the blanks between columns, and has text right of the first one."""
    before, now = inner(gaps), inner(shared)
    return bool(now) and 2 * len(now) >= len(before) and line.box.x1 > now[0][1]


def _left_of(line: Line, gaps: Sequence[Span]) -> bool:
    blanks = inner(gaps)
    return bool(blanks) and line.box.x1 <= blanks[0][1]


def _heading_lines(above: Sequence[Line], run: Sequence[Line], scale: Scale) -> list[Line]:
    """Return the lines close above a run that stand over its columns but the first: the upper lines of a heading."""
    left = min((line.segments[1].box.x0 for line in run if len(line.segments) > 1), default=FAR)
    first = max((line.segments[0].box.x1 for line in run if line.segments[0].box.x1 < left), default=left)
    taken: list[Line] = []
    below = run[0]
    for line in reversed(above):
        short = all(len(segment.words) <= FEW_WORDS for segment in line.segments)
        close = -0.5 * scale.height < below.box.y0 - line.box.y1 < 0.6 * scale.height
        if not (short and close and line.box.x0 > first) or _centred(line, run, scale):
            break
        taken.append(line)
        below = line
    return taken[::-1]


def _tail(below: Sequence[Line], run: Sequence[Line], scale: Scale) -> list[Line]:
    """Return the lines with which the last row goes on, where rows stand further apart than their lines."""
    gap = row_gap([b.box.y0 - a.box.y1 for a, b in pairwise(run)], scale.height)
    tail: list[Line] = []
    above, cells = run[-1], run[-1].segments
    for line in below:
        under = all(any(abs(s.box.x0 - cell.box.x0) < 0.5 * scale.height for cell in cells) for s in line.segments)
        if line.box.y0 - above.box.y1 >= gap or not under:
            break
        tail.append(line)
        above = line
    return tail


def _centred(line: Line, run: Sequence[Line], scale: Scale) -> bool:
    """Tell whether a line is set in the middle over all of a run, as a caption is."""
    box = around(other.box for other in run)
    off = abs((line.box.x0 + line.box.x1) / 2 - (box.x0 + box.x1) / 2)
    return len(line.segments) == 1 and off < scale.height


def _trimmed(run: list[Line], scale: Scale) -> list[Line]:
    """Drop the last lines that have one segment and stand apart, or cross the blank right of the first column."""
    left = min(line.segments[1].box.x0 for line in run if len(line.segments) > 1)
    gaps = [b.box.y0 - a.box.y1 for a, b in pairwise(run)]
    while len(run) > FEWEST and len(run[-1].segments) == 1:
        apart = gaps[-1] > max(0.8 * scale.height, *gaps[:-1])
        across = run[-1].box.x0 < left < run[-1].box.x1
        if not (apart or across):
            break
        run.pop()
        gaps.pop()
    return run
