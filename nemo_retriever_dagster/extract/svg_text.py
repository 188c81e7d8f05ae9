"""The text of a drawing in SVG, and where it stands: transforms are followed, widths estimated from the type size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)")
_LENGTH = re.compile(rf"\s*({_NUMBER.pattern})\s*(px|pt|pc|mm|cm|in|em|ex|q|%)?\s*", re.IGNORECASE)
_PIXELS = {
    "": 1.0,
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
    "em": 16.0,
    "ex": 8.0,
    "q": 96 / 101.6,
}
_UNSEEN = {
    "defs",
    "symbol",
    "clipPath",
    "mask",
    "pattern",
    "marker",
    "style",
    "script",
    "metadata",
    "title",
    "desc",
    "linearGradient",
    "radialGradient",
}
_TYPE_SIZE = 16.0
_LETTER, _GAP, _ABOVE, _BELOW = 0.5, 0.25, 0.8, 0.2
"""Shares of the type size: the width of a letter, a gap that is a blank, the parts above and below the base line."""
_ANCHORS = {"middle": 0.5, "end": 1.0}


class Matrix(NamedTuple):
    """A transform: x' = a x + c y + e, y' = b x + d y + f."""

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 1.0
    e: float = 0.0
    f: float = 0.0

    def then(self, inner: Matrix) -> Matrix:
        """Return the transform that applies ``inner`` first."""
        return Matrix(
            self.a * inner.a + self.c * inner.b,
            self.b * inner.a + self.d * inner.b,
            self.a * inner.c + self.c * inner.d,
            self.b * inner.c + self.d * inner.d,
            self.a * inner.e + self.c * inner.f + self.e,
            self.b * inner.e + self.d * inner.f + self.f,
        )

    def box(self, box: Box) -> Box:
        """Return the box around the transformed corners."""
        corners = [(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        xs = [self.a * x + self.c * y + self.e for x, y in corners]
        ys = [self.b * x + self.d * y + self.f for x, y in corners]
        return Box(min(xs), min(ys), max(xs), max(ys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A ``text`` element: its lines, and its box in the units of the drawing."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What a node inherits."""

    matrix: Matrix = field(default_factory=Matrix)
    size: float = _TYPE_SIZE
    anchor: float = 0.0
    hidden: bool = False


@dataclass(slots=True)
class _Pen:
    """Where the text goes on, and the lines written so far: x, base line, letters."""

    x: float = 0.0
    y: float = 0.0
    lines: list[tuple[float, float, list[str]]] = field(default_factory=list)

    def move(self, x: float, y: float, size: float) -> None:
        """Go to a new place: another line, or a blank where the place is not just behind the last letter."""
        if self.lines and abs(y - self.y) < size * _GAP:
            if abs(x - self.x) > size * _GAP and not "".join(self.lines[-1][2]).endswith(" "):
                self.lines[-1][2].append(" ")
        else:
            self.lines.append((x, y, []))
        self.x, self.y = x, y

    def write(self, text: str, size: float) -> None:
        if not self.lines:
            self.lines.append((self.x, self.y, []))
        self.lines[-1][2].append(text)
        self.x += len(text) * size * _LETTER


def texts(root: _Element) -> list[Text]:
    """Return the visible texts of a drawing from the top to the bottom, from the left to the right."""
    found = list(_walk(root, _Style(), {node.get("id", ""): node for node in root.iter() if isinstance(node.tag, str)}))
    return sorted(found, key=lambda text: (round(text.box.y0 / max(text.box.height, 1.0)), text.box.x0))


def length(value: str | None, whole: float = 0.0) -> float:
    """Return a length in pixels; ``whole`` is what per cent are taken of; 0 for none or nonsense."""
    match = _LENGTH.fullmatch(value or "")
    if match is None:
        return 0.0
    unit = (match[2] or "").lower()
    found = float(match[1]) * (whole / 100 if unit == "%" else _PIXELS[unit])
    return found if math.isfinite(found) else 0.0


def numbers(value: str | None) -> list[float]:
    """Return all numbers of an attribute such as ``viewBox``."""
    return [float(text) for text in _NUMBER.findall(value or "")]


def local(node: _Element) -> str:
    """Return a node's name without its namespace; "" for a comment."""
    return str(node.tag).rpartition("}")[2] if isinstance(node.tag, str) else ""


def declared(node: _Element, name: str) -> str:
    """Return a property from the node's ``style`` or from its attribute."""
    for part in str(node.get("style", "")).split(";"):
        key, _, value = part.partition(":")
        if key.strip() == name:
            return value.strip()
    return str(node.get(name, "")).strip()


