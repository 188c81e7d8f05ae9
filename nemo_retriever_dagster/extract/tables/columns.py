"""Columns from the blanks that persist over lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.tokens import is_value, same_number
from nemo_retriever_dagster.extract.tables.lines import around, Line, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

    Span = tuple[float, float]

FAR = 1e9


def table_line(words: Sequence[Glyphs], blank: float) -> Line:
    """Split a line of words at wide blanks, and between two amounts at any blank that does not group digits."""
    parts: list[list[Glyphs]] = [[words[0]]]
    reach = words[0].box.x1
    for word in words[1:]:
        last = parts[-1][-1].text
        gap = word.box.x0 - reach
        amounts = is_value(last) and is_value(word.text) and not same_number(last, word.text)
        if gap > (1.2 if amounts else 2.0) * blank:
            parts.append([word])
        else:
            parts[-1].append(word)
        reach = max(reach, word.box.x1)
    segments = tuple(Segment(words=tuple(part), box=around(word.box for word in part)) for part in parts)
    return Line(segments=segments, box=around(segment.box for segment in segments))


def gaps_of(line: Line) -> list[Span]:
    """Return the blanks of a line from left to right, the ones outside its ink included."""
    edges = [-FAR]
    for segment in line.segments:
        edges += [segment.box.x0, segment.box.x1]
    edges.append(FAR)
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def common(left: Sequence[Span], right: Sequence[Span], narrowest: float) -> list[Span]:
    """Return the parts that blanks of two lists share, at least ``narrowest`` wide."""
    shared = []
    for a, b in left:
        for c, d in right:
            low, high = max(a, c), min(b, d)
            if high - low >= narrowest:
                shared.append((low, high))
    return shared


def inner(gaps: Sequence[Span]) -> list[Span]:
    """Return the blanks between columns: those that reach no end of the line."""
    return [(a, b) for a, b in gaps if a > -FAR and b < FAR]


def spanning(segment: Segment, lines: Sequence[Line]) -> bool:
    """Tell whether a segment lies over two columns: on enough lines, two segments have their place under it."""
    box, wide = segment.box, 0
    for line in lines:
        under = 0
        for other in line.segments:
            overlap = min(box.x1, other.box.x1) - max(box.x0, other.box.x0)
            under += overlap > 0.5 * other.box.width
        wide += under > 1
    return wide >= max(1, 0.25 * len(lines))


def column_spans(lines: Sequence[Line], narrowest: float) -> list[Span]:
    """Return the columns' extents (of ink) that leave ``lines`` a common blank between each two."""
    several = [line for line in lines if len(line.segments) > 1] or list(lines)
    ink = sorted(
        (s.box.x0, s.box.x1) for line in several for s in line.segments if not spanning(s, [o for o in several if o is not line])
    )
    columns: list[Span] = []
    for x0, x1 in ink:
        if columns and x0 - columns[-1][1] < narrowest:
            columns[-1] = (columns[-1][0], max(columns[-1][1], x1))
        else:
            columns.append((x0, x1))
    return columns
