"""The text of a drawing in SVG, and where it stands: transforms are followed, widths estimated from the type size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lxml import etree

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import read_page
from nemo_retriever_dagster.extract.html_xml import as_html
from nemo_retriever_dagster.extract.svg_geometry import Matrix, length, numbers, transform
from nemo_retriever_dagster.extract.svg_style import StyleSheet, declarations
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

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
_EXTENSIONS = {"http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}
"""What every browser can draw inside of SVG."""
_TYPE_SIZE = 16.0
_LETTER, _GAP, _ABOVE, _BELOW = 0.5, 0.25, 0.8, 0.2
"""Shares of the type size: the width of a letter, a gap that is a blank, the parts above and below the base line."""
_ANCHORS = {"middle": 0.5, "end": 1.0}


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
    sheet: StyleSheet


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
    named = {node.get("id", ""): node for node in root.iter() if isinstance(node.tag, str)}
    sheet = StyleSheet("".join(node.itertext()) for node in root.iter("{*}style"))
    found = list(_walk(root, _Style(sheet=sheet), named))
    return sorted(found, key=lambda text: (round(text.box.y0 / max(text.box.height, 1.0)), text.box.x0))


def local(node: _Element) -> str:
    """Return a node's name without its namespace; "" for a comment."""
    return str(node.tag).rpartition("}")[2] if isinstance(node.tag, str) else ""


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
        text = _page_text(node)
        place = Box(0, 0, length(node.get("width")), length(node.get("height")))
        moved = Matrix(e=length(node.get("x")), f=length(node.get("y")))
        if text:
            yield Text(text=text, box=style.matrix.then(moved).box(place))
    elif name == "use":
        yield from _used(node, style, named)
    else:
        for child in _chosen(node) if name == "switch" else node:
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


def _page_text(node: _Element) -> str:
    """Return the text of a web page in the drawing, a line a block."""
    markup = as_html(etree.tostring(node, encoding="unicode", with_tail=False))
    _, elements = read_page(markup, ExtractOptions(tables=False), lambda *_: None)
    return "\n".join(element.text for element in elements)


def _chosen(switch: _Element) -> list[_Element]:
    """Return the one child of a ``switch`` that is drawn: the first that asks for nothing, else for a language only."""
    able = [child for child in switch if set(child.get("requiredExtensions", "").split()) <= _EXTENSIONS]
    return ([child for child in able if not child.get("systemLanguage")] or able)[:1]


def _inherited(node: _Element, style: _Style) -> _Style:
    own = declarations(node.get("style", ""))
    tag = local(node)

    def declared(name: str) -> str:
        return own.get(name) or style.sheet.declared(node, name, tag=tag) or str(node.get(name, "")).strip()

    size, anchor = declared("font-size"), declared("text-anchor")
    hidden = declared("display") == "none" or declared("visibility") in {"hidden", "collapse"}
    return _Style(
        sheet=style.sheet,
        matrix=style.matrix.then(transform(node.get("transform"))),
        size=(length(size, style.size) or style.size) if size else style.size,
        anchor=_ANCHORS.get(anchor, 0.0) if anchor else style.anchor,
        hidden=style.hidden or hidden or declared("opacity") == "0",
    )


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
