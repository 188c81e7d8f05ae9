"""Words that are several cells: set as text runs of their own that touch or overlap, with no blank between them.

PDFium joins such runs ("MMLUTruthfulQA"). A run that starts well left of the end of the one before, on its line, is
another cell; kerning draws letters together too, but by less, or not before a capitalised word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.pdf_codes import cell_starts

if TYPE_CHECKING:
    from ctypes import c_void_p

    import numpy as np
    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.pdf_codes import Kinds

_NAME = re.compile(r"[A-Z][a-z]")
_BACK = 0.3  # of the line's height: no kerning reaches as far
_BACK_TO_NAME = 0.08
_SAME_LINE = 0.5  # of the lower box


def cell_cuts(handle: c_void_p, text: str, kinds: Kinds) -> list[int]:
    """Return the places inside words where another cell starts.

    ``handle`` is a text page's, ``text`` its text; a character has the same place in both.
    """
    places = _changes(handle, _changes(handle, cell_starts(kinds), -1, 0), -2, -1, same=True)
    places = _changes(handle, places, 0, 1, same=True)
    if not places:
        return []
    boxes = pdf_raw.char_boxes(handle, [place + step for place in places for step in (-2, -1, 0, 1)])
    around = boxes.reshape(-1, 4, 4)
    return [place for place, four in zip(places, around, strict=True) if _goes_back(four, _back(text, place))]


def _changes(handle: c_void_p, places: list[int], first: int, second: int, *, same: bool = False) -> list[int]:
    """Return the places of which two characters near by are of different text runs (of the ``same``)."""
    if not places:
        return []
    left = pdf_raw.text_objects(handle, [place + first for place in places])
    right = pdf_raw.text_objects(handle, [place + second for place in places])
    return [place for place, a, b in zip(places, left, right, strict=True) if (a == b) is same]


def _back(text: str, place: int) -> float:
    return _BACK_TO_NAME if _NAME.match(text, place) else _BACK


def _goes_back(boxes: NDArray[np.float32], back: float) -> bool:
    """Tell whether the third of four characters starts left of the end of the second, by ``back`` heights at least."""
    before, last, here, after = boxes.tolist()
    height = min(last[1] - last[3], here[1] - here[3])
    level = min(last[1], here[1]) - max(last[3], here[3]) > _SAME_LINE * height
    # text upside down runs to the left everywhere
    rightwards = last[0] > before[0] and after[0] > here[0]
    return bool(level and rightwards and last[2] - here[0] > back * height)