def _walk(node: _Element, style: _Style, named: dict[str, _Element]) -> Iterator[Text]:
    name = local(node)
    if not name or name in _UNSEEN:
        return
    style = _inherited(node, style)
    if style.hidden:
        return
    if name == "text":
        found = _text(node, style)
        if found is not None:
            yield found
    elif name == "foreignObject":
        text = " ".join(" ".join(node.itertext()).split())
        place = Box(0, 0, length(node.get("width")), length(node.get("height")))
        moved = Matrix(e=length(node.get("x")), f=length(node.get("y")))
        if text:
            yield Text(text=text, box=style.matrix.then(moved).box(place))
    elif name == "use":
        yield from _used(node, style, named)
    else:
        for child in node:
            yield from _walk(child, style, named)


def _used(node: _Element, style: _Style, named: dict[str, _Element]) -> Iterator[Text]:
    """Follow a ``use``; what it names is taken out of the names, so that no drawing multiplies itself."""
    href = node.get("href") or node.get("{http://www.w3.org/1999/xlink}href") or ""
    target = named.pop(href.removeprefix("#"), None) if href.startswith("#") else None
    if target is None:
        return
    moved = replace(style, matrix=style.matrix.then(Matrix(e=length(node.get("x")), f=length(node.get("y")))))
    for part in target if local(target) == "symbol" else [target]:
        yield from _walk(part, moved, named)


def _inherited(node: _Element, style: _Style) -> _Style:
    size = declared(node, "font-size")
    anchor = declared(node, "text-anchor")
    shown = declared(node, "visibility")
    hidden = declared(node, "display") == "none" or shown in {"hidden", "collapse"} or declared(node, "opacity") == "0"
    return _Style(
        matrix=style.matrix.then(transform(node.get("transform"))),
        size=(length(size, style.size) or style.size) if size else style.size,
        anchor=_ANCHORS.get(anchor, 0.0) if anchor else style.anchor,
        hidden=style.hidden or hidden,
    )


def transform(value: str | None) -> Matrix:
    """Return a ``transform`` attribute as one matrix; what cannot be read is left out."""
    whole = Matrix()
    for name, arguments in _TRANSFORM.findall(value or ""):
        whole = whole.then(_single(name, numbers(arguments)))
    return whole


def _single(name: str, n: list[float]) -> Matrix:
    if name == "matrix" and len(n) == len(Matrix._fields):
        return Matrix(*n)
    if name == "translate" and n:
        return Matrix(e=n[0], f=n[1] if len(n) > 1 else 0.0)
    if name == "scale" and n:
        return Matrix(a=n[0], d=n[1] if len(n) > 1 else n[0])
    if name == "rotate" and n:
        x, y = (n[1], n[2]) if len(n) > 2 else (0.0, 0.0)  # noqa: PLR2004 -- rotate(angle, x, y)
        cos, sin = math.cos(math.radians(n[0])), math.sin(math.radians(n[0]))
        return Matrix(e=x, f=y).then(Matrix(cos, sin, -sin, cos)).then(Matrix(e=-x, f=-y))
    if name.startswith("skew") and n:
        slope = math.tan(math.radians(n[0]))
        return Matrix(c=slope) if name == "skewX" else Matrix(b=slope)
    return Matrix()


def _text(node: _Element, style: _Style) -> Text | None:
    pen = _Pen()
    _write(node, style, pen)
    lines = [(x, y, " ".join("".join(parts).split())) for x, y, parts in pen.lines]
    lines = [line for line in lines if line[2]]
    if not lines:
        return None
    boxes = [_line_box(x, y, text, style) for x, y, text in lines]
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    return Text(text="\n".join(text for _, _, text in lines), box=style.matrix.box(whole))


def _line_box(x: float, y: float, text: str, style: _Style) -> Box:
    width = len(text) * style.size * _LETTER
    left = x - width * style.anchor
    return Box(left, y - style.size * _ABOVE, left + width, y + style.size * _BELOW)


def _write(node: _Element, style: _Style, pen: _Pen) -> None:
    x, y, dx, dy = (next(iter(numbers(node.get(name))), None) for name in ("x", "y", "dx", "dy"))
    if any(value is not None for value in (x, y, dx, dy)):
        pen.move((pen.x if x is None else x) + (dx or 0.0), (pen.y if y is None else y) + (dy or 0.0), style.size)
    if node.text:
        pen.write(node.text, style.size)
    for child in node:
        if local(child) in {"tspan", "a", "textPath", "tref"}:
            inner = _inherited(child, style)
            if not inner.hidden:
                _write(child, inner, pen)
        if child.tail:
            pen.write(child.tail, style.size)
