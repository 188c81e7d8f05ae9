"""PDFium calls in bulk: one text page's boxes and objects into numpy arrays.

A page has hundreds of words and thousands of characters, and a call through pypdfium2's typed bindings costs more than
PDFium's own work. So the functions that run once a word are bound again, with plain addresses as arguments, and driven
by ``map``. Origin of all coordinates in this module: PDF user space, bottom-left, y up.
"""

from __future__ import annotations

import ctypes
from ctypes import PYFUNCTYPE, c_double, c_float, c_int, c_uint, c_void_p
from itertools import repeat
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2.raw as pdfium

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TEXT, PATH, IMAGE, SHADING, FORM = 1, 2, 3, 4, 5


def _bind(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    address = ctypes.cast(getattr(pdfium, name), c_void_p).value
    assert address is not None
    bound: Callable[..., Any] = PYFUNCTYPE(result, *arguments)(address)
    return bound


_loose_box = _bind("FPDFText_GetLooseCharBox", c_int, c_void_p, c_int, c_void_p)
_text_object = _bind("FPDFText_GetTextObject", c_void_p, c_void_p, c_int)
_char_matrix = _bind("FPDFText_GetMatrix", c_int, c_void_p, c_int, c_void_p)
_render_mode = _bind("FPDFTextObj_GetTextRenderMode", c_int, c_void_p)
_object_font = _bind("FPDFTextObj_GetFont", c_void_p, c_void_p)
_fill_colour = _bind("FPDFPageObj_GetFillColor", c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
_object_type = _bind("FPDFPageObj_GetType", c_int, c_void_p)
_bounds = _bind("FPDFPageObj_GetBounds", c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
_object_matrix = _bind("FPDFPageObj_GetMatrix", c_int, c_void_p, c_void_p)
_page_object = _bind("FPDFPage_GetObject", c_void_p, c_void_p, c_int)
_form_object = _bind("FPDFFormObj_GetObject", c_void_p, c_void_p, c_uint)
_form_count = _bind("FPDFFormObj_CountObjects", c_int, c_void_p)
_draw_mode = _bind("FPDFPath_GetDrawMode", c_int, c_void_p, c_void_p, c_void_p)
_segment_count = _bind("FPDFPath_CountSegments", c_int, c_void_p)
_segment = _bind("FPDFPath_GetPathSegment", c_void_p, c_void_p, c_int)
_segment_point = _bind("FPDFPathSegment_GetPoint", c_int, c_void_p, c_void_p, c_void_p)
_segment_type = _bind("FPDFPathSegment_GetType", c_int, c_void_p)
_segment_close = _bind("FPDFPathSegment_GetClose", c_int, c_void_p)
_font_weight = _bind("FPDFFont_GetWeight", c_int, c_void_p)
_font_flags = _bind("FPDFFont_GetFlags", c_int, c_void_p)
_font_size = _bind("FPDFText_GetFontSize", c_double, c_void_p, c_int)

# PDFium writes its answers here; one thread a process reads PDF, PDFium allows no more
_MATRIX = (c_float * 6)()
_SCRATCH = ctypes.addressof(_MATRIX)
_COLOUR = (c_uint * 6).from_address(_SCRATCH)


def address_of(pointer: Any) -> int:
    """Return the address a typed PDFium pointer holds."""
    return ctypes.cast(pointer, c_void_p).value or 0


def char_boxes(text_page: int, indices: Sequence[int]) -> Floats:
    """Return an (n, 4) array of left, bottom, right, top of the characters, as high as their font's line."""
    count = len(indices)
    boxes = np.zeros((count, 4), dtype=np.float32)
    start = boxes.ctypes.data
    # FS_RECTF is left, top, right, bottom
    for _ in map(_loose_box, repeat(text_page), indices, range(start, start + 16 * count, 16)):
        pass
    return boxes[:, (0, 3, 2, 1)]


def text_objects(text_page: int, indices: Sequence[int]) -> list[int]:
    """Return the address of the text object of each character (0 for a character PDFium made up)."""
    return [pointer or 0 for pointer in map(_text_object, repeat(text_page), indices)]


def char_scale(text_page: int, index: int) -> tuple[float, float]:
    """Return the size of the character's font in points as drawn, and the sine of the text's slope."""
    if not _char_matrix(text_page, index, _SCRATCH):
        return 0.0, 0.0
    a, b, c, d = _MATRIX[:4]
    width, height = hypot(a, b), hypot(c, d)
    return _font_size(text_page, index) * (height or width), b / width if width else 0.0


def render_modes(objects: Sequence[int]) -> list[int]:
    """Return the PDF text render mode (0 fill ... 3 invisible) of each text object."""
    return list(map(_render_mode, objects))


def fonts(objects: Sequence[int]) -> list[int]:
    """Return the address of each text object's font."""
    return [pointer or 0 for pointer in map(_object_font, objects)]


def fill_colour(item: int) -> tuple[int, int, int, int]:
    """Return red, green, blue, alpha (0..255) of an object's fill; opaque black when PDFium does not know."""
    if not _fill_colour(item, _SCRATCH, _SCRATCH + 4, _SCRATCH + 8, _SCRATCH + 12):
        return 0, 0, 0, 255
    red, green, blue, alpha = _COLOUR[:4]
    return red, green, blue, alpha


def font_name(font: int) -> str:
    """Return the font's PostScript name without the subset prefix."""
    pointer = ctypes.cast(font, pdfium.FPDF_FONT)
    buffer = ctypes.create_string_buffer(128)
    length = pdfium.FPDFFont_GetBaseFontName(pointer, buffer, 128)
    name = buffer.raw[: max(min(length, 128) - 1, 0)].decode("utf-8", "replace")
    return name.partition("+")[2] if name[6:7] == "+" else name


def glyph_outline(font: int, character: str) -> tuple[float, int]:
    """Return the width (for a size of 100) and the number of outline segments of what a font draws for a character."""
    pointer, width = ctypes.cast(font, pdfium.FPDF_FONT), c_float()
    if not pdfium.FPDFFont_GetGlyphWidth(pointer, ord(character), 100.0, width):
        return 0.0, 0
    path = pdfium.FPDFFont_GetGlyphPath(pointer, ord(character), 100.0)
    return width.value, max(int(pdfium.FPDFGlyphPath_CountGlyphSegments(path)), 0) if path else 0


def font_weight(font: int) -> int:
    """Return the font's weight, 400 = regular, -1 = unknown."""
    return int(_font_weight(font))


def font_flags(font: int) -> int:
    """Return the flags of the font's descriptor (PDF 32000, table 123)."""
    return int(_font_flags(font))


def page_children(page: Any) -> list[int]:
    """Return the addresses of the page's own objects."""
    address = address_of(page)
    count = int(pdfium.FPDFPage_CountObjects(page))
    return [pointer for pointer in map(_page_object, repeat(address), range(count)) if pointer]


def form_children(form: int) -> list[int]:
    """Return the addresses of a form XObject's objects."""
    count = max(int(_form_count(form)), 0)
    return [pointer for pointer in map(_form_object, repeat(form), range(count)) if pointer]


def object_types(objects: Sequence[int]) -> list[int]:
    """Return the type of each page object (`TEXT`, `PATH`, ...)."""
    return list(map(_object_type, objects))


def object_bounds(objects: Sequence[int]) -> Floats:
    """Return an (n, 4) array of left, bottom, right, top in the space the objects stand in."""
    count = len(objects)
    boxes = np.zeros((count, 4), dtype=np.float32)
    start, end = boxes.ctypes.data, boxes.ctypes.data + 16 * count
    corners = (range(start + offset, end + offset, 16) for offset in (0, 4, 8, 12))
    for _ in map(_bounds, objects, *corners):
        pass
    return boxes


def object_matrix(item: int) -> tuple[float, ...]:
    """Return the six numbers of an object's matrix."""
    matrix = (c_float * 6)()
    if not _object_matrix(item, ctypes.addressof(matrix)):
        return 1.0, 0.0, 0.0, 1.0, 0.0, 0.0
    return tuple(matrix)


def draw_mode(path: int) -> tuple[bool, bool]:
    """Return whether a path is filled and whether it is stroked."""
    values = (c_int * 2)()
    start = ctypes.addressof(values)
    _draw_mode(path, start, start + 4)
    return bool(values[0]), bool(values[1])


def segment_count(path: int) -> int:
    """Return the number of segments of a path."""
    return int(_segment_count(path))


def segments(path: int) -> list[tuple[int, float, float, bool]]:
    """Return (kind, x, y, closes) of each segment: kind 0 line, 1 curve, 2 move, in the path's own space."""
    point = (c_float * 2)()
    start = ctypes.addressof(point)
    found = []
    for index in range(int(_segment_count(path))):
        segment = _segment(path, index)
        _segment_point(segment, start, start + 4)
        found.append((int(_segment_type(segment)), point[0], point[1], bool(_segment_close(segment))))
    return found
