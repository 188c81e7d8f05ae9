"""Columns from the blanks that persist over lines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.tables.lines import Line, Segment, line_of, segment_of
from nemo_retriever_dagster.extract.tables.tokens import is_value, same_number
from nemo_retriever_dagster.extract.typewriter import is_typewriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from nemo_retriever_dagster.extract.geometry import Glyphs

    Span = tuple[float, float]

FAR = 1e9
WIDE_BLANKS = 2.0  # a blank that many times as wide as usual parts two segments
WIDE_BEFORE_AMOUNT = 1.5
WIDE_BETWEEN_AMOUNTS = 1.2
PITCH = 0.6  # of the type's size: every character of a typewriter face, the blank too, is as wide
AT_ONCE = 256  # segments compared in one matrix: bounds its memory
MANY_LINES = 7
_AT_ONCE = 256  # blanks compared with all others: a page full of them would take gigabytes
FEWEST_ALIKE, COMMON_BLANK = 4, 0.6  # lines, and their share, that have a narrow blank between columns in common
OUTLIERS = 0.1  # share of a table's lines that may cross the blank between two columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What a page is measured by, in its unit: the usual height of a word and the usual blank between two."""

    height: float
    blank: float


def table_line(words: Sequence[Glyphs], scale: Scale) -> Line:
    """Split a line of words at wide blanks, and between two amounts at any blank that does not group digits."""
    part = [words[0]]
    parts = [part]
    reach, least = words[0].box.x1, WIDE_BETWEEN_AMOUNTS * scale.blank
    for word in words[1:]:
        x0, _, x1, _ = word.box
        gap = x0 - reach
        if gap > least and gap > _wide(part[-1], word, scale):
            parts.append(part := [word])
        else:
            part.append(word)
        reach = max(reach, x1)
    return line_of([segment_of(part) for part in parts])


def _wide(left: Glyphs, right: Glyphs, scale: Scale) -> float:
    """Return how wide the blank between two words must be to part them."""
    blank = scale.blank * max(1.0, min(left.box.height, right.box.height) / scale.height)
    if is_typewriter(left.font) and is_typewriter(right.font):
        blank = max(blank, PITCH * min(left.size, right.size))
    if not is_value(right.text):
        return WIDE_BLANKS * blank
    if not is_value(left.text):
        return WIDE_BEFORE_AMOUNT * blank
    return (WIDE_BLANKS if same_number(left.text, right.text) else WIDE_BETWEEN_AMOUNTS) * blank


def gaps_of(segments: Sequence[Segment]) -> list[Span]:
    """Return the blanks between a line's segments from left to right, the ones outside its ink included."""
    edges = [-FAR]
    for _, (x0, _, x1, _) in segments:
        edges += (x0, x1)
    edges.append(FAR)
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def common(left: Sequence[Span], right: Sequence[Span], narrowest: float) -> list[Span]:
    """Return the parts, at least ``narrowest`` wide, that the blanks of two lists share; all in order of x."""
    shared = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if high - low >= narrowest:
            shared.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return shared


def inner(gaps: Iterable[Span]) -> list[Span]:
    """Return the blanks between columns: those that reach no end of the line."""
    return [(a, b) for a, b in gaps if a > -FAR and b < FAR]


def column_spans(lines: Sequence[Line], scale: Scale) -> list[Span]:
    """Return the extents of the columns, left to right: where ink stands on more than a few of ``lines``."""
    several = [line for line in lines if len(line.segments) > 1] or list(lines)
    segments = [segment for line in several for segment in line.segments]
    ink = [s for s, over in zip(segments, _over_columns(segments, several), strict=True) if not over]
    few = max(1, int(OUTLIERS * len(several))) if len(several) >= MANY_LINES else 0
    covered = _covered([(s.box.x0, s.box.x1) for s in ink], few)
    joined: list[Span] = []
    for x0, x1 in covered:
        if joined and x0 - joined[-1][1] < WIDE_BETWEEN_AMOUNTS * scale.blank:
            joined[-1] = (joined[-1][0], x1)
        else:
            joined.append((x0, x1))
    joined = _beside_each_other(joined, several, scale)
    fewest = 2 if len(several) >= MANY_LINES else 1
    return [span for span in joined if sum(_within(s, span, scale) for s in segments) >= fewest]


def _within(segment: Segment, span: Span, scale: Scale) -> bool:
    """Tell whether a segment has its middle in a range of x."""
    return span[0] - scale.blank <= (segment.box.x0 + segment.box.x1) / 2 <= span[1] + scale.blank


def _beside_each_other(spans: Sequence[Span], lines: Sequence[Line], scale: Scale) -> list[Span]:
    """Join close ranges that no line has text in both of: a heading and its amounts set at different edges."""
    owners = [
        {i for i, line in enumerate(lines) if any(_within(s, span, scale) for s in line.segments)} for span in spans
    ]
    joined: list[Span] = []
    last: set[int] = set()
    for span, own in zip(spans, owners, strict=True):
        if joined and span[0] - joined[-1][1] < 1.5 * scale.height and last and own and not last & own:
            joined[-1] = (joined[-1][0], span[1])
            last = last | own
        else:
            joined.append(span)
            last = own
    return joined


