"""PDFium calls in bulk: one text page's boxes and objects into numpy arrays.

A page has hundreds of words and thousands of characters, and a call through pypdfium2's typed bindings costs more than
PDFium's own work. So the functions that run once a word are bound again, with plain addresses as arguments, and driven
by ``map``; PDFium writes into places that are made once, and those that run most often take their arguments as they
are, which halves the cost of a call. Origin of all coordinates in this module: PDF user space, bottom-left, y up.
"""

from __future__ import annotations

import ctypes
from collections import deque
from ctypes import PYFUNCTYPE, c_double, c_float, c_int, c_size_t, c_void_p
from itertools import chain, repeat
from math import hypot, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2.raw as pdfium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Units = NDArray[np.uint16]

TEXT, PATH, IMAGE, SHADING, FORM = 1, 2, 3, 4, 5


def _bind(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    address = ctypes.cast(getattr(pdfium, name), c_void_p).value
    assert address is not None
    bound: Callable[..., Any] = PYFUNCTYPE(result, *arguments)(address)
    return bound


# called without declared arguments: the text page is a `c_void_p`, an index an int, an answer's place one of a `_Room`
_loose_box = _bind("FPDFText_GetLooseCharBox", c_int)
_text_object = _bind("FPDFText_GetTextObject", c_size_t)
_char_matrix = _bind("FPDFText_GetMatrix", c_int)
_font_size = _bind("FPDFText_GetFontSize", c_double)
_char_origin = _bind("FPDFText_GetCharOrigin", c_int)
_char_index = _bind("FPDFText_GetCharIndexFromTextIndex", c_int)
_get_text = _bind("FPDFText_GetText", c_int)
_count_chars = _bind("FPDFText_CountChars", c_int)

_render_mode = _bind("FPDFTextObj_GetTextRenderMode", c_int, c_void_p)
_object_font = _bind("FPDFTextObj_GetFont", c_size_t, c_void_p)
_fill_colour = _bind("FPDFPageObj_GetFillColor", c_int)
_object_type = _bind("FPDFPageObj_GetType", c_int, c_void_p)
_bounds = _bind("FPDFPageObj_GetBounds", c_int)
_object_matrix = _bind("FPDFPageObj_GetMatrix", c_int)
_page_box = _bind("FPDF_GetPageBoundingBox", c_int)
_page_rotation = _bind("FPDFPage_GetRotation", c_int, c_void_p)
_page_count = _bind("FPDFPage_CountObjects", c_int)
_page_object = _bind("FPDFPage_GetObject", c_size_t)
_form_object = _bind("FPDFFormObj_GetObject", c_size_t)
_form_count = _bind("FPDFFormObj_CountObjects", c_int, c_void_p)
_draw_mode = _bind("FPDFPath_GetDrawMode", c_int)
_segment_count = _bind("FPDFPath_CountSegments", c_int, c_void_p)
_segment = _bind("FPDFPath_GetPathSegment", c_void_p)
_segment_point = _bind("FPDFPathSegment_GetPoint", c_int)
_segment_type = _bind("FPDFPathSegment_GetType", c_int, c_void_p)
_segment_close = _bind("FPDFPathSegment_GetClose", c_int, c_void_p)
_font_ascent = _bind("FPDFFont_GetAscent", c_int, c_void_p, c_float, c_void_p)
_font_descent = _bind("FPDFFont_GetDescent", c_int, c_void_p, c_float, c_void_p)
_font_flags = _bind("FPDFFont_GetFlags", c_int, c_void_p)
_font_base_name = _bind("FPDFFont_GetBaseFontName", c_size_t, c_void_p, c_void_p, c_size_t)

_AT_ONCE = 2048


class _Room:
    """Where PDFium writes many answers of a few numbers each. One thread a process reads PDF, PDFium allows no more."""

    def __init__(self, unknown: Sequence[float], kind: type[np.float32 | np.float64 | np.uint32 | np.int32]) -> None:
        width, rows = len(unknown), range(_AT_ONCE)
        self.unknown = np.array(unknown, dtype=kind)
        self.values: NDArray[Any] = np.zeros((_AT_ONCE, width), dtype=kind)
        start, size = self.values.ctypes.data, self.values.itemsize
        self.places = [[c_void_p(start + size * (row * width + column)) for row in rows] for column in range(width)]

    def filled(self, ask: Callable[[Sequence[Any]], Iterable[object]], items: Sequence[Any]) -> NDArray[Any]:
        """Return a row for each of ``items``: what ``ask`` has PDFium write there, ``unknown`` where it writes nothing.

        ``ask`` is given some items at a time and returns an iterable of calls that write to the rows of ``places``.
        """
        if len(items) > _AT_ONCE:
            parts = [self.filled(ask, items[at : at + _AT_ONCE]) for at in range(0, len(items), _AT_ONCE)]
            return np.concatenate(parts)
        rows = self.values[: len(items)]
        rows[:] = self.unknown
        deque(ask(items), 0)
        return rows.copy()


_POINTS, _RECTANGLES, _MATRICES = (_Room([0.0] * width, np.float32) for width in (2, 4, 6))
_OWN_MATRICES = _Room((1.0, 0.0, 0.0, 1.0, 0.0, 0.0), np.float32)
_MODES = _Room((0, 0), np.int32)
_ORIGINS = _Room((nan, nan), np.float64)
_COLOURS = _Room((0, 0, 0, 255), np.uint32)
_NAME = ctypes.create_string_buffer(128)


def address_of(pointer: Any) -> int:
    """Return the address a typed PDFium pointer, not null, holds."""
    return ctypes.addressof(pointer.contents)


def handle_of(text_page: Any) -> c_void_p:
    """Return a pypdfium2 text page as the functions of this module take it."""
    return c_void_p(address_of(text_page.raw))


def text_of(text_page: c_void_p) -> tuple[str, Units, bool]:
    """Return the text of a text page as PDFium gives it, its UTF-16 units, and whether places in it are PDFium's.

    They are not where PDFium's list holds characters without a text, or the text some beyond the first 65,536.
    """
    count = _count_chars(text_page)
    if count <= 0:
        return "", np.empty(0, dtype=np.uint16), True
    units = np.empty(count + 1, dtype=np.uint16)
    written = max(_get_text(text_page, 0, count, c_void_p(units.ctypes.data)) - 1, 0)
    units = units[:written]
    text = units.tobytes().decode("utf-16-le", "replace")
    return text, units, len(text) == count == written


def char_indices(text_page: c_void_p, places: Iterable[int]) -> list[int]:
    """Return which of PDFium's characters stand at places of the text, counted in UTF-16 units; 0 where none does."""
    return [max(index, 0) for index in map(_char_index, repeat(text_page), places)]


def char_boxes(text_page: c_void_p, indices: Sequence[int]) -> Floats:
    """Return an (n, 4) array of left, top, right, bottom of the characters, as high as their font's line."""
    (places, *_) = _RECTANGLES.places  # FS_RECTF: left, top, right, bottom
    return _RECTANGLES.filled(lambda some: map(_loose_box, repeat(text_page), some, places), indices)


def char_baselines(text_page: c_void_p, indices: Sequence[int]) -> Floats:
    """Return the height of the line each character stands on, NaN where PDFium does not know."""
    rows = _ORIGINS.filled(lambda some: map(_char_origin, repeat(text_page), some, *_ORIGINS.places), indices)
    return rows[:, 1].astype(np.float32)


def text_objects(text_page: c_void_p, indices: Iterable[int]) -> list[int]:
    """Return the address of the text object of each character (0 for a character PDFium made up)."""
    return list(map(_text_object, repeat(text_page), indices))


def char_sizes(text_page: c_void_p, indices: Sequence[int]) -> list[float]:
    """Return the sizes of the characters' fonts in points as drawn; slanting letters makes them no larger."""
    (places, *_) = _MATRICES.places
    rows = _MATRICES.filled(lambda some: map(_char_matrix, repeat(text_page), some, places), indices)
    fonts = map(_font_size, repeat(text_page), indices)
    return [size * _height(*row) for size, row in zip(fonts, rows[:, :4].tolist(), strict=True)]


def _height(a: float, b: float, c: float, d: float) -> float:
    width = hypot(a, b)
    return (abs(a * d - b * c) / width if width else 0.0) or hypot(c, d) or width


def render_modes(objects: Sequence[int]) -> list[int]:
    """Return the PDF text render mode (0 fill ... 3 invisible) of each text object, -1 for 0: no object."""
    return list(map(_render_mode, objects))


def fonts(objects: Sequence[int]) -> list[int]:
    """Return the address of each text object's font."""
    return list(map(_object_font, objects))


def fill_colours(objects: Sequence[int]) -> NDArray[np.uint32]:
    """Return red, green, blue, alpha (0..255) of each object's fill; opaque black when PDFium does not know."""
    return _COLOURS.filled(lambda some: map(_fill_colour, map(c_void_p, some), *_COLOURS.places), objects)


def font_name(font: int) -> str:
    """Return the font's PostScript name without the subset prefix."""
    length = _font_base_name(font, ctypes.addressof(_NAME), len(_NAME))
    name = _NAME.raw[: max(min(length, len(_NAME)) - 1, 0)].decode("utf-8", "replace")
    return name.partition("+")[2] if name[6:7] == "+" else name


def glyph_outline(font: int, character: str) -> tuple[float, int]:
    """Return the width (for a size of 100) and the number of outline segments of what a font draws for a character."""
    pointer, width = ctypes.cast(font, pdfium.FPDF_FONT), c_float()
    if not pdfium.FPDFFont_GetGlyphWidth(pointer, ord(character), 100.0, width):
        return 0.0, 0
    path = pdfium.FPDFFont_GetGlyphPath(pointer, ord(character), 100.0)
    return width.value, max(int(pdfium.FPDFGlyphPath_CountGlyphSegments(path)), 0) if path else 0


def font_height(font: int) -> float:
    """Return how high a font's line is in sizes of the type, from its ascent to its descent, as far as it says."""
    up, down = c_float(), c_float()
    _font_ascent(font, 1.0, ctypes.addressof(up))
    _font_descent(font, 1.0, ctypes.addressof(down))
    return up.value - down.value


def font_flags(font: int) -> int:
    """Return the flags of the font's descriptor (PDF 32000, table 123)."""
    return int(_font_flags(font))


def page_box(page: Any) -> list[float]:
    """Return left, bottom, right, top of the part of a page that is shown."""
    (place, *_) = _RECTANGLES.places
    (row,) = _RECTANGLES.filled(lambda _: (_page_box(c_void_p(address_of(page)), place[0]),), (page,)).tolist()
    left, top, right, bottom = row
    return [left, bottom, right, top]


def page_turns(page: Any) -> int:
    """Return the quarter turns to the right at which a page is shown, 0 to 3."""
    return max(int(_page_rotation(address_of(page))), 0) % 4


def page_children(page: Any) -> list[int]:
    """Return the addresses of the page's own objects."""
    handle = c_void_p(address_of(page))
    return list(filter(None, map(_page_object, repeat(handle), range(_page_count(handle)))))


def form_children(form: int) -> list[int]:
    """Return the addresses of a form XObject's objects."""
    count = max(int(_form_count(form)), 0)
    return list(filter(None, map(_form_object, repeat(c_void_p(form)), range(count))))


def object_types(objects: Sequence[int]) -> list[int]:
    """Return the type of each page object (`TEXT`, `PATH`, ...)."""
    return list(map(_object_type, objects))


def object_bounds(objects: Sequence[int]) -> Floats:
    """Return an (n, 4) array of left, top, right, bottom in the space the objects stand in."""
    left, top, right, bottom = _RECTANGLES.places
    return _RECTANGLES.filled(lambda some: map(_bounds, map(c_void_p, some), left, bottom, right, top), objects)


def object_matrices(objects: Sequence[int]) -> Floats:
    """Return an (n, 6) array: the matrix of each object, the identity where it has none."""
    (places, *_) = _OWN_MATRICES.places
    return _OWN_MATRICES.filled(lambda some: map(_object_matrix, map(c_void_p, some), places), objects)


def draw_modes(paths: Sequence[int]) -> NDArray[np.int32]:
    """Return an (n, 2) array: how each path is filled (0 not, 1 and 2 by which rule) and whether it is stroked."""
    return _MODES.filled(lambda some: map(_draw_mode, map(c_void_p, some), *_MODES.places), paths)


def segment_counts(paths: Sequence[int]) -> list[int]:
    """Return the number of segments of each path."""
    return [max(count, 0) for count in map(_segment_count, paths)]


def segments(paths: Sequence[int], counts: Sequence[int]) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """Return the segments of paths one after another; ``counts`` are their `segment_counts`.

    The kind of each (0 line, 1 curve, 2 move), its (n, 2) point in the path's own space, and whether it closes.
    """
    handles = chain.from_iterable(map(repeat, map(c_void_p, paths), counts))
    found = list(map(c_void_p, map(_segment, handles, chain.from_iterable(map(range, counts)))))
    points = _POINTS.filled(lambda some: map(_segment_point, some, *_POINTS.places), found)
    kinds = np.fromiter(map(_segment_type, found), dtype=np.intp, count=len(found))
    return kinds, points, np.fromiter(map(_segment_close, found), dtype=np.bool_, count=len(found))
