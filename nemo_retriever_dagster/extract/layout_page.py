"""A page put together: lines and areas (tables, charts, pictures) in reading order, as elements."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.layout_blocks import Block, Run, around, blocks_of, body_size
from nemo_retriever_dagster.extract.layout_marks import with_markers
from nemo_retriever_dagster.extract.layout_order import reading_order
from nemo_retriever_dagster.extract.layout_paragraphs import stacks
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN
from nemo_retriever_dagster.model import Box, Element, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_MARGIN = 0.09  # of the page's height: where running heads and page numbers stand
_APART = 0.8  # of the type's size: the blank that sets them off
_SMALL = 1.25  # of the usual size: larger type is no running head
_NOTE = 0.93  # of the usual size: footnotes are at most this large
_NOTE_MARK = re.compile(r"(?:\d{1,3}|[*\u2020\u2021\u00a7]+|\[\d+\]|\([\da-z]\))[\s.)]?\s*\S")
_INSIDE = 0.5  # a line with more than this share of its area in an area belongs to it
_HIDDEN = "This text cannot be seen on the page (invisible, white, tiny or off the page)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A table, chart or picture: the element to put where its box stands; tables and charts own the text in them."""

    element: Element
    box: Box

    @property
    def owns_text(self) -> bool:
        """Whether the lines inside are this element's own."""
        return self.element.kind in {Kind.TABLE, Kind.CHART}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """The page that elements are put on: its number, its size, and where the text was read from."""

    number: int
    size: tuple[float, float]
    origin: Origin = Origin.NATIVE
    engine: str = ""
    written: bool = True
    """Whether the lines come in an order that means something (a content stream), not just as they were found."""


@dataclass(slots=True)
class _Owned:
    area: Area
    lines: list[Line] = field(default_factory=list)


def arrange(
    lines: Sequence[Line], areas: Sequence[Area], paper: Paper, *, text: bool = True, margin: Sequence[Line] = ()
) -> tuple[Element, ...]:
    """Return the page's elements in reading order; ``text`` False leaves the text blocks out.

    ``margin`` are lines that stand beside the text and come behind it, as one block.
    """
    owned = [_Owned(area) for area in areas]
    owners = [item for item in owned if item.area.owns_text]
    free = with_markers([line for line in lines if not _claimed(line, owners)] if owners else lines)
    usual = body_size(free)
    runs, placed = _runs(free, owned, paper, usual)
    if margin:
        runs.insert(-1, Run([_in_one(margin)], furniture=True))
    blocks = blocks_of(runs, usual, vocabulary="\n".join([line.text for line in lines]), exact=paper.written)
    elements: list[Element] = []
    for run, area in zip(blocks, [None, *placed, *([None] * (len(runs) - len(placed) - 1))], strict=True):
        if text:
            elements.extend(_text_element(block, paper) for block in run)
        if area is not None:
            if text and area.lines:
                elements.append(_inner_element(area, paper))
            elements.append(area.area.element)
    return tuple(elements)


def _in_one(lines: Sequence[Line]) -> Line:
    return lines[0]._replace(text=" ".join(line.text for line in lines), box=around(lines))


def _claimed(line: Line, owners: Sequence[_Owned]) -> bool:
    for item in owners:
        if line.box.covered_by(item.area.box) > _INSIDE:
            item.lines.append(line)
            return True
    return False


def _runs(lines: Sequence[Line], owned: Sequence[_Owned], paper: Paper, usual: float) -> tuple[list[Run], list[_Owned]]:
    """Return the runs of lines between the areas, and the areas between them, in reading order."""
    head, body, foot = _furniture(lines, paper.size[1], usual)
    groups, notes = _notes(stacks(body) if paper.written else [[line] for line in body], paper.size[1])
    boxes = [*(around(group) for group in groups), *(item.area.box for item in owned)]
    order = (
        [*(group[0].order for group in groups), *(_written(item, body) for item in owned)] if paper.written else None
    )
    runs = [Run(head, furniture=True), Run([])]
    placed: list[_Owned] = []
    counts = [*(len(group) for group in groups), *(1 for _ in owned)]
    for index in reading_order(boxes, order, counts):
        if index < len(groups):
            runs[-1].lines.extend(groups[index])
        else:
            placed.append(owned[index - len(groups)])
            runs.append(Run([]))
    runs.extend(Run(notes[i], furniture=True) for i in reading_order([around(note) for note in notes]))
    return [*runs, Run(foot, furniture=True)], placed


