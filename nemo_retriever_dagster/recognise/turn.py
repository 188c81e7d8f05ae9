"""Which way up a page was scanned, told by the words found on it: one follows the other along its lines."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.bidi import runs_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Box, Word

_LONG = 4  # letters: a shorter word may be as high as wide whichever way it lies
_TALL = 1.5
_BESIDE = 0.5  # of the smaller of two words beside each other: a word on the same line
_CLEARLY = 2  # times as many words to the left as to the right
_RIGHT, _DOWN, _LEFT, _UP = range(4)


def turns_of(words: Sequence[Word]) -> int:
    """Return how many quarter turns to the left set the page upright on which these words follow one another.

    0 where they do not tell. An engine turns a page to read it, and gives the words' places on the page as it lies.
    """
    long = [word.box for word in words if len(word.text) >= _LONG]
    pairs = [pair for pair in pairwise(words) if not any(runs_left(word.text) for word in pair)]
    steps = [_step(one.box, other.box) for one, other in pairs]
    if sum(box.height > _TALL * box.width for box in long) > len(long) / 2:
        down, up = steps.count(_DOWN), steps.count(_UP)
        return 0 if down == up else (_DOWN if down > up else _UP)
    return _LEFT if steps.count(_LEFT) > _CLEARLY * steps.count(_RIGHT) else 0


def _step(one: Box, other: Box) -> int | None:
    """Return on which side of a word the next one stands, None where it stands on another line."""
    common = one.intersect(other)
    if common.height > _BESIDE * min(one.height, other.height):
        return _RIGHT if other.x0 > one.x0 else _LEFT
    if common.width > _BESIDE * min(one.width, other.width):
        return _DOWN if other.y0 > one.y0 else _UP
    return None
