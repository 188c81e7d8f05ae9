"""How the words of a PDF page are set: the size, weight, font and colour of each run of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ctypes import c_void_p

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    _Look = tuple[int, float, int, int]
    """The address of a font, the height of its line, the render mode, what matters of the colour."""

_BOLD = re.compile(r"bold|black|heavy|demi|\bbd\b|nimbus\w*-medi|bx(?:ti|sl)?\d|sfsx\d", re.IGNORECASE)
"""TeX's are cmbx12, cmbxti10, cmssbx10, sfbx1000. The width of stems is no witness: programs write what they like."""
_ITALIC = re.compile(r"italic|oblique", re.IGNORECASE)
_FORCE_BOLD, _ITALIC_FLAG = 1 << 18, 1 << 6
INVISIBLE_MODES = (3, 7)
"""Neither filled nor stroked: 3; only added to the clipping path: 7."""
_STROKED_TOO = 2
_LOW = 0.75  # of the type's size: fonts that say how high their letters reach say more
_PALE = 250  # every channel at least this: white
_PALE_INK, _NO_INK = 1, 2
_FIRST = np.zeros(1, dtype=np.intp)


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
    shallow: bool = False
    """Its font does not say how far letters reach above and below the line: LibreOffice writes 0."""


def read_styles(handle: c_void_p, firsts: list[int], heights: Floats) -> tuple[NDArray[np.intp], list[Style]]:
    """Return the styles of a page and which of them each word has; text of one object is set in one style.

    ``firsts`` are the indices of the words' first characters, ``heights`` the heights of their boxes.
    """
    of_word = np.array(pdf_raw.text_objects(handle, firsts), dtype=np.uint64)
    starts = _changes(of_word[1:] != of_word[:-1])
    objects = of_word[starts].tolist()
    faces = np.array(pdf_raw.fonts(objects), dtype=np.uint64)
    modes, inks = np.array(pdf_raw.render_modes(objects)), _inks(objects)
    # a font's line is as high as its size says: characters as high as each other need one look
    high = heights[starts].round(3)
    differs = (faces[1:] != faces[:-1]) | (high[1:] != high[:-1]) | (modes[1:] != modes[:-1]) | (inks[1:] != inks[:-1])
    runs = _changes(differs)
    looks = list(zip(*(look[runs].tolist() for look in (faces, high, modes, inks)), strict=True))
    first = starts[runs]
    numbers, styles = _styles_of(handle, looks, [firsts[word] for word in first.tolist()])
    return np.array(numbers, dtype=np.intp).repeat(np.diff(first, append=len(firsts))), styles


def _changes(differs: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where runs of like items start; ``differs`` tells of each but the first whether it is unlike the last."""
    return np.concatenate((_FIRST, differs.nonzero()[0] + 1))


def _styles_of(handle: c_void_p, looks: list[_Look], characters: list[int]) -> tuple[list[int], list[Style]]:
    """Return the number of the style of each look, and the styles; ``characters`` has one that is set so for each."""
    first_of: dict[tuple[int, float], int] = {}
    for (face, high, _, _), character in zip(looks, characters, strict=True):
        first_of.setdefault((face, high), character)
    sizes = dict(zip(first_of, pdf_raw.char_sizes(handle, list(first_of.values())), strict=True))
    sized = [(face, mode, sizes[face, high], ink) for face, high, mode, ink in looks]
    numbers = {look: number for number, look in enumerate(dict.fromkeys(sized))}
    # kept for one page only: PDFium frees a page's fonts with it, and another may come to stand at the same address
    fonts = {face: _read_face(face) for face in {face for face, _, _, _ in numbers}}
    styles = [Style() if mode < 0 else _drawn(fonts[face], mode, size, ink) for face, mode, size, ink in numbers]
    return [numbers[look] for look in sized], styles


def pale_and_clear(objects: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which page objects are filled with white or nearly so, and which with what lets all through."""
    colours = pdf_raw.fill_colours(objects)
    return colours[:, :3].min(axis=1) >= _PALE, colours[:, 3] == 0


def _inks(objects: Sequence[int]) -> NDArray[np.intp]:
    """Return what matters of the colour of each text object: `_PALE_INK` and `_NO_INK`, or 0."""
    pale, clear = pale_and_clear(objects)
    inks: NDArray[np.intp] = _PALE_INK * pale + _NO_INK * clear
    return inks


@lru_cache(maxsize=4096)
def _drawn(face: Style, mode: int, size: float, ink: int) -> Style:
    return Style(
        size=round(size, 2),
        bold=face.bold or mode == _STROKED_TOO,
        italic=face.italic,
        font=face.font,
        invisible=mode in INVISIBLE_MODES or bool(ink & _NO_INK),
        pale=bool(ink & _PALE_INK),
        shallow=face.shallow,
    )


def _read_face(font: int) -> Style:
    if not font:
        return Style()
    name, flags = pdf_raw.font_name(font), max(pdf_raw.font_flags(font), 0)
    return _face(name, flags, shallow=pdf_raw.font_height(font) < _LOW)


@lru_cache(maxsize=1024)
def _face(name: str, flags: int, *, shallow: bool) -> Style:
    bold = bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD)
    italic = bool(_ITALIC.search(name)) or bool(flags & _ITALIC_FLAG)
    return Style(font=name, bold=bold, italic=italic, shallow=shallow)
