"""How far a scanned page leans, and the same page upright: lines of text and rulings lie along the rows again."""

from __future__ import annotations

import io
import math
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nemo_retriever_dagster.model import Box, Picture
from nemo_retriever_dagster.recognise.rulings import dark_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 15.0  # degrees to either side
_COARSE, _FINE = 0.5, 0.05  # degrees from one try to the next
_LEAST = 0.15  # degrees: less moves the end of a line by less than it is high
_SIDE = 1000  # pixels of the longer side at which the page is looked at
_CLEARER = 1.15  # than the page as it is
_SHARPER = 6.0  # than at most angles: photographs and noise have none that stands out
_HIGH = 8  # pixels; what is dark at one, two and three times this height is no letter
_FEW, _MANY = 150, 150_000  # lower edges: next to nothing, or a photograph


def tilt_of(picture: Picture) -> float:
    """Return by how many degrees the lines of a page rise to the right (negative: fall), 0 where that is not clear.

    Rows of text lie under one another where the page is upright: then some rows of pixels are dark and others light.
    """
    with Image.open(io.BytesIO(picture.data)) as opened:
        grey = opened.convert("L")
        grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    ys, xs = np.nonzero(_lower_edges(dark_pixels(np.asarray(grey))))
    if not _FEW <= len(ys) <= _MANY:
        return 0.0
    coarse = {angle: _sharpness(ys, xs, angle) for angle in _around(0.0, _MOST, _COARSE)}
    middle = max(coarse, key=coarse.__getitem__)
    fine = {angle: _sharpness(ys, xs, angle) for angle in _around(middle, _COARSE, _FINE)}
    best = max(fine, key=fine.__getitem__)
    clear = fine[best] >= _CLEARER * coarse[0.0] and fine[best] >= _SHARPER * median(coarse.values())
    return best if clear and _LEAST <= abs(best) < _MOST else 0.0


def _lower_edges(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the dark pixels above light ones, those of dark margins left out: the letters' lie along base lines."""
    edges = dark.copy()
    edges[:-1] &= ~dark[1:]
    edges[3 * _HIGH :] &= ~(dark[: -3 * _HIGH] & dark[_HIGH : -2 * _HIGH] & dark[2 * _HIGH : -_HIGH])
    return edges


def _around(middle: float, reach: float, step: float) -> list[float]:
    steps = round(reach / step)
    return [middle + step * n for n in range(-steps, steps + 1)]


def _sharpness(ys: NDArray[np.intp], xs: NDArray[np.intp], angle: float) -> float:
    """Return how much the pixels a row differ from row to row when the page is turned by ``angle`` degrees."""
    rows = np.rint(ys + xs * math.tan(math.radians(angle))).astype(np.intp)
    counts = np.bincount(rows - rows.min())
    return float(np.square(np.diff(counts)).sum())


def upright(picture: Picture, tilt: float) -> Picture:
    """Return a picture turned back by its tilt, of the same size and format, its corners of the paper's colour."""
    with Image.open(io.BytesIO(picture.data)) as opened:
        image, kept = opened.convert("RGB"), opened.format == "JPEG"
    paper = tuple(int(level) for level in np.median(np.asarray(image.resize((64, 64))).reshape(-1, 3), axis=0))
    out = io.BytesIO()
    turned = image.rotate(-tilt, Image.Resampling.BICUBIC, fillcolor=paper)
    turned.save(out, "JPEG" if kept else "PNG", quality=95, compress_level=1)
    media_type = "image/jpeg" if kept else "image/png"
    return Picture(data=out.getvalue(), width=image.width, height=image.height, media_type=media_type)


def leaning(box: Box, tilt: float, size: tuple[float, float]) -> Box:
    """Return the box around what ``box`` of an upright page of this size shows on the page that leans."""
    sine, cosine = math.sin(math.radians(tilt)), math.cos(math.radians(tilt))
    x, y = (box.x0 + box.x1 - size[0]) / 2, (box.y0 + box.y1 - size[1]) / 2
    middle_x, middle_y = size[0] / 2 + x * cosine + y * sine, size[1] / 2 - x * sine + y * cosine
    wide = (box.width * cosine + box.height * abs(sine)) / 2
    high = (box.height * cosine + box.width * abs(sine)) / 2
    page = Box(0.0, 0.0, *size)
    return Box(middle_x - wide, middle_y - high, middle_x + wide, middle_y + high).intersect(page)
