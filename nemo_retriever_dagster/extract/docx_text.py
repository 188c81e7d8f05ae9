"""A Word paragraph: its text as it is shown, and what hangs on it (drawings, notes, comments)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.docx_math import math_text
from nemo_retriever_dagster.extract.ooxml import attribute, children, first, short
from nemo_retriever_dagster.extract.ooxml_symbols import symbol_sign, without_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

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
_OFF = {"0", "false", "off"}
_FONT_ATTRIBUTES = ("w:hAnsi", "w:ascii", "w:eastAsia", "w:cs")


@dataclass(slots=True)
class Paragraph:
    """What was read of one paragraph."""

    parts: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    drawings: list[_Element] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The visible text without blanks at its ends."""
        return "".join(self.parts).strip()

    @property
    def hidden_text(self) -> str:
        """Text that is formatted as hidden."""
        return "".join(self.hidden).strip()


def read_paragraph(node: _Element) -> Paragraph:
    """Read a paragraph (``w:p``): insertions as accepted, deletions as gone."""
    found = Paragraph()
    _inline(node, found, found.parts)
    return found


def _inline(node: _Element, found: Paragraph, out: list[str]) -> None:
    for child in children(node):
        name = short(child.tag)
        if name == "w:t":
            out.append(without_private(child.text or "", _fonts(node)))
        elif name in _SIGNS:
            out.append(_SIGNS[name])
        elif name == "w:sym":
            out.append(_symbol(child))
        elif name in _DRAWINGS:
            found.drawings.append(child)
        elif name in _NOTES:
            found.notes.append((_NOTES[name], attribute(child, "w:id")))
        elif name == "m:oMath":
            out.append(f" {math_text(child)} ")
        elif name == "w:r":
            _inline(child, found, found.hidden if _is_hidden(child) else out)
        elif name not in _UNSEEN:
            _inline(child, found, out)


def _is_hidden(run: _Element) -> bool:
    mark = first(run, "w:rPr/w:vanish")
    return mark is not None and attribute(mark, "w:val", "1") not in _OFF


def _fonts(run: _Element) -> Iterator[str]:
    named = first(run, "w:rPr/w:rFonts")
    yield from (attribute(named, name) for name in _FONT_ATTRIBUTES)


def _symbol(node: _Element) -> str:
    """Return the sign of a ``w:sym``, a code in the font it names."""
    try:
        code = int(attribute(node, "w:char"), 16)
    except ValueError:
        return ""
    return symbol_sign(code, attribute(node, "w:font"))
