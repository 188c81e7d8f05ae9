"""Words that are several cells: set as text runs of their own that touch or overlap, with no blank between them.

PDFium joins such runs ("MMLUTruthfulQA"). A run that starts well left of the end of the one before, on its line, is
another cell; kerning draws letters together too, but by less, or not before a capitalised word.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract import pdf_raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Span = tuple[int, int]

# where a cell may start inside a word: a run shorter than two characters is a kerned letter or a raised sign
_START = re.compile(r"(?<=[!-~][!-~])[A-Z](?=[!-~])|(?<=[!-~][A-Za-z)}])[0-9(](?=[!-~])")
_NAME = re.compile(r"[A-Z][a-z]")
_BACK = 0.3  # of the line's height: no kerning reaches as far
_BACK_TO_NAME = 0.08
_SAME_LINE = 0.5  # of the lower box


def split_cells(address: int, text: str, spans: list[Span]) -> list[Span]:
    """Return the spans of words with those parted that hold several cells.

    ``address`` is a text page's, ``text`` its text; a character has the same place in both.
    """
    places = [match.start() for match in _START.finditer(text)]
    if not places:
        return spans
    objects = iter(pdf_raw.text_objects(address, [place + step for place in places for step in (-2, -1, 0, 1)]))
    runs = zip(objects, objects, objects, objects, strict=True)
    changes = [place for place, (a, b, c, d) in zip(places, runs, strict=True) if a == b != c == d]
    if not changes:
        return spans
    boxes = pdf_raw.char_boxes(address, [place + step for place in changes for step in (-2, -1, 0, 1)])
    around = boxes.reshape(-1, 4, 4)
    cuts = [place for place, four in zip(changes, around, strict=True) if _goes_back(four, _back(text, place))]
    return [part for span in spans for part in _parted(span, cuts)] if cuts else spans


def _parted(span: Span, cuts: list[int]) -> list[Span]:
    start, end = span
    inside = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
    return list(pairwise([start, *inside, end])) if inside else [span]


def _back(text: str, place: int) -> float:
    return _BACK_TO_NAME if _NAME.match(text, place) else _BACK


def _goes_back(boxes: NDArray[np.float32], back: float) -> bool:
    """Tell whether the third of four characters starts left of the end of the second, by ``back`` heights at least."""
    before, last, here, after = boxes.tolist()
    height = min(last[3] - last[1], here[3] - here[1])
    level = min(last[3], here[3]) - max(last[1], here[1]) > _SAME_LINE * height
    # text upside down runs to the left everywhere
    rightwards = last[0] > before[0] and after[0] > here[0]
    return bool(level and rightwards and last[2] - here[0] > back * height)
