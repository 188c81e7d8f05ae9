"""The text layer of a PDF page as one string: repaired, and judged whether it is text at all."""

from __future__ import annotations

import re
import unicodedata

_BREAK = re.compile(r"[\ufffe\x02](?<=[^\W\d_].)\s*(?=[a-z\u00df-\u00f6\u00f8-\u00ff])")
_HYPHEN = re.compile(r"[\ufffe\x02]\s*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe]")
_LIGATURE = re.compile(r"[\ufb00-\ufb06]")
_ODD = re.compile(f"{_CONTROL.pattern}|{_LIGATURE.pattern}")
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
_JUNK = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
_JUNK_SHARE = 0.2
_WORDS = re.compile(r"[^\W\d_]+")
_ENOUGH = 40  # letters before the look of the words says anything
_VOWELS = re.compile(r"[aeiouy\u00e0-\u00ff]", re.IGNORECASE)
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_VOWEL_SHARE = 0.12


def repaired_text(raw: str) -> str:
    """Return text as PDFium gives it with line ends as line feeds, broken words joined, ligatures spelt out.

    A hyphen at the end of a line goes where a lower-case letter follows it. Control characters are dropped.
    """
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text.strip()
    if not _ODD.search(text):
        return _normal(text).strip()
    text = _CONTROL.sub("", _HYPHEN.sub("-", _BREAK.sub("", text)))
    return composed(text).strip()


def composed(text: str) -> str:
    """Return text with ligatures spelt out and accents joined to their letters (NFC)."""
    if text.isascii():
        return text
    if _LIGATURE.search(text):
        text = text.translate(_LIGATURES)
    return _normal(text)


def _normal(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def is_composed(text: str) -> bool:
    """Tell whether `composed` would leave the text, and every part of it, as it is."""
    return text.isascii() or (not _LIGATURE.search(text) and unicodedata.is_normalized("NFC", text))


def is_garbage(text: str) -> bool:
    """Tell whether a text layer is not usable: characters without a meaning, or letters that form no words.

    Fonts without a mapping to Unicode give replacement, private or control characters, or letters shifted at random.
    """
    visible = sum(not character.isspace() for character in text)
    if not visible:
        return False
    if len(_JUNK.findall(text)) > _JUNK_SHARE * visible:
        return True
    latin = len(_LATIN.findall(text))
    letters = sum(map(len, _WORDS.findall(text)))
    if latin < _ENOUGH or latin < 0.9 * letters:
        return False
    return len(_VOWELS.findall(text)) < _VOWEL_SHARE * latin
