"""From lines in reading order to blocks: paragraphs, headings, lists; hyphens at line ends repaired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.layout_listings import Part, is_typed, listing_text, parts_of
from nemo_retriever_dagster.extract.layout_marks import BULLET, leads_on, starts_item
from nemo_retriever_dagster.extract.layout_paragraphs import HYPHENS, paragraphs_of, usual_leading
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN, joined, may_begin
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_SECTION = re.compile(
    r"(?:\d+(?:\.\d+)*\.?|[IVX]+\.|[A-Z]\.|(?:chapter|section|part|appendix)\s+\w+)\s+\S", re.IGNORECASE
)
_LARGER = 1.12  # a heading's size over the body's, where it is not bold
_BOLD_LEAST = 0.8  # of the body's size
_HEADING_CHARS, _HEADING_LINES = 220, 3
_LETTERS = 2


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
    leading = usual_leading(run.lines for run in runs) if exact else inf
    typed = is_typed([line for run in runs for line in run.lines])
    found = [
        [block for part in parts_of(run.lines, typed=typed) for block in _blocks(part, leading, vocabulary)]
        for run in runs
    ]
    free = [block for run, blocks in zip(runs, found, strict=True) if not run.furniture for block in blocks]
    headings = iter(_headings(free, body))
    return [
        _lists(blocks if run.furniture else [next(headings) for _ in blocks])
        for run, blocks in zip(runs, found, strict=True)
    ]


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
    if not any(text.endswith(HYPHENS) for text in texts):
        return joined(texts)
    parts: list[str] = []
    for text in texts:
        if parts and parts[-1].endswith(HYPHENS):
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


def _blocks(part: Part, leading: float, vocabulary: str) -> list[Block]:
    if part.listing:
        return [_listing(part.lines)]
    return [_block(group, vocabulary) for group in paragraphs_of(part.lines, leading)]


def _listing(lines: Sequence[Line]) -> Block:
    text = listing_text(lines).replace(SOFT_HYPHEN, "-")
    return Block(text, around(lines), max(line.size for line in lines), hidden=lines[0].hidden, lines=len(lines))


def _block(group: Sequence[Line], vocabulary: str) -> Block:
    first = group[0]
    if len(group) == 1:
        text = first.text.replace(SOFT_HYPHEN, "-")
        return Block(text, first.box, first.size, bold=first.bold, hidden=first.hidden, listed=_is_listed(first, first))
    return Block(
        join_lines([line.text for line in group], vocabulary),
        around(group),
        max([line.size for line in group]),
        bold=first.bold,
        hidden=first.hidden,
        listed=_is_listed(first, group[-1]),
        lines=len(group),
    )


def _is_listed(first: Line, last: Line) -> bool:
    return starts_item(first.text) or leads_on(last.text)


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
    if BULLET.match(text) or leads_on(text) or (not large and text.endswith((".", ",", ";"))):
        return False
    if block.bold:
        return block.size >= _BOLD_LEAST * body and (not block.listed or bool(_SECTION.match(text)))
    return may_begin(text) or text[:1].isdigit()


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