def _notes(groups: list[list[Line]], height: float) -> tuple[list[list[Line]], list[list[Line]]]:
    """Set footnotes apart: small type under a mark, in the lower half, with no text of the usual size below."""
    marked = [group for group in groups if _NOTE_MARK.match(group[0].text)]
    if not marked:
        return groups, []
    usual = body_size([line for group in groups for line in group])
    found: list[list[Line]] = []
    small = [group for group in marked if group[0].size <= _NOTE * usual]
    kept = list(groups)
    for group in sorted(small, key=lambda group: -group[0].box.y0):
        box = around(group)
        if box.y0 > 0.5 * height and not any(_under(box, around(other)) for other in kept if other is not group):
            found.append(group)
            kept.remove(group)
    return kept, found[::-1]


def _under(box: Box, other: Box) -> bool:
    return other.y0 >= box.y1 - 1 and other.x0 < box.x1 and box.x0 < other.x1


def _written(item: _Owned, lines: Sequence[Line]) -> float:
    """Return the place of an area in the order of the lines: where its own text is, else below what stands above it."""
    if item.lines:
        return float(min(line.order for line in item.lines))
    box = item.area.box
    above = [line for line in lines if line.box.y0 < box.y0 and line.box.x0 < box.x1 and line.box.x1 > box.x0]
    return max(above, key=lambda line: line.box.y1).order + 0.5 if above else -0.5


def _furniture(lines: Sequence[Line], height: float, usual: float) -> tuple[list[Line], list[Line], list[Line]]:
    """Set running heads and feet apart, each from left to right: small type near the edge, a blank off the body."""
    top, bottom = _MARGIN * height, (1 - _MARGIN) * height
    small = [
        line
        for line in lines
        if (line.box.y1 <= top or line.box.y0 >= bottom) and line.size <= _SMALL * usual and not line.bold
    ]
    if not small:
        return [], list(lines), []
    if len(small) == len(lines):
        return [], list(lines), []
    tops = sorted((line for line in small if line.box.y1 <= top), key=lambda line: line.box.y1)
    feet = sorted((line for line in small if line.box.y0 >= bottom), key=lambda line: -line.box.y0)
    apart = _APART * usual
    under = min(line.box.y0 for line in _but(lines, tops))
    head = tops[: _set_off([(line.box.y0, line.box.y1) for line in tops], under, apart)]
    over = max(line.box.y1 for line in _but(lines, feet))
    foot = feet[: _set_off([(-line.box.y1, -line.box.y0) for line in feet], -over, apart)]
    return _by_place(head), _but(lines, [*head, *foot]), _by_place(foot)


def _set_off(edge: Sequence[tuple[float, float]], inner: float, apart: float) -> int:
    """Return how many of the ranges at the edge of a page a blank of ``apart`` sets off from all others.

    They are sorted by their ends, counted from the edge; what is not among them starts at ``inner``.
    """
    for count in range(len(edge), 0, -1):
        start, end = edge[count - 1]
        if inner - end >= apart:
            return count
        inner = min(inner, start)
    return 0


def _but(lines: Sequence[Line], some: Sequence[Line]) -> list[Line]:
    apart = {line.order for line in some}
    return [line for line in lines if line.order not in apart]


def _by_place(lines: Sequence[Line]) -> list[Line]:
    return [lines[i] for i in reading_order([line.box for line in lines])]


def _text_element(block: Block, paper: Paper, inside: Kind | None = None) -> Element:
    return Element(
        kind=Kind.TEXT,
        text=block.text,
        page=paper.number,
        box=block.box,
        page_size=paper.size,
        heading=block.heading,
        inside=inside,
        origin=paper.origin,
        engine=paper.engine,
        warnings=(_HIDDEN,) if block.hidden else (),
        attributes={"hidden": True} if block.hidden else {},
    )


def _inner_element(owned: _Owned, paper: Paper) -> Element:
    """Return the text of a table or chart row by row, so that the page's full text has it."""
    lines = owned.lines
    rows = [lines[i] for i in reading_order([line.box for line in lines])]
    parts = [rows[0].text]
    for before, line in pairwise(rows):
        same_row = min(before.box.y1, line.box.y1) - max(before.box.y0, line.box.y0) > _INSIDE * line.box.height
        parts.append(f"{' ' if same_row else chr(10)}{line.text}")
    text = "".join(parts).replace(SOFT_HYPHEN, "-")
    block = Block(text=text, box=around(lines), size=lines[0].size, hidden=all(line.hidden for line in lines))
    return _text_element(block, paper, inside=owned.area.element.kind)
