"""The text layer of a PDF page as words with boxes and type, read a page at a time into arrays.

Boxes are in points, origin top-left of the page as it is shown: rotation and crop box applied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pypdfium2.raw as pdfium

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.geometry import Glyphs
from nemo_retriever_dagster.extract.pdf_cells import split_cells
from nemo_retriever_dagster.extract.pdf_ligatures import misread_ligatures, with_letters
from nemo_retriever_dagster.extract.pdf_text import composed
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SOFT_HYPHEN = "\u00ad"
"""Ends a word that PDFium saw broken at the end of a line; what follows belongs to it."""

_BROKEN = "\ufffe\x02"
# a word: no blank, no control character; PDFium's mark of a broken word ends it
_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufffe\ufeff]+[\ufffe\x02]?")
_LINE_END = re.compile(r"\r?\n")
_SOFT = str.maketrans({"\ufffe": SOFT_HYPHEN, "\x02": SOFT_HYPHEN})
_BOLD = re.compile(r"bold|black|heavy|demi|\bbd\b", re.IGNORECASE)
_ITALIC = re.compile(r"italic|oblique", re.IGNORECASE)
_FORCE_BOLD, _ITALIC_FLAG = 1 << 18, 1 << 6
_INVISIBLE_MODES = (3, 7)  # neither filled nor stroked: 3; only added to the clipping path: 7
_STROKED_TOO = 2
_HEAVY = 700
_TINY = 1.0  # points; nobody reads type of this size
_FAR = 1e7  # points
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


class Covering(Protocol):
    """What is drawn on a page."""

    @property
    def covers(self) -> Floats:
        """Everything that can lie under pale text, as an (n, 4) array of boxes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """From PDF user space (y up) to the page as it is shown (origin top-left, y down)."""

    left: float
    bottom: float
    right: float
    top: float
    turns: int

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the shown page in points."""
        width, height = self.right - self.left, self.top - self.bottom
        return (height, width) if self.turns % 2 else (width, height)

    def show(self, boxes: Floats) -> Floats:
        """Turn an (n, 4) array of left, bottom, right, top into x0, y0, x1, y1."""
        left, bottom, right, top = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
        columns = {
            0: (left - self.left, self.top - top, right - self.left, self.top - bottom),
            1: (bottom - self.bottom, left - self.left, top - self.bottom, right - self.left),
            2: (self.right - right, bottom - self.bottom, self.right - left, top - self.bottom),
            3: (self.top - top, self.right - right, self.top - bottom, self.right - left),
        }[self.turns]
        return np.stack(columns, axis=1)


def bounded(boxes: NDArray[Any]) -> Floats:
    """Return coordinates as float32, those of a damaged file held within what no page reaches."""
    kept: Floats = np.clip(np.nan_to_num(boxes, nan=0.0), -_FAR, _FAR).astype(np.float32)
    return kept


def page_frame(page: Any) -> Frame:
    """Return the frame of a pypdfium2 page, from its crop box and rotation."""
    bounds = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page.raw, bounds)
    turns = max(pdfium.FPDFPage_GetRotation(page.raw), 0) % 4
    sides = np.array([[bounds.left, bounds.bottom, bounds.right, bounds.top]])
    left, bottom, right, top = bounded(sides)[0].tolist()
    return Frame(left=left, bottom=bottom, right=right, top=top, turns=turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWords:
    """The words of a page in the order of the content stream; ``boxes`` is (n, 4), ``style`` indexes ``styles``."""

    frame: Frame
    text: str = ""
    words: list[str] = field(default_factory=list)
    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4), dtype=np.float32))
    style: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    styles: list[Style] = field(default_factory=list)

    def hidden(self, drawings: Covering) -> NDArray[np.bool_]:
        """Tell which words cannot be seen; pale text over one of the ``drawings`` can."""
        width, height = self.frame.size
        boxes = self.boxes
        off_page = (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0) | (boxes[:, 0] >= width) | (boxes[:, 1] >= height)
        unseen = np.array([style.invisible or 0 < style.size < _TINY for style in self.styles], dtype=np.bool_)
        pale = np.array([style.pale for style in self.styles], dtype=np.bool_)
        found: NDArray[np.bool_] = off_page | unseen[self.style]
        if pale.any():
            found |= pale[self.style] & ~self._on_something(drawings.covers, pale[self.style])
        return found

    def _on_something(self, covers: Floats, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        result = np.zeros(len(self.words), dtype=np.bool_)
        for index in np.flatnonzero(asked):
            x, y = (self.boxes[index, 0] + self.boxes[index, 2]) / 2, (self.boxes[index, 1] + self.boxes[index, 3]) / 2
            under = (covers[:, 0] <= x) & (x <= covers[:, 2]) & (covers[:, 1] <= y) & (y <= covers[:, 3])
            result[index] = under.any()
        return result

    def glyphs(self, drawings: Covering) -> tuple[Glyphs, ...]:
        """Return the words as `Glyphs`; a hyphen that PDFium took for a line break's is a plain one there."""
        rows = zip(self.words, self.boxes.tolist(), self.style.tolist(), self.hidden(drawings).tolist(), strict=True)
        return tuple(
            Glyphs(
                text=word.replace(SOFT_HYPHEN, "-"),
                box=Box(*box),
                size=(look := self.styles[style]).size,
                bold=look.bold,
                italic=look.italic,
                font=look.font,
                hidden=hidden,
            )
            for word, box, style, hidden in rows
        )


def has_invisible_line(text_page: Any, text: str) -> bool:
    """Tell whether a line of the page's ``text`` starts with invisible type: a cheap look, one call or two a line."""
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    objects = pdf_raw.text_objects(pdf_raw.address_of(text_page.raw), [start for start in starts if start < len(text)])
    return not set(_INVISIBLE_MODES).isdisjoint(pdf_raw.render_modes([item for item in objects if item]))


