"""How the words of a PDF page are set: the size, weight, font and colour of each run of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw

if TYPE_CHECKING:
    from ctypes import c_void_p

    from numpy.typing import NDArray

_BOLD = re.compile(r"bold|black|heavy|demi|\bbd\b", re.IGNORECASE)
_ITALIC = re.compile(r"italic|oblique", re.IGNORECASE)
_FORCE_BOLD, _ITALIC_FLAG = 1 << 18, 1 << 6
INVISIBLE_MODES = (3, 7)
"""Neither filled nor stroked: 3; only added to the clipping path: 7."""
_STROKED_TOO = 2
_HEAVY = 700
_PALE = 250  # every channel at least this: white


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a run of words is set."""

    size: float = 0.0
    bold: bool = False
    italic: bool = False
    font: str = ""
    invisible: bool = False
    pale: bool = False
    """White or nearly so: hidden, unless there is something under it."""


def read_styles(handle: c_void_p, firsts: list[int], heights: NDArray[Any]) -> tuple[NDArray[np.intp], list[Style]]:
    """Return the styles of a page and which of them each word has; text of one object is set in one style.

    ``firsts`` are the indices of the words' first characters, ``heights`` the heights of their boxes.
    """
    objects = pdf_raw.text_objects(handle, firsts)
    first_word = dict(zip(reversed(objects), range(len(objects) - 1, -1, -1), strict=True))
    first_word.pop(0, None)
    unique, words = list(first_word), list(first_word.values())
    faces = pdf_raw.fonts(unique)
    # a font's line is as high as its size says: characters as high as each other need one look
    sets = list(zip(faces, np.round(heights[words], 3).tolist(), strict=True))
    first_of = dict(zip(reversed(sets), reversed(words), strict=True))
    sizes = dict(zip(first_of, pdf_raw.char_sizes(handle, [firsts[word] for word in first_of.values()]), strict=True))
    modes, colours = pdf_raw.render_modes(unique), pdf_raw.fill_colours(unique)
    looks = list(zip(faces, modes, map(sizes.__getitem__, sets), colours, strict=True))
    numbers = {look: number for number, look in enumerate(dict.fromkeys(looks))}
    of_object = dict(zip(unique, map(numbers.__getitem__, looks), strict=True))
    # kept for one page only: PDFium frees a page's fonts with it, and another may come to stand at the same address
    fonts = {face: _read_face(face) for face in set(faces)}
    styles = [_drawn(fonts[face], mode, size, colour) for face, mode, size, colour in numbers]
    of_object[0] = len(styles)  # characters PDFium made up
    return np.array(list(map(of_object.__getitem__, objects)), dtype=np.intp), [*styles, Style()]


@lru_cache(maxsize=4096)
def _drawn(face: Style, mode: int, size: float, colour: tuple[int, int, int, int]) -> Style:
    return Style(
        size=round(size, 2),
        bold=face.bold or mode == _STROKED_TOO,
        italic=face.italic,
        font=face.font,
        invisible=mode in INVISIBLE_MODES or colour[3] == 0,
        pale=min(colour[:3]) >= _PALE,
    )


def _read_face(font: int) -> Style:
    if not font:
        return Style()
    return _face(pdf_raw.font_name(font), max(pdf_raw.font_flags(font), 0), pdf_raw.font_weight(font))


@lru_cache(maxsize=1024)
def _face(name: str, flags: int, weight: int) -> Style:
    bold = bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD) or weight >= _HEAVY
    return Style(font=name, bold=bold, italic=bool(_ITALIC.search(name)) or bool(flags & _ITALIC_FLAG))
