"""What a piece of text in a table looks like: a number, a list's mark, a currency sign that belongs to its number."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

_NUMBER = re.compile(
    r"""[(\[<>~≈±*+\-\u2010-\u2015\u2212]*(?:US|C|A|HK|R)?[$€£¥]?\s*[(\-\u2212]?
        \d[\d.,'\u2019\s/]*(?:[eE][-+]?\d+)?\s*
        (?:%|‰|[a-zA-Z]{1,3}\d?|bps|°C?|€)?\s*[)\]]*%?[*†‡]*(?:\(?[a-z0-9]\))?
        (?:\s*[(\[]\s*[-+\u2212<]?\d[\d.,\s]*%?\s*[)\]])?""",
    re.VERBOSE,
)
_NOTHING = re.compile(r"[-\u2010-\u2015\u2212*…]+%?|\.{2,3}|n\.?/?a\.?|n\.m\.|nil", re.IGNORECASE)
_YEAR = re.compile(r"(?:FY\s?)?(?:19|20)\d\d(?:[/\u2013-](?:\d\d){1,2})?[AEP*]?")
_MARK = re.compile(
    r"[•◦▪●○■□\u2013\u2014*·\u2023\u25aa\u27a2\uf0b7o-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\[\d{1,3}\]|\d+(?:\.\d+)+\.?"
)
_DOTS = frozenset("._…·")
_LEADERS = re.compile(r"[._…·]{3,}$|^[.…·]+$")
_GROUP = re.compile(r"\d{3}(?!\d)")
_BEFORE_GROUP = re.compile(r"[-+(\u2212]?\d{1,3}")
_CURRENCY = frozenset({"$", "€", "£", "¥", "US$", "C$", "A$", "HK$", "R$", "USD", "EUR"})
_TAILS = frozenset({")", "%", ")%", "%)", "bps", "pp"})
_JOINED = _CURRENCY | _TAILS | {""}
LONGEST_PAGE = 3  # digits


@lru_cache(maxsize=8192)
def is_value(text: str) -> bool:
    """Tell whether ``text`` is an amount or the sign for none (a dash, n/a)."""
    return bool(_NUMBER.fullmatch(text) or _NOTHING.fullmatch(text))


def is_year(text: str) -> bool:
    """Tell whether ``text`` is a year, which heads a column as often as it is an amount."""
    return bool(_YEAR.fullmatch(text))


def is_mark(text: str) -> bool:
    """Tell whether ``text`` is a bullet or the number of a list's item, a section, a reference."""
    return bool(_MARK.fullmatch(text))


def is_page(text: str) -> bool:
    """Tell whether ``text`` could be the number of a page."""
    return text.isdecimal() and len(text) <= LONGEST_PAGE


def same_number(left: str, right: str) -> bool:
    """Tell whether a blank between the two only groups a number's digits: ``35 000``."""
    return bool(_GROUP.match(right) and _BEFORE_GROUP.fullmatch(left))


def is_leader(text: str) -> bool:
    """Tell whether ``text`` is, or ends with, dots that lead from a label to what belongs to it."""
    return text[-1:] in _DOTS and _LEADERS.search(text) is not None


def _without_dots(word: Glyphs) -> Glyphs:
    if word.text[-1:] not in _DOTS:
        return word
    kept = _LEADERS.sub("", word.text)
    if kept == word.text:
        return word
    box = word.box._replace(x1=word.box.x0 + word.box.width * len(kept) / len(word.text))
    return word._replace(text=kept, box=box)


def joined_amounts(line: Sequence[Glyphs], height: float) -> list[Glyphs]:
    """Return a line's words with a currency sign joined to its number, and ``%`` or ``)`` to the number before.

    Accounts set the sign at the left edge of the column, far from its number and close to the one before: the box is
    the number's alone. Dots that lead from a label to its amount are left out.
    """
    if not any(word.text in _JOINED or word.text[-1] in _DOTS for word in line):
        return list(line)
    joined: list[Glyphs] = []
    for word in map(_without_dots, line):
        if not word.text:
            continue
        last = joined[-1] if joined else None
        gap = word.box.x0 - last.box.x1 if last else 0.0
        if last and last.text in _CURRENCY and is_value(word.text) and gap < 8 * height:
            joined[-1] = word._replace(text=last.text + word.text)
        elif last and word.text in _TAILS and gap < 1.5 * height and is_value(last.text):
            joined[-1] = last._replace(text=last.text + word.text, box=last.box.union(word.box))
        else:
            joined.append(word)
    return joined