def page_text(text_page: Any) -> str:
    """Return the text of a pypdfium2 text page as PDFium gives it."""
    count = pdfium.FPDFText_CountChars(text_page.raw)
    if count <= 0:
        return ""
    buffer = (pdfium.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(text_page.raw, 0, count, buffer)
    return bytes(buffer)[: 2 * max(written - 1, 0)].decode("utf-16-le", "replace")


def read_words(page: Any, text_page: Any) -> PageWords:
    """Read the words of a page."""
    frame, text = page_frame(page), page_text(text_page)
    spans = [match.span() for match in _WORD.finditer(text)]
    if not spans:
        return PageWords(frame=frame, text=text)
    address = pdf_raw.address_of(text_page.raw)
    if len(text) == pdfium.FPDFText_CountChars(text_page.raw) and (text.isascii() or max(text) <= "\uffff"):
        spans = split_cells(address, text, spans)
    words = [text[start:end] for start, end in spans]
    firsts, lasts = _char_indices(text_page, text, spans, words)
    boxes = pdf_raw.char_boxes(address, firsts + lasts)
    half = len(firsts)
    low, high = np.minimum(boxes[:half, :2], boxes[half:, :2]), np.maximum(boxes[:half, 2:], boxes[half:, 2:])
    style, styles = _styles(address, firsts)
    return PageWords(
        frame=frame,
        text=text,
        words=_repaired(words, spans, text, misread_ligatures(text_page, text)),
        boxes=frame.show(bounded(np.concatenate((low, high), axis=1))),
        style=style,
        styles=styles,
    )


def _repaired(words: list[str], spans: list[tuple[int, int]], text: str, letters: dict[int, str]) -> list[str]:
    if letters:
        words = [
            with_letters(word, {at - start: value for at, value in letters.items() if start <= at < end})
            for word, (start, end) in zip(words, spans, strict=True)
        ]
    if "\x02" in text or "\ufffe" in text:
        words = [word.translate(_SOFT) if word[-1] in _BROKEN else word for word in words]
    return words if text.isascii() else [word if word.isascii() else composed(word) for word in words]


def _char_indices(
    text_page: Any, text: str, spans: list[tuple[int, int]], words: list[str]
) -> tuple[list[int], list[int]]:
    """Return the indices of the first and last character of each word, PDFium's mark of a break left out."""
    firsts = [start for start, _ in spans]
    lasts = [
        end - 1 - (word[-1] in _BROKEN and end - start > 1) for (start, end), word in zip(spans, words, strict=True)
    ]
    if len(text) == pdfium.FPDFText_CountChars(text_page.raw) and text.isascii():
        return firsts, lasts
    units = _utf16_offsets(text)
    look_up = pdfium.FPDFText_GetCharIndexFromTextIndex
    if len(text) == pdfium.FPDFText_CountChars(text_page.raw) and units is None:
        return firsts, lasts
    shift = (lambda index: units[index]) if units else (lambda index: index)
    firsts = [max(look_up(text_page.raw, shift(index)), 0) for index in firsts]
    lasts = [max(look_up(text_page.raw, shift(index)), 0) for index in lasts]
    return firsts, lasts


def _utf16_offsets(text: str) -> list[int] | None:
    """Return where each character starts in UTF-16, or None where that is the same as in the string."""
    if max(text) <= "\uffff":
        return None
    offsets, at = [], 0
    for character in text:
        offsets.append(at)
        at += 2 if character > "\uffff" else 1
    return offsets


def _styles(address: int, firsts: list[int]) -> tuple[NDArray[np.intp], list[Style]]:
    """Return the styles of a page and which of them each word has; text of one object is set in one style."""
    objects = pdf_raw.text_objects(address, firsts)
    first_index = dict(zip(reversed(objects), reversed(firsts), strict=True))
    first_index.pop(0, None)
    unique = list(first_index)
    faces, modes = pdf_raw.fonts(unique), pdf_raw.render_modes(unique)
    scales = [pdf_raw.char_scale(address, index) for index in first_index.values()]
    looks = list(zip(faces, modes, scales, map(pdf_raw.fill_colour, unique), strict=True))
    numbers = {look: number for number, look in enumerate(dict.fromkeys(looks))}
    of_object = {item: numbers[look] for item, look in zip(unique, looks, strict=True)}
    # kept for one page only: PDFium frees a page's fonts with it, and another may come to stand at the same address
    fonts = {face: _read_face(face) for face in set(faces)}
    styles = [_drawn(fonts[face], mode, scale, colour) for face, mode, scale, colour in numbers]
    of_object[0] = len(styles)  # characters PDFium made up
    return np.array([of_object[item] for item in objects], dtype=np.intp), [*styles, Style()]


def _drawn(face: Style, mode: int, scale: tuple[float, float], colour: tuple[int, int, int, int]) -> Style:
    return Style(
        size=round(scale[0], 2),
        bold=face.bold or mode == _STROKED_TOO,
        italic=face.italic,
        font=face.font,
        invisible=mode in _INVISIBLE_MODES or colour[3] == 0,
        pale=min(colour[:3]) >= _PALE,
        slope=round(scale[1], 2),
    )


def _read_face(font: int) -> Style:
    if not font:
        return Style()
    name, flags = pdf_raw.font_name(font), max(pdf_raw.font_flags(font), 0)
    bold = bool(_BOLD.search(name)) or bool(flags & _FORCE_BOLD) or pdf_raw.font_weight(font) >= _HEAVY
    return Style(font=name, bold=bold, italic=bool(_ITALIC.search(name)) or bool(flags & _ITALIC_FLAG))
