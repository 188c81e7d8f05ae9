"""The characters of a page told apart in one look: a bit mask for each, so that questions are asked of whole arrays."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Kinds = NDArray[np.uint8]
    Places = NDArray[np.intp]
    Units = NDArray[np.uint16]

BLANK, CONTROL, VISIBLE, UPPER, LETTER, STEM, NUMBER, SUSPECT = (1 << bit for bit in range(8))
"""No part of a word; of these, what `str.split` leaves in one; printed ASCII; A to Z; A to Z and a to z; what a cell
may end with before a number; what such a number starts with; a sign that a font may show as a ligature."""

BROKEN = frozenset("\ufffe\x02")
"""PDFium's marks of a word broken at the end of a line."""

_SOFT = dict.fromkeys(map(ord, BROKEN), SOFT_HYPHEN)
_NOT_IN_WORD = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufffe\ufeff]")
_LAST = 0xFFFF
_MARKS = "@#$%&*+<=>^_`|~{}[]\\"


def _table() -> Kinds:
    table = np.zeros(_LAST + 1, dtype=np.uint8)
    # Unicode has no blank beyond U+3000
    blanks = _NOT_IN_WORD.findall("".join(map(chr, [*range(0x3001), 0xFEFF, 0xFFFE])))
    for bit, characters in (
        (BLANK, "".join(blanks)),
        (CONTROL, "".join(blank for blank in blanks if not blank.isspace())),
        (VISIBLE, "".join(map(chr, range(0x21, 0x7F)))),
        (UPPER, string.ascii_uppercase),
        (LETTER, string.ascii_letters),
        (STEM, string.ascii_letters + ")}"),
        (NUMBER, string.digits + "("),
        (SUSPECT, _MARKS),
    ):
        table[[ord(character) for character in characters]] |= bit
    return table


_KINDS = _table()


def kinds_of(text: str, units: Units | None = None) -> Kinds:
    """Return the bit mask of each character of a text; ``units`` is its UTF-16, where the caller has it."""
    codes = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16) if units is None else units
    if len(codes) != len(text):
        wide = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        codes = np.minimum(wide, _LAST).astype(np.uint16)
    kinds: Kinds = _KINDS[codes]
    return kinds


def word_ends(kinds: Kinds) -> tuple[Places, Places]:
    """Return the places of the first and of the last character of each word, the mark of a broken one left out.

    A word has no blank and no control character.
    """
    padded = np.empty(len(kinds) + 2, dtype=np.bool_)
    padded[0] = padded[-1] = True
    np.bitwise_and(kinds, BLANK, out=padded[1:-1], casting="unsafe")
    edges = (padded[1:] != padded[:-1]).nonzero()[0]
    return edges[::2], edges[1::2] - 1


def words_of(text: str, kinds: Kinds, first: Places, last: Places) -> list[str]:
    """Return the words of a text with these ends; a soft hyphen ends a broken one."""
    controls = np.count_nonzero(kinds & CONTROL)
    if controls == (sum(map(text.count, BROKEN)) if controls else 0):
        # a mark that ends no word would be one: then, and where words are parted, there are more or fewer of them
        words = _apart(text).split() if controls else text.split()
        if len(words) == len(first):
            return words
    ends = last + 1
    marked = (kinds[np.minimum(ends, len(kinds) - 1)] & CONTROL).nonzero()[0]
    ends[[word for word in marked.tolist() if text[ends[word] : ends[word] + 1] in BROKEN]] += 1
    text = text.translate(_SOFT)
    return [text[start:end] for start, end in zip(first.tolist(), ends.tolist(), strict=True)]


def _apart(text: str) -> str:
    for mark in BROKEN:
        text = text.replace(mark, f"{SOFT_HYPHEN} ")
    return text


def suspects(kinds: Kinds) -> list[int]:
    """Return where a sign stands between a letter and a small letter."""
    if not (kinds & SUSPECT).any():
        return []
    before, here, after = kinds[:-2], kinds[1:-1], kinds[2:]
    small = (after & (LETTER | UPPER)) == LETTER
    found: list[int] = (((here & SUSPECT != 0) & (before & LETTER != 0) & small).nonzero()[0] + 1).tolist()
    return found


def cell_starts(kinds: Kinds) -> list[int]:
    """Return where a cell may start inside a word: at a capital, or at a number behind a letter or a bracket.

    Two printed characters stand before it and one behind: a shorter run is a kerned letter or a raised sign.
    """
    likely = (kinds[2:-1] & (UPPER | NUMBER)).nonzero()[0] + 2  # few: the rest is asked of these alone
    early, before, here, after = kinds[likely - 2], kinds[likely - 1], kinds[likely], kinds[likely + 1]
    capital = (here & UPPER != 0) & (before & VISIBLE != 0)
    starts = capital | ((here & NUMBER != 0) & (before & STEM != 0))
    found: list[int] = likely[starts & (early & after & VISIBLE != 0)].tolist()
    return found
