"""Text that runs to the left (Hebrew, Arabic and their kin): from the order it is seen in to the order it is read in.

A page shows what the Unicode bidirectional algorithm made of the text. This is the way back, for letters and words that
are known by where they stand: numbers and Latin words run to the right within such text, and marks at their ends belong
to what is around them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEFTWARD = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_SHAPES = re.compile("[\ufb1d-\ufdff\ufe70-\ufefc]+")  # letters encoded as they are drawn, joined or not
_LEADING = re.compile(r"[.,:;!?%\u2026\u060c\u061b\u061f]+(?=.)")
_OPENING = re.compile(r"(?:(?<=\s)|^)[()\[\]{}](?=\S)")
_CLOSING = re.compile(r"(?<=\S)[()\[\]{}](?=[\s.,:;!?]|$)")
_OPEN, _CLOSE = (str.maketrans(one, other) for one, other in ((")]}", "([{"), ("([{", ")]}")))

_LEFT, _RIGHT, _NUMBER, _NEITHER = "left", "right", "number", "neither"
"""Which way a letter or word runs; numbers run to the right, and go along with what they stand in."""
_WAYS = {"R": _LEFT, "AL": _LEFT, "L": _RIGHT, "EN": _NUMBER, "AN": _NUMBER}


def runs_left(text: str) -> bool:
    """Tell whether any of a text is in a script that runs to the left."""
    return not text.isascii() and _LEFTWARD.search(text) is not None


def is_leftward(text: str) -> bool:
    """Tell whether a text is read to the left: more of its letters run that way than the other."""
    ways = [_way(letter) for letter in text if letter.isalpha()]
    return ways.count(_LEFT) > ways.count(_RIGHT)


def is_mark(character: str) -> bool:
    """Tell whether a character stands over, under or in another: a vowel sign, an accent."""
    return unicodedata.bidirectional(character) == "NSM"


@lru_cache(maxsize=1024)
def _way(character: str) -> str:
    return _WAYS.get(unicodedata.bidirectional(character), _NEITHER)


def _way_of_word(word: str) -> str:
    ways = set(map(_way, word))
    return next((way for way in (_LEFT, _RIGHT, _NUMBER) if way in ways), _NEITHER)


def spelt(seen: Sequence[str], *, leftward: bool) -> str:
    """Return a word from its letters, each with its marks, as they stand from left to right.

    In a text that is read to the left the word's outer marks (a full stop, a bracket) run with it, else they stay.
    """
    ways = [_way(letter[0]) for letter in seen]
    if _LEFT not in ways:
        return "".join(seen)
    first, last = (0, len(seen)) if leftward else (ways.index(_LEFT), len(seen) - ways[::-1].index(_LEFT))
    ways = [_RIGHT if way is _NUMBER else way for way in ways]
    inner = _turned(list(seen[first:last])[::-1], ways[first:last][::-1], _RIGHT, against=_LEFT)
    text = "".join((*seen[:first], *(part for run in inner for part in run), *seen[last:]))
    return _SHAPES.sub(lambda shape: unicodedata.normalize("NFKC", shape[0]), text)


def in_reading_order(words: Sequence[str], *, leftward: bool) -> str:
    """Return a row of words as it is read.

    The words, each `spelt`, stand in the order of the page: from right to left where it is ``leftward``. In Hebrew and
    Arabic a number beside Latin words is taken to follow them ("Windows 11"): what is seen does not tell.
    """
    ways = list(map(_way_of_word, words))
    if leftward:
        runs = _turned(words, ways, _RIGHT, against=_LEFT, starting=(_RIGHT, _NUMBER))
        ordered = [word for run in runs for word in _punctuated(run)]
    else:
        ordered = [word for run in _turned(words, ways, _LEFT, against=_RIGHT) for word in _enclosed(run)]
    text = " ".join(ordered)
    if _LEFT not in ways:
        return text
    text = _OPENING.sub(lambda mark: mark[0].translate(_OPEN), text)
    return _CLOSING.sub(lambda mark: mark[0].translate(_CLOSE), text)


def _punctuated(run: list[str]) -> list[str]:
    """Put the marks that are seen before a run of words or a number, and end it, at its end."""
    mark = _LEADING.match(run[0])
    if mark is None or _way_of_word(run[0]) is _LEFT:
        return run
    run = [run[0][mark.end() :], *run[1:]]
    return [*run[:-1], run[-1] + mark[0]]


def _enclosed(run: list[str]) -> list[str]:
    """Leave the marks on both sides of a run that was turned where they are seen: they are not part of it."""
    if len(run) == 1:
        return run
    before, last = _marks_before(run[-1])
    after, first = (part[::-1] for part in _marks_before(run[0][::-1]))
    ordered = [first, *run[1:-1], last]
    ordered[0] = before + ordered[0]
    ordered[-1] += after
    return ordered


def _marks_before(word: str) -> tuple[str, str]:
    """Return the marks that a word with letters starts with, and the rest."""
    start = next(i for i, character in enumerate(word) if _way(character) is not _NEITHER)
    return word[:start], word[start:]


def _turned(
    items: Sequence[str], ways: Sequence[str], way: str, *, against: str, starting: Sequence[str] = ()
) -> list[list[str]]:
    """Cut items into runs, those that go ``way`` turned around, the others of one item each.

    A run ends with an item that goes ``way``, starts with one, or one of ``starting``, and has none ``against`` in it.
    """
    ends = [-1] * len(items)
    for at in range(len(items) - 1, -1, -1):
        if ways[at] != against:
            behind = ends[at + 1] if at + 1 < len(items) else -1
            ends[at] = max(behind, at if ways[at] == way else -1)
    runs: list[list[str]] = []
    at = 0
    while at < len(items):
        last = max(ends[at], at) if ways[at] in (way, *starting) else at
        runs.append(list(items[at : last + 1])[::-1])
        at = last + 1
    return runs
