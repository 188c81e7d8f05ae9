"""The text layer of a PDF page as words with boxes and type, read a page at a time into arrays.

Boxes are in points, origin top-left of the page as it is shown: rotation and crop box applied.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from nemo_retriever_dagster.extract import pdf_raw
from nemo_retriever_dagster.extract.bidi import is_leftward, runs_left
from nemo_retriever_dagster.extract.geometry import boxes_of, glyphs_of
from nemo_retriever_dagster.extract.pdf_cells import cell_cuts
from nemo_retriever_dagster.extract.pdf_codes import kinds_of, word_ends, words_of
from nemo_retriever_dagster.extract.pdf_leftward import PlacedWord, in_rows
from nemo_retriever_dagster.extract.pdf_ligatures import misread_ligatures, with_letters
from nemo_retriever_dagster.extract.pdf_scattered import is_scattered, rejoined
from nemo_retriever_dagster.extract.pdf_styles import INVISIBLE_MODES, Style, read_styles
from nemo_retriever_dagster.extract.pdf_text import composed, is_composed
from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ctypes import c_void_p

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.extract.pdf_codes import Kinds, Places
    from nemo_retriever_dagster.model import Box

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

F = TypeVar("F", np.float32, np.float64)

_TINY = 1.0  # points; nobody reads type of this size
_ASCENT, _DESCENT = 0.89, 0.21  # of the type's size: what most fonts say
_UPRIGHT = 1.5  # of the type's size: a character is no higher, unless it is turned
_CORNERS = ((0, 1, 0, 1), (3, 0, 3, 0), (2, 3, 2, 3), (1, 2, 1, 2))
"""By quarter turns: the sides of the page (-left, top, right, -bottom) that x0, y0, x1, y1 are counted from."""
_SIDES = tuple(
    (order, np.array(signs, dtype=np.float32))
    for order, signs in (
        ((0, 1, 2, 3), (1, -1, 1, -1)),
        ((3, 0, 1, 2), (1, 1, 1, 1)),
        ((2, 3, 0, 1), (-1, 1, -1, 1)),
        ((1, 2, 3, 0), (-1, -1, -1, -1)),
    )
)
"""By quarter turns: which of left, top, right, bottom each of x0, y0, x1, y1 is, and whether it grows with it."""
_FAR = 1e7  # points
_LAST_OF_ONE_UNIT = 0xFFFF  # characters beyond are two units in UTF-16


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """The text of a page as PDFium gives it, the kinds of its characters, and where more is asked about them."""

    handle: c_void_p
    text: str
    kinds: Kinds
    aligned: bool
    """Whether a character of ``text`` is the character of the same number in PDFium's list."""
    runs_left: bool
    """Whether any of the text is in a script that runs to the left."""


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

    def place(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Turn points of user space into those of the shown page."""
        if self.turns == 0:
            return x - self.left, self.top - y
        if self.turns == 1:
            return y - self.bottom, x - self.left
        if self.turns == 2:  # noqa: PLR2004 - upside down
            return self.right - x, y - self.bottom
        return self.top - y, self.right - x

    def show(self, boxes: Floats) -> Floats:
        """Turn an (n, 4) array of left, top, right, bottom into x0, y0, x1, y1."""
        order, signs = _SIDES[self.turns]
        sides = (-self.left, self.top, self.right, -self.bottom)
        shift = np.array([sides[corner] for corner in _CORNERS[self.turns]], dtype=np.float32)
        turned = boxes[:, order] if self.turns else boxes
        shown: Floats = turned * signs + shift
        return shown


def within_reach(coordinates: NDArray[F]) -> NDArray[F]:
    """Return coordinates, those of a damaged file held within what no page reaches."""
    if len(coordinates) and coordinates.min() >= -_FAR and coordinates.max() <= _FAR:  # not so with a NaN among them
        return coordinates
    kept: NDArray[F] = np.minimum(np.maximum(coordinates, -_FAR), _FAR)
    kept[np.isnan(kept)] = 0.0
    return kept


def bounded(boxes: NDArray[Any]) -> Floats:
    """Return coordinates as float32, `within_reach`."""
    return within_reach(boxes).astype(np.float32, copy=False)


def page_frame(page: Any) -> Frame:
    """Return the frame of a pypdfium2 page, from its crop box and rotation."""
    left, bottom, right, top = within_reach(np.array(pdf_raw.page_box(page.raw), dtype=np.float64)).tolist()
    return Frame(left=left, bottom=bottom, right=right, top=top, turns=pdf_raw.page_turns(page.raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWords:
    """The words of a page in the order of the content stream; ``boxes`` is (n, 4), ``style`` indexes ``styles``."""

    frame: Frame
    text: str = ""
    words: list[str] = field(default_factory=list)
    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4), dtype=np.float32))
    style: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    styles: list[Style] = field(default_factory=list)
    runs_left: bool = False
    """Whether any of the text is in a script that runs to the left: the words of a row stand in the page's order."""
    leftward: bool = False
    """Whether the page is read to the left."""

    def mirrored(self) -> PageWords:
        """Return the words as a mirror shows them: a page that is read to the left becomes one read to the right."""
        width, boxes = self.frame.size[0], self.boxes.copy()
        boxes[:, 0], boxes[:, 2] = width - self.boxes[:, 2], width - self.boxes[:, 0]
        return replace(self, boxes=boxes)

    def without(self, boxes: Sequence[Box]) -> PageWords:
        """Return the words but those that have exactly one of the ``boxes``."""
        left_out = set(boxes)
        kept = np.array([box not in left_out for box in boxes_of(self.boxes)], dtype=np.bool_)
        words = [word for word, stays in zip(self.words, kept.tolist(), strict=True) if stays]
        return replace(self, words=words, boxes=self.boxes[kept], style=self.style[kept])

    def hidden(self, drawings: Covering) -> NDArray[np.bool_]:
        """Tell which words cannot be seen; pale text over one of the ``drawings`` can."""
        width, height = self.frame.size
        boxes = self.boxes
        found: NDArray[np.bool_] = boxes[:, 2] <= 0
        found |= boxes[:, 3] <= 0
        found |= boxes[:, 0] >= width
        found |= boxes[:, 1] >= height
        unseen = [style.invisible or 0 < style.size < _TINY for style in self.styles]
        if any(unseen):
            found |= np.array(unseen, dtype=np.bool_)[self.style]
        pale = [style.pale for style in self.styles]
        if any(pale):
            asked = np.array(pale, dtype=np.bool_)[self.style]
            found |= asked & ~self._on_something(drawings.covers, asked)
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
        looks = [(style.size, style.bold, style.italic, style.font) for style in self.styles]
        hidden: list[bool] = self.hidden(drawings).tolist()
        words = [word.replace(SOFT_HYPHEN, "-") for word in self.words]
        rows = zip(words, boxes_of(self.boxes), self.style.tolist(), hidden, strict=True)
        return tuple([glyphs_of((word, box, *looks[style], unseen)) for word, box, style, unseen in rows])


def has_invisible_line(page: PageText) -> bool:
    """Tell whether a line of a page starts with invisible type: a cheap look, one call or two a line."""
    text = page.text
    starts = accumulate([len(line) + 1 for line in text.split("\n")[:-1]], initial=0)
    objects = set(pdf_raw.text_objects(page.handle, [start for start in starts if start < len(text)]))
    return not set(INVISIBLE_MODES).isdisjoint(pdf_raw.render_modes(list(objects - {0})))


def read_text(text_page: Any) -> PageText:
    """Read the text of a pypdfium2 text page."""
    handle = pdf_raw.handle_of(text_page)
    text, units, aligned = pdf_raw.text_of(handle)
    return PageText(handle=handle, text=text, kinds=kinds_of(text, units), aligned=aligned, runs_left=runs_left(text))


def read_words(page: Any, text_page: Any) -> PageWords:
    """Read the words of a pypdfium2 page and its text page."""
    frame, read = page_frame(page), read_text(text_page)
    first, last = word_ends(read.kinds)
    if not len(first):
        return PageWords(frame=frame, text=read.text)
    if read.aligned and (cuts := cell_cuts(read.handle, read.text, read.kinds)):
        first, last = _parted(first, last, cuts)
    texts = _words(read, first, last)
    leftward = read.runs_left and is_leftward(read.text)
    if read.runs_left:
        first, last, texts = _in_rows(read, frame, (first, last, texts), leftward=leftward)
    firsts, lasts = (first.tolist(), last.tolist()) if read.aligned else _char_indices(read, first, last)
    boxes = bounded(pdf_raw.char_boxes(read.handle, firsts + lasts))
    half = len(firsts)
    style, styles = read_styles(read.handle, firsts, boxes[:half, 1] - boxes[:half, 3])
    if any(face.shallow for face in styles):
        boxes = _deepened(boxes, read.handle, firsts, style, styles)
    shown = frame.show(boxes)
    words = PageWords(
        frame=frame,
        text=read.text,
        words=texts,
        boxes=_hulls(shown[:half], shown[half:]),
        style=style,
        styles=styles,
        runs_left=read.runs_left,
        leftward=leftward,
    )
    return rejoined(words) if is_scattered(words) else words


def _deepened(
    boxes: Floats, handle: c_void_p, firsts: list[int], style: NDArray[np.intp], styles: list[Style]
) -> Floats:
    """Return the boxes, in user space, of words' first and last characters; those of shallow fonts as high as others'.

    PDFium gives the box of what is drawn where a font names no height: lines with and without a "g" would differ.
    """
    sizes = np.array([face.size if face.shallow else 0.0 for face in styles], dtype=np.float32)[style]
    lines = pdf_raw.char_baselines(handle, firsts)
    half = len(firsts)
    level = (sizes > 0) & (lines >= boxes[:half, 3] - _TINY) & (lines < boxes[:half, 1])
    level &= boxes[:half, 1] - boxes[:half, 3] < _UPRIGHT * sizes
    reach = np.where(level, sizes, 0)
    deep = boxes.copy()
    for part in (deep[:half], deep[half:]):
        np.maximum(part[:, 1], lines + _ASCENT * reach, out=part[:, 1], where=level)
        np.minimum(part[:, 3], lines - _DESCENT * reach, out=part[:, 3], where=level)
    return deep


def _hulls(ones: Floats, others: Floats) -> Floats:
    hulls = np.empty_like(ones)
    np.minimum(ones[:, :2], others[:, :2], out=hulls[:, :2])
    np.maximum(ones[:, 2:], others[:, 2:], out=hulls[:, 2:])
    return hulls


def _parted(first: Places, last: Places, cuts: list[int]) -> tuple[Places, Places]:
    """Return the ends of the words parted where cells start inside them."""
    at = np.array(cuts, dtype=first.dtype)
    return np.sort(np.concatenate((first, at))), np.sort(np.concatenate((last, at - 1)))


def _words(read: PageText, first: Places, last: Places) -> list[str]:
    """Return the words with these ends, ligatures and accents spelt out."""
    words = words_of(read.text, read.kinds, first, last)
    letters = misread_ligatures(read)
    if letters:
        words = [
            with_letters(word, {at - start: value for at, value in letters.items() if start <= at <= end})
            for word, start, end in zip(words, first.tolist(), last.tolist(), strict=True)
        ]
    return words if is_composed(read.text) else [composed(word) for word in words]


def _in_rows(
    read: PageText, frame: Frame, words: tuple[Places, Places, list[str]], *, leftward: bool
) -> tuple[Places, Places, list[str]]:
    """Return the ends and the texts of the words of a page with text that runs to the left, see `in_rows`."""

    def placing(places: Sequence[int]) -> list[Box]:
        characters = places if read.aligned else _char_indices(read, np.array(places, dtype=np.intp))[0]
        return boxes_of(frame.show(bounded(pdf_raw.char_boxes(read.handle, characters))))

    first, last, texts = words
    found = in_rows(
        read.text,
        read.kinds,
        list(map(PlacedWord, texts, first.tolist(), last.tolist())),
        placing,
        leftward=leftward,
    )
    ends = np.array([(word.first, word.last) for word in found], dtype=first.dtype).reshape(-1, 2)
    return ends[:, 0], ends[:, 1], [word.text for word in found]


def _char_indices(read: PageText, *places: Places) -> tuple[list[int], ...]:
    """Return the indices in PDFium's list of the characters at the given places of the text."""
    wide = np.frombuffer(read.text.encode("utf-32-le", "replace"), dtype=np.uint32) > _LAST_OF_ONE_UNIT
    units = np.arange(len(wide)) + wide.cumsum() - wide
    return tuple(pdf_raw.char_indices(read.handle, units[some].tolist()) for some in places)
