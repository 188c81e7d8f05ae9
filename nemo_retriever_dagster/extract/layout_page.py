"""A page put together: lines and areas (tables, charts, pictures) in reading order, as elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.layout_blocks import SOFT_HYPHEN, Block, blocks_of
from nemo_retriever_dagster.extract.layout_order import reading_order
from nemo_retriever_dagster.model import Box, Element, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_MARGIN = 0.09  # of the page's height: where running heads and page numbers stand
_APART = 0.8  # of the type's size: the blank that sets them off
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


def arrange(lines: Sequence[Line], areas: Sequence[Area], paper: Paper, *, text: bool = True) -> tuple[Element, ...]:
    """Return the page's elements in reading order; ``text`` False leaves the text blocks out."""
    owned = [_Owned(area) for area in areas]
    free = [line for line in lines if not _claimed(line, owned)]
    runs, placed = _runs(free, owned, paper)
    vocabulary = (
        "\n".join(line.text for line in lines) if any(line.text.endswith(("-", SOFT_HYPHEN)) for line in lines) else ""
    )
    elements: list[Element] = []
    for run, area in zip(blocks_of(runs, vocabulary=vocabulary), [*placed, None], strict=True):
        if text:
            elements.extend(_text_element(block, paper) for block in run)
        if area is not None:
            if text and area.lines:
                elements.append(_inner_element(area, paper))
            elements.append(area.area.element)
    return tuple(elements)


def _claimed(line: Line, owned: Sequence[_Owned]) -> bool:
    for item in owned:
        if item.area.owns_text and line.box.covered_by(item.area.box) > _INSIDE:
            item.lines.append(line)
            return True
    return False


def _runs(lines: Sequence[Line], owned: Sequence[_Owned], paper: Paper) -> tuple[list[list[Line]], list[_Owned]]:
    """Return the runs of lines between the areas, and the areas between them, in reading order."""
    head, body, foot = _furniture(lines, paper.size[1])
    boxes = [*(line.box for line in body), *(item.area.box for item in owned)]
    order = [*(line.order for line in body), *(_written(item, body) for item in owned)] if paper.written else None
    runs: list[list[Line]] = [[*head]]
    placed: list[_Owned] = []
    for index in reading_order(boxes, order):
        if index < len(body):
            runs[-1].append(body[index])
        else:
            placed.append(owned[index - len(body)])
            runs.append([])
    runs[-1].extend(foot)
    return runs, placed


def _written(item: _Owned, lines: Sequence[Line]) -> float:
    """Return the place of an area in the order of the lines: where its own text is, else below what stands above it."""
    if item.lines:
        return float(min(line.order for line in item.lines))
    box = item.area.box
    above = [line for line in lines if line.box.y0 < box.y0 and line.box.x0 < box.x1 and line.box.x1 > box.x0]
    return max(above, key=lambda line: line.box.y1).order + 0.5 if above else -0.5


def _furniture(lines: Sequence[Line], height: float) -> tuple[list[Line], list[Line], list[Line]]:
    """Set running heads and feet apart, each from left to right, where a blank separates them from the body."""
    top, bottom = _MARGIN * height, (1 - _MARGIN) * height
    head = [line for line in lines if line.box.y1 <= top]
    foot = [line for line in lines if line.box.y0 >= bottom]
    body = [line for line in lines if line.box.y1 > top and line.box.y0 < bottom]
    if not body:
        return [], list(lines), []
    first, last = min(line.box.y0 for line in body), max(line.box.y1 for line in body)
    if head and first - max(line.box.y1 for line in head) < _APART * head[-1].size:
        head, body = [], [*head, *body]
    if foot and min(line.box.y0 for line in foot) - last < _APART * foot[0].size:
        foot, body = [], [*body, *foot]
    return _by_place(head), sorted(body, key=lambda line: line.order), _by_place(foot)


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
    box = lines[0].box
    for line in lines[1:]:
        box = box.union(line.box)
    rows = [lines[i] for i in reading_order([line.box for line in lines])]
    parts = [rows[0].text]
    for before, line in pairwise(rows):
        same_row = min(before.box.y1, line.box.y1) - max(before.box.y0, line.box.y0) > _INSIDE * line.box.height
        parts.append(f"{' ' if same_row else chr(10)}{line.text}")
    text = "".join(parts).replace(SOFT_HYPHEN, "-")
    block = Block(text=text, box=box, size=lines[0].size, hidden=all(line.hidden for line in lines))
    return _text_element(block, paper, inside=owned.area.element.kind)
