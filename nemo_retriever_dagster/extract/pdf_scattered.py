"""Words that PDFium scattered: it takes a page of few short lines for one written downwards, a letter a line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.pdf_words import PageWords

_BREAKS = 0.5  # line breaks a word: other pages have a few words a line
_LETTERS = 2.0  # in a word, on average, at most
_FEWEST = 8  # words
_TOUCHING = 0.2  # of the type's size: less is no blank between words
_BACK = 0.5  # of the type's size: a letter may reach back under the one before
_LEVEL = 0.25  # of the type's size: bottoms of letters with and without a tail differ less


def is_scattered(words: PageWords) -> bool:
    """Tell whether hardly a word has more than a letter, and most stand on lines of their own."""
    count = len(words.words)
    return (
        count >= _FEWEST
        and words.text.count("\n") >= _BREAKS * count
        and sum(map(len, words.words)) <= _LETTERS * count
    )


def rejoined(words: PageWords) -> PageWords:
    """Return the words of a scattered page with letters that touch side by side joined again, in the same order."""
    starts = _starts(words)
    ends = [*starts[1:], len(words.words)]
    low = np.minimum.reduceat(words.boxes[:, :2], starts, axis=0)
    high = np.maximum.reduceat(words.boxes[:, 2:], starts, axis=0)
    return replace(
        words,
        words=["".join(words.words[start:end]) for start, end in zip(starts, ends, strict=True)],
        boxes=np.concatenate((low, high), axis=1),
        style=words.style[starts],
    )


def _starts(words: PageWords) -> NDArray[np.intp]:
    boxes = words.boxes
    sizes = np.array([style.size for style in words.styles], dtype=np.float32)[words.style]
    size = np.minimum(sizes[1:], sizes[:-1])
    gap = boxes[1:, 0] - boxes[:-1, 2]
    shared = np.minimum(boxes[1:, 3], boxes[:-1, 3]) - np.maximum(boxes[1:, 1], boxes[:-1, 1])
    level = (shared > 0) | (np.abs(boxes[1:, 3] - boxes[:-1, 3]) < _LEVEL * size)
    apart = ~level | (gap > _TOUCHING * size) | (gap < -_BACK * size)
    return np.concatenate(([0], np.flatnonzero(apart) + 1))
