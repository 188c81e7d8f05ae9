"""Tables of text: blocks of lines with blank between them, a short key at the left of each, paragraphs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.tables.columns import WIDE_BLANKS, common, gaps_of, inner
from nemo_retriever_dagster.extract.tables.lines import around
from nemo_retriever_dagster.extract.tables.tokens import is_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.tables.columns import Scale, Span
    from nemo_retriever_dagster.extract.tables.lines import Line, Segment

APART = 0.8  # heights of blank between two blocks
FARTHEST = 8.0
LONGEST_KEY = 8  # words
FEWEST_ROWS = 3


def blocks_of(lines: Sequence[Line], scale: Scale) -> list[list[Line]]:
    """Return the lines in groups that a blank of most of a line's height parts."""
    blocks: list[list[Line]] = []
    bottom = 0.0
    for line in lines:
        if blocks and line.box.y0 - bottom < APART * scale.height:
            blocks[-1].append(line)
            bottom = max(bottom, line.box.y1)
        else:
            blocks.append([line])
            bottom = line.box.y1
    return blocks


def keyed_runs(
    lines: Sequence[Line], paragraphs: Sequence[Segment], scale: Scale
) -> list[tuple[list[list[Line]], list[Span]]]:
    """Return the runs of blocks that are rows of a table of text, each with the extents of its columns.

    There are at least three, with keys left of a blank common to all, and a paragraph is among them: tables of short
    cells are found by their lines.
    """
    prose = {id(word) for segment in paragraphs for word in segment.words}
    blocks, found, i = blocks_of(lines, scale), [], 0
    while i < len(blocks):
        run, gaps = _run(blocks[i:], scale)
        if _is_keyed(run, gaps) and any(id(w) in prose for block in run for line in block for w in line.words()):
            found.append((run, _between(inner(gaps), [line for block in run for line in block])))
            i += len(run)
        else:
            i += 1
    return found


def _run(blocks: Sequence[list[Line]], scale: Scale) -> tuple[list[list[Line]], list[Span]]:
    gaps, run = _gaps(blocks[0], scale), [blocks[0]]
    if not inner(gaps):
        return run, gaps
    for block in blocks[1:]:
        shared = common(gaps, _gaps(block, scale), WIDE_BLANKS * scale.blank)
        far = block[0].box.y0 - around(line.box for line in run[-1]).y1 > FARTHEST * scale.height
        if inner(shared) and 2 * len(inner(shared)) >= len(inner(gaps)) and not far:
            gaps = shared
        elif far or len(block) > 1 or len(block[0].words()) > LONGEST_KEY:
            break
        run.append(block)
    while len(run) > 1 and not _both(run[-1], gaps):
        run.pop()
    return run, gaps


def _between(gaps: Sequence[Span], lines: Sequence[Line]) -> list[Span]:
    """Return the extents that the blanks between columns leave."""
    box = around(line.box for line in lines)
    edges = [box.x0, *(x for gap in gaps for x in gap), box.x1]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _gaps(block: Sequence[Line], scale: Scale) -> list[Span]:
    gaps = gaps_of(block[0].segments)
    for line in block[1:]:
        gaps = common(gaps, gaps_of(line.segments), WIDE_BLANKS * scale.blank)
    return gaps


def _both(block: Sequence[Line], gaps: Sequence[Span]) -> bool:
    """Tell whether a block has text on both sides of the first common blank, in its first line."""
    left, right = inner(gaps)[0]
    first = block[0]
    return first.box.x0 < left and first.box.x1 > right


def _is_keyed(run: Sequence[Sequence[Line]], gaps: Sequence[Span]) -> bool:
    if not inner(gaps):
        return False
    rows = [block for block in run if _both(block, gaps)]
    edge = inner(gaps)[0][0]
    keys = [[w.text for line in block for w in line.words() if w.box.x0 < edge] for block in rows]
    marks = any(len(key) == 1 and (is_mark(key[0]) or key[0].isdigit()) for key in keys)
    short = all(len(key) <= LONGEST_KEY * (1 + (i > 0)) for i, key in enumerate(keys))
    return len(rows) >= FEWEST_ROWS and short and not marks and 2 * len(rows) > len(run)
