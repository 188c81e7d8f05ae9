"""Signs of the symbol fonts as Unicode: Office keeps the font's own code, mostly put at U+F000 to U+F0FF."""
# ruff: noqa: RUF001 (the tables hold signs that look like letters and marks, each the right one)

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import attribute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lxml.etree import _Element

_PRIVATE_AREA = 0xF000
_LAST = 0xFF
_PRIVATE = re.compile("[\uf000-\uf0ff]")
_UNKNOWN = "\u2022"
"""Stands for the signs without a table here; nearly all of them are bullets and ornaments."""

_SYMBOL = {
    0x20: " !∀#∃%&∋()∗+,−./",
    0x30: "0123456789:;<=>?",
    0x40: "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟ",
    0x50: "ΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_",
    0x61: "αβχδεφγηιϕκλμνο",
    0x70: "πθρστυϖωξψζ{|}∼",
    0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓",
    0xB0: "°±″≥×∝∂•÷≠≡≈…⏐⎯↵",
    0xC0: "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉",
    0xD0: "∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓",
    0xE0: "◊⟨®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪",
    0xF1: "⟩∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
}
"""Adobe's encoding of Symbol, whole: the signs from each code on."""
_WINGDINGS = {
    0x28: "☎",
    0x2A: "✉",
    0x4A: "☺😐☹",
    0x6F: "☐",
    0x78: "☒",
    0x81: "①②③④⑤⑥⑦⑧⑨⑩",
    0x8C: "❶❷❸❹❺❻❼❽❾❿",
    0xA8: "☐",
    0xDF: "←→↑↓↖↗↙↘←→↑↓↖↗↙↘⇦⇨⇧⇩⇔⇕",
    0xFB: "✗✓☒☑",
}
_WINGDINGS_2 = {0x4F: "✗✓☒☑☒☒", 0x6A: "①②③④⑤⑥⑦⑧⑨⑩", 0x75: "❶❷❸❹❺❻❼❽❾❿", 0xA3: "☐"}
_FONTS = {
    font: {code + place: sign for code, signs in rows.items() for place, sign in enumerate(signs)}
    for font, rows in {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}.items()
}


def symbol_sign(code: int, font: str) -> str:
    """Return the sign that ``font`` has at ``code``, written as the font's own code or in the private area."""
    own = code - _PRIVATE_AREA if code >= _PRIVATE_AREA else code
    signs = _FONTS.get(font.lower())
    if 0 <= own <= _LAST and (signs is not None or own != code):
        return (signs or {}).get(own, _UNKNOWN)
    return _printable(code)


def word_sign(node: _Element) -> str:
    """Return the sign of a ``w:sym``, a code in the font it names."""
    try:
        code = int(attribute(node, "w:char"), 16)
    except ValueError:
        return ""
    return symbol_sign(code, attribute(node, "w:font"))


def without_private(text: str, fonts: Iterable[str]) -> str:
    """Return ``text`` with its private signs as ``fonts`` (those a run names; the first with a table) show them."""
    if not _PRIVATE.search(text):
        return text
    font = next((name for name in fonts if name.lower() in _FONTS), "")
    return _PRIVATE.sub(lambda match: symbol_sign(ord(match[0]), font), text)


def _printable(code: int) -> str:
    try:
        sign = chr(code)
    except (ValueError, OverflowError):
        return ""
    return sign if sign.isprintable() else ""
