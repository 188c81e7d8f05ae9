"""How a line of text goes on in the next: after a blank, in the middle of a word, or in a script without blanks."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SOFT_HYPHEN = "\u00ad"
"""Ends a line with a word that is broken there; what follows belongs to it."""

# Thai, Lao, Myanmar, Khmer; Han, kana and their punctuation, in all widths; not hangul, which has blanks
_NO_BLANK = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f"
    r"\U00020000-\U0003ffff]"
)


def has_no_blanks(text: str) -> bool:
    """Tell whether a text starts in a script without blanks: a line may end before any of its characters."""
    return _NO_BLANK.match(text) is not None


def may_begin(text: str) -> bool:
    """Tell whether a sentence may begin with a text: its first letter is a capital, or of a script that has none."""
    first = text[:1]
    return first.isupper() or (first.isalpha() and not first.islower()) or has_no_blanks(text)


def joint(before: str, after: str) -> str:
    """Return what stands between two lines of a text that are joined: a blank, or nothing where none is written."""
    if before.isascii() or after.isascii():
        return " "
    return "" if has_no_blanks(before[-1:]) and has_no_blanks(after) else " "


def joined(texts: Sequence[str]) -> str:
    """Return the lines of a text, at least one, joined."""
    if all(map(str.isascii, texts)):
        return " ".join(texts)
    return texts[0] + "".join(joint(before, after) + after for before, after in pairwise(texts))
