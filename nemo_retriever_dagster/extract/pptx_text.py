"""The text of a shape on a slide: its paragraphs as lines, with the bullets and numbers that its layout gives them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.docx_math import math_text
from nemo_retriever_dagster.extract.docx_styles import count_shown
from nemo_retriever_dagster.extract.ooxml import children, every, first, number, q, short
from nemo_retriever_dagster.extract.ooxml_symbols import without_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml.etree import _Element

_INDENT = "  "
_DEEPEST = 8
_AUTO = re.compile(r"(arabic|alphaLc|alphaUc|romanLc|romanUc)(Period|ParenR|ParenBoth|Plain)")
_FORMS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}
_AROUND = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}


@dataclass(slots=True)
class _Counting:
    """Where the automatic numbers of one shape stand, by level."""

    counts: dict[int, int] = field(default_factory=dict)

    def marker(self, bullet: _Element, level: int) -> str:
        self.counts = {place: count for place, count in self.counts.items() if place <= level}
        self.counts[level] = self.counts.get(level, number(bullet.get("startAt"), 1) - 1) + 1
        match = _AUTO.fullmatch(bullet.get("type", ""))
        form, around = (_FORMS[match[1]], _AROUND[match[2]]) if match else ("decimal", "{}.")
        return around.format(count_shown(self.counts[level], form))

    def end(self, level: int) -> None:
        self.counts = {place: count for place, count in self.counts.items() if place < level}


def body_text(body: _Element | None, styles: Sequence[_Element] = ()) -> str:
    """Return the lines of a text body (``p:txBody``); ``styles`` are the list styles it inherits, nearest first."""
    own = first(body, "a:lstStyle")
    sources = [*([own] if own is not None else []), *styles]
    counting = _Counting()
    return "\n".join(line for paragraph in every(body, "a:p") if (line := _line(paragraph, sources, counting)))


def paragraph_text(node: _Element) -> str:
    """Return the text of a paragraph (``a:p``) without a bullet; a line break inside stays one."""
    return "".join(_pieces(node)).strip()


def _pieces(node: _Element) -> Iterator[str]:
    for child in children(node):
        name = short(child.tag)
        if name == "a:t":
            yield without_private((child.text or "").replace("\v", "\n"), _fonts(node))
        elif name == "a:br":
            yield "\n"
        elif name == "m:oMath":
            yield f" {math_text(child)} "
        else:
            yield from _pieces(child)


def _fonts(run: _Element) -> Iterator[str]:
    for name in ("a:sym", "a:latin"):
        if (named := first(run, f"a:rPr/{name}")) is not None:
            yield named.get("typeface", "")


def _line(node: _Element, styles: Sequence[_Element], counting: _Counting) -> str:
    text = paragraph_text(node)
    if not text:
        return ""
    properties = first(node, "a:pPr")
    level = min(max(number(properties.get("lvl")) if properties is not None else 0, 0), _DEEPEST)
    bullet = _bullet(properties, styles, level)
    if bullet is None:
        counting.end(level)
        return text
    if short(bullet.tag) == "a:buAutoNum":
        return f"{_INDENT * level}{counting.marker(bullet, level)} {text}"
    counting.end(level)
    return f"{_INDENT * level}- {text}"


def _bullet(properties: _Element | None, styles: Sequence[_Element], level: int) -> _Element | None:
    """Return the node that gives this paragraph its bullet: its own, or the nearest inherited one; None for none."""
    inherited = [found for style in styles if (found := first(style, f"a:lvl{level + 1}pPr")) is not None]
    for source in [*([properties] if properties is not None else []), *inherited]:
        for child in source:
            if child.tag == q("a:buNone"):
                return None
            if child.tag in {q("a:buChar"), q("a:buAutoNum"), q("a:buBlip")}:
                return child
    return None
