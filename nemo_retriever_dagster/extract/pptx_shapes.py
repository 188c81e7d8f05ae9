"""The shapes of a slide with their place, groups resolved, in the order they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.drawingml import description, is_hidden
from nemo_retriever_dagster.extract.ooxml import children, first, number, q, short
from nemo_retriever_dagster.extract.pptx_layouts import own_properties, placeholder_of
from nemo_retriever_dagster.extract.pptx_order import reading_order
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.pptx_layouts import Layouts

EMU_PER_POINT = 12700
_SHAPES = {"p:sp", "p:pic", "p:graphicFrame", "p:cxnSp", "p:contentPart"}
_OUTLINES = {"p:sp", "p:cxnSp"}
_CONTENTS = ("a:t", "m:t", "a:blip")
_TITLES = {"title", "ctrTitle"}
_FOOTERS = {"ftr", "dt", "hdr", "sldNum"}


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the coordinates inside a group become the slide's."""

    x: float = 1.0
    y: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def box(self, frame: _Element | None) -> Box | None:
        """Return the box (points) of a frame (``a:xfrm``), None where the frame has no place."""
        offset, extent = first(frame, "a:off"), first(frame, "a:ext")
        if offset is None or extent is None:
            return None
        left = number(offset.get("x")) * self.x + self.left
        top = number(offset.get("y")) * self.y + self.top
        right, bottom = left + number(extent.get("cx")) * self.x, top + number(extent.get("cy")) * self.y
        return Box(left, top, right, bottom).scale(1 / EMU_PER_POINT, 1 / EMU_PER_POINT)

    def inside(self, frame: _Element | None) -> Scaling:
        """Return the scaling for the members of a group with this frame."""
        parts = [first(frame, path) for path in ("a:off", "a:ext", "a:chOff", "a:chExt")]
        if any(part is None for part in parts):
            return self
        offset, extent, inner_offset, inner_extent = (part for part in parts if part is not None)
        x = self.x * number(extent.get("cx")) / (number(inner_extent.get("cx")) or 1)
        y = self.y * number(extent.get("cy")) / (number(inner_extent.get("cy")) or 1)
        left = self.left + number(offset.get("x")) * self.x - number(inner_offset.get("x")) * x
        top = self.top + number(offset.get("y")) * self.y - number(inner_offset.get("y")) * y
        return Scaling(x, y, left, top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A shape. ``role`` is its placeholder's type: ``title``, ``body``, ``ftr``; None where it is no placeholder."""

    node: _Element
    box: Box | None
    role: str | None
    styles: tuple[_Element, ...] = ()
    alt_text: str = ""
    hidden: bool = False
    is_outline: bool = False
    """Whether it says nothing, so that it must not stand in the way of shapes that do."""
    members: tuple[Shape, ...] = ()

    @property
    def is_title(self) -> bool:
        """Whether the shape holds the slide's title."""
        return self.role in _TITLES

    @property
    def is_footer(self) -> bool:
        """Whether the shape holds the date, the number or the footer of the slide."""
        return self.role in _FOOTERS


def read_shapes(tree: _Element, slide: str, layouts: Layouts, scaling: Scaling = Scaling()) -> list[Shape]:
    """Return the shapes of a tree (``p:spTree``, ``p:grpSp``) in reading order; a group stays together."""
    return in_order(list(_shapes(tree, slide, layouts, scaling)))


def in_order(shapes: list[Shape]) -> list[Shape]:
    """Sort shapes: titles, what stands between, footers; what says nothing or has no place comes last."""
    placed = [(shape, shape.box) for shape in shapes if shape.box and not shape.is_outline]
    inner = [(shape, box) for shape, box in placed if not shape.is_title and not shape.is_footer]
    ordered = [shape for shape in shapes if shape.is_title]
    ordered += [inner[place][0] for place in reading_order([box for _, box in inner])]
    ordered += [shape for shape, _ in placed if shape.is_footer]
    known = set(map(id, ordered))
    return [*ordered, *(shape for shape in shapes if id(shape) not in known)]


def _says_something(node: _Element) -> bool:
    if short(node.tag) not in _OUTLINES:
        return True
    return any(part.tag == q("a:blip") or (part.text or "").strip() for part in node.iter(*map(q, _CONTENTS)))


def _shapes(tree: _Element, slide: str, layouts: Layouts, scaling: Scaling) -> Iterator[Shape]:
    for node in children(tree):
        name = short(node.tag)
        if name == "p:grpSp":
            frame = first(node, "p:grpSpPr/a:xfrm")
            members = tuple(read_shapes(node, slide, layouts, scaling.inside(frame)))
            yield replace(
                _plain(node, scaling.box(frame)),
                is_outline=all(member.is_outline for member in members),
                members=members,
            )
        elif name in _SHAPES:
            yield _shape(node, slide, layouts, scaling)


def _shape(node: _Element, slide: str, layouts: Layouts, scaling: Scaling) -> Shape:
    shape = _plain(node, _box(node, scaling))
    placeholder = placeholder_of(node)
    if placeholder is None:
        return shape
    inherited = layouts.inherited(slide, placeholder)
    places = (_box(one, scaling) for one in inherited.ancestors)
    box = shape.box or next((place for place in places if place), None)
    return replace(shape, box=box, role=inherited.role, styles=inherited.styles)


def _plain(node: _Element, box: Box | None) -> Shape:
    """Return a shape as it is without what a placeholder inherits."""
    named = first(own_properties(node), "p:cNvPr")
    alt_text, hidden, is_outline = description(named), is_hidden(named), not _says_something(node)
    return Shape(node=node, box=box, role=None, alt_text=alt_text, hidden=hidden, is_outline=is_outline)


def _box(node: _Element, scaling: Scaling) -> Box | None:
    frame = first(node, "p:spPr/a:xfrm")
    return scaling.box(first(node, "p:xfrm") if frame is None else frame)