def _over_columns(segments: Sequence[Segment], lines: Sequence[Line]) -> list[bool]:
    """Tell for each segment whether it lies over two columns: on enough lines it covers most of a blank."""
    gaps = [
        (i, a.box.x1, b.box.x0)
        for i, line in enumerate(lines)
        for a, b in pairwise(line.segments)
        if b.box.x0 > a.box.x1
    ]
    if not gaps:
        return [False] * len(segments)
    line, left, right = np.array(gaps).T
    firsts, needed = np.flatnonzero(np.diff(line, prepend=-1)), max(1, 0.25 * (len(lines) - 1))
    over: list[bool] = []
    for at in range(0, len(segments), AT_ONCE):
        x0, x1 = np.array([(s.box.x0, s.box.x1) for s in segments[at : at + AT_ONCE]]).T[:, :, None]
        covered = np.minimum(x1, right) - np.maximum(x0, left) >= 0.5 * (right - left)
        over += (np.logical_or.reduceat(covered, firsts, axis=1).sum(axis=1) >= needed).tolist()
    return over


def _covered(ink: Sequence[Span], few: int) -> list[Span]:
    """Return the ranges of x that more than ``few`` of the extents in ``ink`` cover."""
    edges = sorted([(x0, 1) for x0, _ in ink] + [(x1, -1) for _, x1 in ink], key=lambda edge: (edge[0], -edge[1]))
    covered: list[Span] = []
    depth, start = 0, 0.0
    for x, step in edges:
        if step > 0 and depth == few:
            start = x
        depth += step
        if step < 0 and depth == few:
            covered.append((start, x))
    return covered


def aligned(lines: Iterable[Line], columns: Sequence[Span], scale: Scale) -> list[Line]:
    """Split the segments that run from one column into the next with a usual blank, where that blank is the edge.

    The word behind the blank starts where others of its column start, or the word before ends where others end.
    """
    lines = list(lines)
    starts, ends = _edges(lines, columns, scale)
    return [line_of(part for s in line.segments for part in _parted(s, columns, starts, ends, scale)) for line in lines]


def _edges(lines: Sequence[Line], columns: Sequence[Span], scale: Scale) -> tuple[list[float], list[float]]:
    """Return for each column the x where most of its segments start, and end; FAR where no two agree."""
    starts, ends = [], []
    for x0, x1 in columns:
        inside = [
            s.box
            for line in lines
            for s in line.segments
            if s.box.x0 >= x0 - scale.blank and s.box.x1 <= x1 + scale.blank
        ]
        starts.append(_usual([box.x0 for box in inside], 0.2 * scale.height))
        ends.append(_usual([box.x1 for box in inside], 0.2 * scale.height))
    return starts, ends


def _usual(places: Sequence[float], slack: float) -> float:
    counts = [(sum(abs(other - place) <= slack for other in places), place) for place in places]
    best = max(counts, default=(0, FAR))
    return best[1] if best[0] >= max(2, 0.4 * len(places)) else FAR


def at_common_blanks(lines: Sequence[Line], scale: Scale) -> list[Line]:
    """Split segments at a blank that has the same two edges in most lines, however narrow: amounts, then words."""
    blanks = [
        (left.box.x1, right.box.x0)
        for line in lines
        for segment in line.segments
        for left, right in pairwise(segment.words)
        if right.box.x0 - left.box.x1 > scale.blank
    ]
    enough, slack = max(FEWEST_ALIKE, COMMON_BLANK * len(lines)), 0.15 * scale.height
    if len(blanks) < enough:
        return list(lines)
    edges = np.array(blanks)
    shared: set[Span] = set()
    for start in range(0, len(blanks), _AT_ONCE):
        some = edges[start : start + _AT_ONCE, None]
        often = (np.abs(some - edges[None]) <= slack).all(axis=2).sum(axis=1) >= enough
        shared.update(blanks[start + i] for i in np.flatnonzero(often).tolist())
    return [line_of(part for s in line.segments for part in _cut_at(s, shared)) for line in lines]


def _cut_at(segment: Segment, blanks: AbstractSet[Span]) -> list[Segment]:
    words = segment.words
    cuts = [i for i, (a, b) in enumerate(pairwise(words), start=1) if (a.box.x1, b.box.x0) in blanks]
    return [segment_of(words[a:b]) for a, b in pairwise([0, *cuts, len(words)])] if cuts else [segment]


def _parted(
    segment: Segment, columns: Sequence[Span], starts: Sequence[float], ends: Sequence[float], scale: Scale
) -> list[Segment]:
    slack, words = 0.2 * scale.height, segment.words
    cuts = []
    for i, (left, right) in enumerate(pairwise(words), start=1):
        for c in range(1, len(columns)):
            blank = right.box.x0 - left.box.x1
            begins = abs(right.box.x0 - starts[c]) <= slack and left.box.x1 < starts[c] and blank > 0.5 * scale.blank
            finishes = abs(left.box.x1 - ends[c - 1]) <= slack and right.box.x0 > ends[c - 1] and is_value(left.text)
            if begins or finishes:
                cuts.append(i)
                break
    edges = [0, *cuts, len(words)]
    return [segment_of(words[a:b]) for a, b in pairwise(edges)]
