"""How the words of a PDF page are set: the size, weight, font and colour of each run of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

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
    slope: float = 0.0
    """Sine of the angle of the text: 0 for ordinary lines."""


def read_styles(handle: c_void_p, firsts: list[int]) -> tuple[NDArray[np.intp], list[Style]]:
    """Return the styles of a page and which of them each word has; text of one object is set in one style.

    ``firsts`` are the indices of the words' first characters.
    """
    objects = pdf_raw.text_objects(handle, firsts)
    first_index = dict(zip(reversed(objects), reversed(firsts), strict=True))
    first_index.pop(0, None)
    unique, indices = list(first_index), list(first_index.values())
    faces = pdf_raw.fonts(unique)
    looks = list(
        zip(
            faces,
            pdf_raw.render_modes(unique),
            *pdf_raw.char_scales(handle, indices),
            pdf_raw.fill_colours(unique),
            strict=True,
        )
    )
    numbers = {look: number for number, look in enumerate(dict.fromkeys(looks))}
    of_object = dict(zip(unique, map(numbers.__getitem__, looks), strict=True))
    # kept for one page only: PDFium frees a page's fonts with it, and another may come to stand at the same address
    fonts = {face: _read_face(face) for face in set(faces)}
    styles = [_drawn(fonts[face], mode, size, slope, colour) for face, mode, size, slope, colour in numbers]
    of_object[0] = len(styles)  # characters PDFium made up
    return np.array(list(map(of_object.__getitem__, objects)), dtype=np.intp), [*styles, Style()]


@lru_cache(maxsize=4096)
def _drawn(face: Style, mode: int, size: float, slope: float, colour: tuple[int, int, int, int]) -> Style:
    return Style(
        size=round(size, 2),
        bold=face.bold or mode == _STROKED_TOO,
        italic=face.italic,
        font=face.font,
        invisible=mode in INVISIBLE_MODES or colour[3] == 0,
        pale=min(colour[:3]) >= _PALE,
        slope=round(slope, 2),
    )


def _read_face(font: int) -> Style:
    if not font:
        return Style()
    return _face(pdf_raw.font_name(font), max(pdf_raw.font_flags(font), 0), pdf_raw.font_weight(font))


@lru_cache(maxsize=1024)
def _face(name: str, flags: int, weight: int) -> Style:
    bold = bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD) or weight >= _HEAVY
    return Style(font=name, bold=bold, italic=bool(_ITALIC.search(name)) or bool(flags & _ITALIC_FLAG))
