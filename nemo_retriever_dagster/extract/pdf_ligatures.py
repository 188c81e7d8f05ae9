"""Ligatures that a font maps to a wrong character ("Gira@e", "o@ice"), known by the shape of what is drawn.

The glyph of a wrongly mapped ``ff`` is as wide as two ``f`` and its outline has as many segments as two outlines of
``f``. A real ``@`` has neither, so an e-mail address stays as it is. Nothing is guessed from the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.pdf_codes import suspects

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.pdf_words import PageText

_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "tt", "ti", "ft", "tf", "fj")
_NEAR = 0.02  # of the width: kerning inside a ligature
_SAME = 2  # segments: a ligature's parts may share a start


def misread_ligatures(page: PageText) -> dict[int, str]:
    """Return, by place in the text of a page, the letters of ligatures that stand there under another character's name.

    A text of which a character's place is not the one it has in PDFium's list is left as it is.
    """
    places = suspects(page.kinds) if page.aligned else []
    if not places:
        return {}
    objects = pdf_raw.text_objects(page.handle, places)
    known: dict[tuple[int, str], str] = {}
    letters = [_letters(font, page.text[place], known) for place, font in zip(places, _fonts(objects), strict=True)]
    return {place: value for place, value in zip(places, letters, strict=True) if value}


def _fonts(objects: list[int]) -> list[int]:
    return [pdf_raw.fonts([item])[0] if item else 0 for item in objects]


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
