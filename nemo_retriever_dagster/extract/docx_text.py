"""A Word paragraph: its text as it is shown, and what hangs on it (drawings, notes, comments)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.docx_math import math_text
from nemo_retriever_dagster.extract.ooxml import attribute, children, first, short
from nemo_retriever_dagster.extract.ooxml_symbols import without_private, word_sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.docx_fields import Fields
    from nemo_retriever_dagster.extract.docx_styles import Styles

_SIGNS = {
    "w:tab": "\t",
    "w:ptab": "\t",
    "w:br": "\n",
    "w:cr": "\n",
    "w:noBreakHyphen": "-",
    "w:softHyphen": "",
}
_UNSEEN = {"w:del", "w:moveFrom", "w:instrText", "w:delText", "w:pPr", "w:rPr", "w:sdtPr", "w:sdtEndPr", "w:rt"}
"""Deleted text, field codes, properties; of ruby text the base is read."""
_DRAWINGS = {"w:drawing", "w:pict", "w:object"}
_NOTES = {"w:footnoteReference": "footnote", "w:endnoteReference": "endnote", "w:commentReference": "comment"}
_CONTENT = {"w:t", "w:sym", "m:oMath", *_SIGNS, *_DRAWINGS, *_NOTES}
_FONT_ATTRIBUTES = ("w:hAnsi", "w:ascii", "w:eastAsia", "w:cs")


@dataclass(slots=True)
class Paragraph:
    """What was read of one paragraph; ``properties`` (``w:pPr``) are the last ones where several nodes make it up."""

    properties: _Element | None = None
    parts: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    drawings: list[_Element] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    """Whether its end is shown: else what follows stands on the same line."""

    @property
    def text(self) -> str:
        """The visible text without blanks at its ends."""
        return "".join(self.parts).strip()

    @property
    def line(self) -> str:
        """The visible text as a line of a listing, with the blanks before it."""
        return "".join(self.parts).strip("\n").rstrip()

    @property
    def hidden_text(self) -> str:
        """Text that is formatted as hidden."""
        return "".join(self.hidden).strip()


@dataclass(frozen=True, slots=True)
class ParagraphReader:
    """Reads the paragraphs of one story in order: insertions as accepted, deletions as gone."""

    styles: Styles
    fields: Fields

    def read(self, node: _Element, into: Paragraph) -> None:
        """Add a paragraph (``w:p``) to ``into``, which holds what was read before it on the same line."""
        into.properties = first(node, "w:pPr")
        self._inline(node, into, into.parts)
        into.ended = self.fields.shows and not _runs_on(into.properties)

    def _inline(self, node: _Element, found: Paragraph, out: list[str]) -> None:
        for child in children(node):
            name = short(child.tag)
            if name == "w:r":
                is_hidden = self.styles.hides(first(child, "w:rPr"), found.properties)
                self._inline(child, found, found.hidden if is_hidden else out)
            elif name == "w:fldChar":
                out.append(self.fields.meet(child))
            elif name in _CONTENT:
                if self.fields.shows:
                    _take(child, name, found, out)
            elif name not in _UNSEEN:
                self._inline(child, found, out)


def _take(node: _Element, name: str, found: Paragraph, out: list[str]) -> None:
    if name == "w:t":
        out.append(without_private(node.text or "", _fonts(node)))
    elif name in _SIGNS:
        out.append(_SIGNS[name])
    elif name == "w:sym":
        out.append(word_sign(node))
    elif name in _DRAWINGS:
        found.drawings.append(node)
    elif name in _NOTES:
        found.notes.append((_NOTES[name], attribute(node, "w:id")))
    else:
        out.append(f" {math_text(node)} ")


def _runs_on(properties: _Element | None) -> bool:
    """Whether the next paragraph goes on in the same line: the end was deleted, or this is its large first letter."""
    end = first(properties, "w:rPr")
    if any(first(end, mark) is not None for mark in ("w:del", "w:moveFrom")):
        return True
    return attribute(first(properties, "w:framePr"), "w:dropCap", "none") != "none"


def _fonts(text: _Element) -> Iterator[str]:
    run = text.getparent()
    named = first(run, "w:rPr/w:rFonts")
    yield from (attribute(named, name) for name in _FONT_ATTRIBUTES)
