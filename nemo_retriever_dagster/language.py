"""Which language a text is in, as the reference writes it: ``en``, ``de``, ``zh-cn``."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "unknown"

_SURE = 0.5  # of one language alone; single words and rows of numbers stay far below
_CHARACTERS = 4096  # a text's language shows in its first lines, and the time grows with the length
_NONE = ("und", "zxx")
"""The library's codes for a text it is not sure of, and for what is in no language."""


def language_of(text: str) -> str:
    """Return the code of the language a text begins in: ISO 639-1 where there is one, else 639-3.

    Chinese is ``zh-cn`` or ``zh-tw`` by its script, simplified or traditional. `UNKNOWN` for a text that is too short
    to tell and for what is in no language: numbers, code.
    """
    return _guessed(text[:_CHARACTERS])


@lru_cache(maxsize=1024)
def _guessed(text: str) -> str:
    """Return the same; a chunk's result and its row ask one after the other."""
    code = str(_identifier().classify(text)[0])
    if code == "zh":
        return _chinese(text)
    return UNKNOWN if code in _NONE else code


def _chinese(text: str) -> str:
    """Tell the scripts apart by the national character set that has more of the text."""
    simplified, traditional = (len(text.encode(charset, "ignore")) for charset in ("gb2312", "big5"))
    return "zh-cn" if simplified >= traditional else "zh-tw"


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # half a second for the model

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_SURE)
