"""Ligatures that a font maps to a wrong character ("Gira@e", "o@ice"), known by the shape of what is drawn.

The glyph of a wrongly mapped ``ff`` is as wide as two ``f`` and its outline has as many segments as two outlines of
``f``. A real ``@`` has neither, so an e-mail address stays as it is. Nothing is guessed from the words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pypdfium2.raw as pdfium

from nemo_retriever_dagster.extract import pdf_raw

if TYPE_CHECKING:
    from typing import Any

_SUSPECT = re.compile(r"[A-Za-z]([@#$%&*+<=>^_`|~{}\[\]\\])(?=[a-z])")
_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "tt", "ti", "ft", "tf", "fj")
_NEAR = 0.02  # of the width: kerning inside a ligature
_SAME = 2  # segments: a ligature's parts may share a start


def misread_ligatures(text_page: Any, text: str) -> dict[int, str]:
    """Return, by place in ``text``, the letters of ligatures that stand there under another character's name.

    ``text`` is the page's as PDFium gives it.
    """
    found: dict[int, str] = {}
    suspects = list(_SUSPECT.finditer(text))
    if not suspects or len(text) != pdfium.FPDFText_CountChars(text_page.raw):
        return found
    known: dict[tuple[int, str], str] = {}
    for match in suspects:
        place = match.start(1)
        (item,) = pdf_raw.text_objects(pdf_raw.address_of(text_page.raw), [place])
        (font,) = pdf_raw.fonts([item]) if item else (0,)
        letters = _letters(font, match[1], known)
        if letters:
            found[place] = letters
    return found


def with_letters(text: str, letters: dict[int, str]) -> str:
    """Return ``text`` with the characters at the given places replaced."""
    for place in sorted(letters, reverse=True):
        text = text[:place] + letters[place] + text[place + 1 :]
    return text


def _letters(font: int, character: str, known: dict[tuple[int, str], str]) -> str:
    key = (font, character)
    if key not in known:
        known[key] = _verdict(font, character) if font else ""
    return known[key]


def _verdict(font: int, character: str) -> str:
    width, segments = pdf_raw.glyph_outline(font, character)
    for letters in _LIGATURES:
        outlines = [pdf_raw.glyph_outline(font, letter) for letter in letters]
        if not all(part_width and part for part_width, part in outlines):
            continue
        total = sum(part for part, _ in outlines)
        if abs(width - total) <= _NEAR * total and abs(segments - sum(part for _, part in outlines)) <= _SAME:
            return letters
    return ""
