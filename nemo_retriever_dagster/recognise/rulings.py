"""The straight lines drawn on a page that was scanned: what keeps the cells of its tables apart."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nemo_retriever_dagster.extract.geometry import Ruling
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nemo_retriever_dagster.model import Picture

    Dark = NDArray[np.bool_]

_DARKER = 60  # than the paper, of 255
_LINE_DARKER, _BESIDE = 16, (3, 6)  # than what lies so many pixels to both sides of a line, near or far
_CROSSING, _AS_DARK = 3, 10  # pixels to either side of where another line crosses, which is as dark as both
_NOISE = 0.2  # of all pixels: more are darker than those beside them in noise
_LONG = 40  # a line is at least this part of the page's shorter side: longer than a letter is high
_SHORTEST = 24  # pixels: noise makes shorter ones
_THIN = 150  # and at most this part of it thick
_DRIFT = 2  # pixels between two steps of a line that leans
_BREAK = 6  # pixels a worn line may miss
_MANY = 20_000  # runs of dark pixels: a photograph


@dataclass(slots=True)
class _Line:
    """Runs of dark pixels in neighbouring rows; ``level`` is their weighted row."""

    last: int
    start: int
    end: int
    pixels: int
    level: float

    def goes_on(self, start: int, end: int) -> bool:
        return start <= self.end + _BREAK and end >= self.start - _BREAK

    def add(self, row: int, start: int, end: int) -> None:
        self.last = row
        self.start, self.end = min(self.start, start), max(self.end, end)
        self.pixels += end - start
        self.level += row * (end - start)


def rulings_of(picture: Picture) -> tuple[Ruling, ...]:
    """Return the long thin dark lines of a picture along x and y, in pixels; a slight lean is straightened."""
    with Image.open(io.BytesIO(picture.data)) as opened:
        grey = np.asarray(opened.convert("L"))
    side = min(grey.shape)
    length, thick = max(side // _LONG, _SHORTEST), max(side / _THIN, 4.0)
    across = [
        Ruling(box=Box(float(line.start), level, float(line.end), level + 1), horizontal=True)
        for line, level in _lines(_line_pixels(grey), length, thick)
    ]
    upright = [
        Ruling(box=Box(level, float(line.start), level + 1, float(line.end)), horizontal=False)
        for line, level in _lines(_line_pixels(np.ascontiguousarray(grey.T)), length, thick)
    ]
    return (*across, *upright)


def dark_pixels(grey: NDArray[np.uint8]) -> Dark:
    """Return which pixels of a picture are clearly darker than its paper."""
    found: Dark = grey < max(int(np.median(grey)) - _DARKER, 0)
    return found


def _line_pixels(grey: NDArray[np.uint8]) -> Dark:
    """Return which pixels may be of a line along the rows: dark ones, and those of thin lines in grey or in shade."""
    dark = dark_pixels(grey)
    thin = _thin_pixels(grey)
    if thin.mean() < _NOISE:
        dark |= thin
        dark[:, _CROSSING:-_CROSSING] |= _crossed(dark, grey)
    return dark


def _thin_pixels(grey: NDArray[np.uint8]) -> Dark:
    """Return which pixels are darker than those above and below; a word may stand close over a thin line."""
    thin = np.zeros(grey.shape, dtype=np.bool_)
    for far in _BESIDE:
        if len(grey) > 2 * far:
            lighter = np.minimum(grey[: -2 * far], grey[2 * far :])
            thin[far:-far] |= lighter > _lighter(grey[far:-far], _LINE_DARKER)
    return thin


def _crossed(line: Dark, grey: NDArray[np.uint8]) -> Dark:
    """Return where a line goes on behind another that crosses it, short of its ends."""
    left, right, middle = slice(None, -2 * _CROSSING), slice(2 * _CROSSING, None), slice(_CROSSING, -_CROSSING)
    as_dark = grey[:, middle] <= _lighter(np.maximum(grey[:, left], grey[:, right]), _AS_DARK)
    found: Dark = line[:, left] & line[:, right] & as_dark
    return found


def _lighter(grey: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    return np.minimum(grey, 255 - by) + np.uint8(by)


def _lines(dark: Dark, length: int, thick: float) -> Iterable[tuple[_Line, float]]:
    """Yield the thin lines along the rows of ``dark`` and the row each is at."""
    rows, starts, ends = _runs(_thickened(dark), length)
    if len(rows) > _MANY:
        return
    for line in _joined(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)):
        # thickened by a row above and a row below
        if line.pixels / (line.end - line.start) - 2 <= thick:
            yield line, line.level / line.pixels


def _thickened(dark: Dark) -> Dark:
    """Spread dark pixels a row up and down, so that a line that leans makes no short steps."""
    result = dark.copy()
    result[1:] |= dark[:-1]
    result[:-1] |= dark[1:]
    return result


def _runs(dark: Dark, length: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return row, start and end (half-open) of the dark runs of at least ``length`` pixels, from the top."""
    width = dark.shape[1] + 1
    flat = np.zeros((dark.shape[0], width), dtype=np.int8)  # a light column ends each row
    flat[:, :-1] = dark
    edges = np.flatnonzero(np.diff(flat.ravel(), prepend=0))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= length
    starts, ends = starts[long], ends[long]
    return starts // width, starts % width, ends - starts // width * width


def _joined(runs: Iterable[tuple[int, int, int]]) -> list[_Line]:
    lines: list[_Line] = []
    growing: list[_Line] = []
    for row, start, end in runs:
        growing = [line for line in growing if row - line.last <= _DRIFT]
        line = next((line for line in growing if line.goes_on(start, end)), None)
        if line is None:
            line = _Line(row, start, end, 0, 0.0)
            lines.append(line)
            growing.append(line)
        line.add(row, start, end)
    return lines
