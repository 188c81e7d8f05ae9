"""The shapes of a slide with their place, groups resolved, in the order they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import children, first, number, short
from nemo_retriever_dagster.extract.pptx_layouts import own_properties, placeholder_of
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.pptx_layouts import Layouts

EMU_PER_POINT = 12700
_SAME_LINE = 10.0
"""Shapes whose upper edges differ by less (points) stand beside each other."""
_SHAPES = {"p:sp", "p:pic", "p:graphicFrame", "p:cxnSp", "p:contentPart"}
_TITLES = {"title", "ctrTitle"}


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
    members: tuple[Shape, ...] = ()

    @property
    def is_title(self) -> bool:
        """Whether the shape holds the slide's title."""
        return self.role in _TITLES


def read_shapes(tree: _Element, slide: str, layouts: Layouts, scaling: Scaling = Scaling()) -> list[Shape]:
    """Return the shapes of a tree (``p:spTree``, ``p:grpSp``) in reading order; a group stays together."""
    return in_order(list(_shapes(tree, slide, layouts, scaling)))


def in_order(shapes: list[Shape]) -> list[Shape]:
    """Sort shapes: titles, then line by line from the top, from the left; what has no place comes last."""
    lines: list[list[Shape]] = []
    for shape in sorted((shape for shape in shapes if shape.box), key=_top):
        if lines and _top(shape) - _top(lines[-1][0]) < _SAME_LINE:
            lines[-1].append(shape)
        else:
            lines.append([shape])
    ordered = [shape for line in lines for shape in sorted(line, key=_left)]
    ordered += [shape for shape in shapes if not shape.box]
    return sorted(ordered, key=lambda shape: not shape.is_title)


def _top(shape: Shape) -> float:
    return shape.box.y0 if shape.box else 0.0


def _left(shape: Shape) -> float:
    return shape.box.x0 if shape.box else 0.0


def _shapes(tree: _Element, slide: str, layouts: Layouts, scaling: Scaling) -> Iterator[Shape]:
    for node in children(tree):
        name = short(node.tag)
        if name == "p:grpSp":
            frame = first(node, "p:grpSpPr/a:xfrm")
            members = tuple(read_shapes(node, slide, layouts, scaling.inside(frame)))
            yield Shape(node=node, box=scaling.box(frame), role=None, alt_text=_description(node), members=members)
        elif name in _SHAPES:
            yield _shape(node, slide, layouts, scaling)


def _shape(node: _Element, slide: str, layouts: Layouts, scaling: Scaling) -> Shape:
    placeholder = placeholder_of(node)
    if placeholder is None:
        return Shape(node=node, box=_box(node, scaling), role=None, alt_text=_description(node))
    inherited = layouts.inherited(slide, placeholder)
    return Shape(
        node=node,
        box=next((box for one in (node, *inherited.ancestors) if (box := _box(one, scaling))), None),
        role=inherited.role,
        styles=inherited.styles,
        alt_text=_description(node),
    )


def _box(node: _Element, scaling: Scaling) -> Box | None:
    frame = first(node, "p:spPr/a:xfrm")
    return scaling.box(first(node, "p:xfrm") if frame is None else frame)


def _description(node: _Element) -> str:
    named = first(own_properties(node), "p:cNvPr")
    return (named.get("descr") or named.get("title") or "").strip() if named is not None else ""
