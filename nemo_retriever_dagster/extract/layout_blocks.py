"""From lines in reading order to blocks: paragraphs, headings, lists; hyphens at line ends repaired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice, pairwise
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.layout_marks import BULLET, starts_item
from nemo_retriever_dagster.extract.scripts import has_no_blanks, joined
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

SOFT_HYPHEN = "\u00ad"
_HYPHENS = ("-", "\u2010", SOFT_HYPHEN)
_SECTION = re.compile(
    r"(?:\d+(?:\.\d+)*\.?|[IVX]+\.|[A-Z]\.|(?:chapter|section|part|appendix)\s+\w+)\s+\S", re.IGNORECASE
)
_SENTENCE_END = (".", "!", "?", ":", ";", '."', ".\u201d", ".)", "\u3002", "\uff01", "\uff1f")
_LEADING = 1.0  # of the type's size: blank between two lines of one paragraph at most
_OVERLAP = -0.6  # of the type's size: lines set solid reach into each other
_EVEN = 1.3  # a blank this much wider than the paragraph's own ends it
_TWICE, _MORE = 2.0, 0.25  # the page's usual blank: one this many times as wide, and this much wider, ends a first line
_SAME_SIZE = 0.12
_INDENT = 0.8  # of the type's size
_LARGER = 1.12  # a heading's size over the body's, where it is not bold
_BOLD_LEAST = 0.8  # of the body's size
_HEADING_CHARS, _HEADING_LINES = 220, 3
_LETTERS = 2
_NEAR = 4  # lines before and behind that tell how wide the column is
_ALIGNED = 2.5  # of the type's size: lines of a column start nearer to each other
_BLANK = 0.3  # of the type's size: between two words
_WIDER = 1  # letters: a word may be this much wider than the letters of its line let expect
_FEWEST_GAPS = 3


class Block(NamedTuple):
    """A paragraph, a heading (``heading`` 1 = title, 2.. deeper) or a list (items separated by line feeds)."""

    text: str
    box: Box
    size: float
    bold: bool = False
    heading: int = 0
    hidden: bool = False
    listed: bool = False
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Lines in reading order with nothing between them; ``furniture`` for a running head or foot: no headings there."""

    lines: list[Line]
    furniture: bool = False


def blocks_of(runs: Sequence[Run], body: float, *, vocabulary: str = "", exact: bool = True) -> list[list[Block]]:
    """Merge lines, given in reading order, into blocks, one list a run; a block never reaches over two runs.

    ``body`` is the `body_size` of all lines; ``vocabulary`` is the page's text: a word broken at a hyphen keeps the
    hyphen if the page has it so elsewhere; ``exact`` False tells that the lines' heights are not those of the type.
    """
    leading = _usual_leading(runs) if exact else inf
    found = [[_block(group, vocabulary) for group in _paragraphs(run.lines, leading)] for run in runs]
    free = [block for run, blocks in zip(runs, found, strict=True) if not run.furniture for block in blocks]
    headings = iter(_headings(free, body))
    return [
        _lists(blocks if run.furniture else [next(headings) for _ in blocks])
        for run, blocks in zip(runs, found, strict=True)
    ]


def stacks(lines: Sequence[Line]) -> list[list[Line]]:
    """Group lines written one after another that stand one below another, close together and in like type."""
    groups: list[list[Line]] = []
    left = right = bottom = last_size = 0.0
    last_bold = False
    for line in lines:
        _, (x0, y0, x1, y1), own, bold, _, _, _ = line
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


