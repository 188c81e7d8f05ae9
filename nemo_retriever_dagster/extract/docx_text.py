"""A Word paragraph: its text as it is shown, and what hangs on it (drawings, notes, comments)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.docx_math import math_text
from nemo_retriever_dagster.extract.ooxml import attribute, children, first, short

if TYPE_CHECKING:
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
_SYMBOL_FONTS_PAGE = 0xF000
_GREEK = str.maketrans(
    "abgdezhqiklmnxoprstufcywABGDEZHQIKLMNXOPRSTUFCYW",
    "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u03bd\u03be\u03bf\u03c0\u03c1\u03c3\u03c4\u03c5\u03c6\u03c7\u03c8\u03c9"
    "\u0391\u0392\u0393\u0394\u0395\u0396\u0397\u0398\u0399\u039a\u039b\u039c\u039d\u039e\u039f\u03a0\u03a1\u03a3\u03a4\u03a5\u03a6\u03a7\u03a8\u03a9",
)
_DINGBATS = {
    0xFC: "\u2713",
    0xFB: "\u2717",
    0xFE: "\u2611",
    0xFD: "\u2612",
    0xA8: "\u2610",
    0x6F: "\u2610",
    0xE0: "\u2192",
}


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
            out.append(child.text or "")
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


def _symbol(node: _Element) -> str:
    """Return a ``w:sym``; symbol fonts sit in a private area whose low byte is the font's own code."""
    try:
        code = int(attribute(node, "w:char"), 16)
    except ValueError:
        return ""
    if code & 0xFF00 != _SYMBOL_FONTS_PAGE:
        return _printable(code)
    if attribute(node, "w:font").lower() == "symbol":
        return chr(code & 0xFF).translate(_GREEK)
    return _DINGBATS.get(code & 0xFF, "\u2022")


def _printable(code: int) -> str:
    try:
        sign = chr(code)
    except (ValueError, OverflowError):
        return ""
    return sign if sign.isprintable() else ""