def around(lines: Sequence[Line]) -> Box:
    """Return the smallest box around the lines."""
    if len(lines) == 1:
        return lines[0].box
    x0, y0, x1, y1 = zip(*[line.box for line in lines], strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def body_size(lines: Sequence[Line]) -> float:
    """Return the size most characters are set in, 0 without lines."""
    exact: dict[float, int] = {}
    for line in lines:
        exact[line.size] = exact.get(line.size, 0) + len(line.text)
    sizes: dict[float, int] = {}
    for size, letters in exact.items():
        near = round(size * 2) / 2
        sizes[near] = sizes.get(near, 0) + letters
    return max(sizes, key=lambda size: (sizes[size], size)) if sizes else 0.0


def join_lines(texts: Sequence[str], vocabulary: str = "") -> str:
    """Join the lines of a paragraph with blanks, and words broken at a line end without."""
    if not any(text.endswith(_HYPHENS) for text in texts):
        return joined(texts)
    parts: list[str] = []
    for text in texts:
        if parts and parts[-1].endswith(_HYPHENS):
            parts[-1] = _joined(parts[-1], text, vocabulary)
        else:
            parts.append(text)
    return joined(parts).replace(SOFT_HYPHEN, "-")


def _joined(before: str, after: str, vocabulary: str) -> str:
    """Join two lines, the first of which ends with a hyphen."""
    if not after[:1].isalpha() or not before[-2:-1].isalpha():
        return f"{before} {after}"
    head, tail = before[:-1], after
    first, last = tail.split(" ", 1)[0].rstrip(".,;:!?)"), head.rsplit(" ", 1)[-1].lstrip("(\u201c\"'")
    if not tail[:1].islower() or "-" in last or f"{last}-{first}" in vocabulary:
        return f"{head}-{tail}"
    return head + tail


def _usual_leading(runs: Sequence[Run]) -> float:
    """Return the blank between two lines of a paragraph as most paragraphs have it, in sizes of their type.

    Infinite where there are too few lines to tell.
    """
    gaps = sorted(
        (line.box.y0 - last.box.y1) / line.size
        for run in runs
        for last, line in pairwise(run.lines)
        if last.size == line.size > 0 and last.box.x0 < line.box.x1 and line.box.x0 < last.box.x1
    )
    close = [gap for gap in gaps if _OVERLAP < gap < _LEADING]
    return close[len(close) // 4] if len(close) >= _FEWEST_GAPS else inf


def _paragraphs(lines: Sequence[Line], leading: float) -> list[list[Line]]:
    groups: list[list[Line]] = []
    for at, line in enumerate(lines):
        if groups and _continues(groups[-1], line, leading) and not _starts_anew(groups[-1], lines, at):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(group: list[Line], line: Line, leading: float) -> bool:
    """Tell whether a line stands beside the last one of a paragraph, or where the next one would, and is set alike."""
    _, (left, top, right, bottom), last_size, last_bold, _, last_hidden, _ = group[-1]
    _, (x0, y0, x1, y1), own, bold, _, hidden, _ = line
    size = max(last_size, own) or 1.0
    if last_bold != bold or last_hidden != hidden or abs(last_size - own) > _SAME_SIZE * size:
        return False
    if x0 >= right - 0.5 * last_size and min(bottom, y1) - max(top, y0) > 0.5 * min(bottom - top, y1 - y0):
        return 0 <= x0 - right < 2 * size
    gap = y0 - bottom
    if not _OVERLAP * size < gap < _LEADING * size:
        return False
    above = None
    if len(group) > 1:
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
    size = max(last.size, line.size) or 1.0
    ended = last.text.endswith(_SENTENCE_END)
    if starts_item(line.text) and not last.text.endswith(_HYPHENS):
        return ended or BULLET.match(line.text) is not None or starts_item(first.text)
    if left < first.box.x0 - 0.3 * size and starts_item(first.text):
        return True
    if not ended:
        return False
    hangs = len(group) == 1 and starts_item(first.text)
    if not hangs and left > min([line.box.x0 for line in group]) + _INDENT * size and left > last.box.x0 + 0.5 * size:
        return True
    may_start = line.text[:1].isupper() or has_no_blanks(line.text)
    return may_start and _had_room(last, line, lines[max(at - _NEAR, 0) : at + _NEAR])


def _had_room(last: Line, line: Line, near: Sequence[Line]) -> bool:
    """Tell whether the first word of a line would have fitted behind the one before: then the break was meant."""
    size = max(last.size, line.size) or 1.0
    right = max(other.box.x1 for other in near if abs(other.box.x0 - last.box.x0) < _ALIGNED * size)
    word = line.text[:1] if has_no_blanks(line.text) else line.text.split(" ", 1)[0]
    width = line.box.width * (len(word) + _WIDER) / len(line.text)
    return last.box.x1 + _BLANK * size + width <= right


def _block(group: Sequence[Line], vocabulary: str) -> Block:
    first = group[0]
    if len(group) == 1:
        text = first.text.replace(SOFT_HYPHEN, "-")
        return Block(text, first.box, first.size, bold=first.bold, hidden=first.hidden, listed=starts_item(first.text))
    return Block(
        join_lines([line.text for line in group], vocabulary),
        around(group),
        max([line.size for line in group]),
        bold=first.bold,
        hidden=first.hidden,
        listed=starts_item(first.text),
        lines=len(group),
    )


def _headings(blocks: list[Block], body: float) -> list[Block]:
    found = [index for index, block in enumerate(blocks) if _is_heading(blocks, index, body)]
    ranks = sorted({_rank(blocks[index]) for index in found}, reverse=True)
    for index in found:
        level = min(ranks.index(_rank(blocks[index])) + 1, 6)
        blocks[index] = blocks[index]._replace(heading=level, listed=False)
    return blocks


def _rank(block: Block) -> tuple[float, bool]:
    return round(block.size), block.bold


def _is_heading(blocks: Sequence[Block], index: int, body: float) -> bool:
    block = blocks[index]
    text, large = block.text, block.size >= _LARGER * body
    if block.hidden or not (block.bold or large) or len(text) > _HEADING_CHARS or block.lines > _HEADING_LINES:
        return False
    if sum(map(str.isalpha, text)) < _LETTERS:
        return False
    if BULLET.match(text) or (not large and text.endswith((".", ",", ";"))):
        return False
    if block.bold:
        return block.size >= _BOLD_LEAST * body and (not block.listed or bool(_SECTION.match(text)))
    return text[:1].isupper() or text[:1].isdigit()


def _lists(blocks: list[Block]) -> list[Block]:
    """Put consecutive items into one block."""
    result: list[Block] = []
    for block in blocks:
        last = result[-1] if result else None
        if last is not None and last.listed and block.listed and last.hidden == block.hidden and _near(last, block):
            text = f"{last.text}\n{block.text}"
            result[-1] = last._replace(text=text, box=last.box.union(block.box), lines=last.lines + block.lines)
        else:
            result.append(block)
    return result


def _near(a: Block, b: Block) -> bool:
    return -a.size < b.box.y0 - a.box.y1 < 2 * a.size and min(a.box.x1, b.box.x1) > max(a.box.x0, b.box.x0)
