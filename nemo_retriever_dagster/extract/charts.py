"""Charts, told by their axes: a scale of values in even steps along one side, labels along the other, room between.

Works on words alone, so on a text layer and on OCR words alike. The text of a chart follows the order of the reference:
title, labels of the x axis, title and labels of the y axis, the rest; labels are joined with ``" - "``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nemo_retriever_dagster.extract.layout import Looks, lines_of, sorted_words
from nemo_retriever_dagster.model import Box, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

_VALUE = re.compile(
    r"[(\u2212\u2013+-]?\s?[$\u20ac\u00a3\u00a5]?\s?[\u2212-]?(?P<digits>\d[\d.,\u00a0 ]*)"
    r"\s?(?P<unit>%|[kKmMbB]n?|\u00b0[CF]?|[$\u20ac\u00a3\u00a5])?\)?"
)
_HAS_LETTER = re.compile(r"[^\W_]").search
_ZERO = re.compile(r"[$\u20ac\u00a3\u00a5]?\s?[-\u2013\u2014]")
_PERCENT = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s?%")
_MULTIPLES = {"k": 1e3, "m": 1e6, "b": 1e9}
_TICKS = 3
_LABELS = 2
_FIT = 0.995  # correlation of value and place along a scale, linear or logarithmic
_ALIGNED = 0.7  # of the type's height: edges of one scale's labels differ less
_BUSY = 0.5  # of the scale's labels with text beside them in the plot: a table
_FULL = 0.15  # of the plot covered with text: a table, or prose
_WHOLE_PIE = (97.5, 102.5)
_TALL = 1.3  # higher than wide by this: text set upright
_LETTERS = 2  # one or two letters may be higher than wide and stand level
_OTHER = 2.5  # usual steps between labels: a wider gap parts two scales
_ENOUGH = 5  # labels of a scale before one of them may be misread
_CLOSE = 0.08  # of a step: how far the steps of a short scale may differ


class FoundChart(NamedTuple):
    """A chart's place and its text."""

    box: Box
    text: str


class _Label(NamedTuple):
    text: str
    box: Box
    value: float | None

    @property
    def x(self) -> float:
        return (self.box.x0 + self.box.x1) / 2

    @property
    def y(self) -> float:
        return (self.box.y0 + self.box.y1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    across: list[_Label]  # from left to right
    up: list[_Label]  # from bottom to top
    height: float  # of the labels' type

    @property
    def box(self) -> Box:
        return _around([*self.across, *self.up])


def chart_from_words(words: Sequence[Word | Glyphs], size: tuple[float, float]) -> str | None:
    """Return the text of the chart that a picture of ``size`` shows, None if its words do not look like a chart.

    ``words`` are what OCR (or a text layer) found in the picture, boxes in the unit of ``size``, origin top-left. A pie
    is known by percentages that sum up to a hundred.
    """
    labels = _labels(words)
    axes = _axes(labels)
    if axes is not None and axes.box.width > 0.3 * size[0]:
        return _text(axes, labels)
    return _pie(labels)


def find_charts(words: Sequence[Word | Glyphs]) -> list[FoundChart]:
    """Return the charts among the words of a whole page, by their axes alone."""
    labels = _labels(words)
    found: list[FoundChart] = []
    while (axes := _axes(labels)) is not None:
        reach = _reach(axes)
        near = [label for label in labels if label.box.covered_by(reach) > 0.5]  # noqa: PLR2004 - more in than out
        found.append(FoundChart(_around(near), _text(axes, near)))
        gone = {id(label) for label in [*near, *axes.across, *axes.up]}
        labels = [label for label in labels if id(label) not in gone]
    return found


def _reach(axes: _Axes) -> Box:
    """Return the area around the axes where title, legend and axis titles stand."""
    box, h = axes.box, axes.height
    return Box(box.x0 - 3.5 * h, box.y0 - 2.6 * h, box.x1 + 1.5 * h, box.y1 + 2.6 * h)


def _labels(words: Sequence[Word | Glyphs]) -> list[_Label]:
    """Join words into labels; upright text is left in its pieces."""
    words = _sound(words)
    upright = [_Label(word.text, word.box, None) for word in words if _is_upright(word.text, word.box)]
    words = [word for word in words if not _is_upright(word.text, word.box)]
    if not words:
        return upright
    boxes = np.array([word.box for word in words], dtype=np.float32)
    order = sorted_words(boxes)
    lines = lines_of([words[i].text for i in order], boxes[order], _narrow(boxes[order]))
    return [*(_Label(line.text, line.box, value_of(line.text)) for line in lines), *upright]


def _sound(words: Sequence[Word | Glyphs]) -> list[Word | Glyphs]:
    """Leave out blanks and what OCR reads into bars: a box much higher than the type, wide or without letters."""
    words = [word for word in words if word.text.strip()]
    usual = float(np.median([word.box.height for word in words])) if words else 0.0
    return [w for w in words if w.box.height < 3 * usual or (w.box.width < 0.5 * w.box.height and _HAS_LETTER(w.text))]


def _narrow(boxes: np.ndarray) -> Looks:
    """Return looks that keep neighbouring axis labels apart: a gap of two thirds of the height ends a label."""
    looks = Looks.plain(boxes)
    return replace(looks, size=looks.size * 0.5)


def value_of(text: str) -> float | None:
    """Return the number a label shows (``$1,200``, ``15 %``, ``$-`` = 0), None if it is not one."""
    text = text.strip()
    if _ZERO.fullmatch(text):
        return 0.0
    match = _VALUE.fullmatch(text)
    if match is None:
        return None
    digits = re.sub(r"[\s\u00a0]", "", match["digits"]).rstrip(".,")
    whole, mark, rest = digits.rpartition(".") if "." in digits else digits.rpartition(",")
    grouped = len(rest) == 3 and mark == ","  # noqa: PLR2004 - 1,200
    number = f"{re.sub(r'[.,]', '', whole)}{'' if grouped else '.'}{rest}" if mark else digits
    try:
        value = float(number) * _MULTIPLES.get((match["unit"] or "")[:1].lower(), 1.0)
    except ValueError:
        return None
    return -value if text[0] in "(\u2212\u2013-" or re.match(r"[$\u20ac\u00a3\u00a5]\s?[\u2212-]", text) else value


def _axes(labels: list[_Label]) -> _Axes | None:
    if len(labels) < _TICKS + _LABELS:
        return None
    height = float(
        np.median([label.box.height for label in labels if label.box.height < _TALL * label.box.width] or [0])
    )
    values = [label for label in labels if label.value is not None]
    if not height or len(values) < _TICKS:
        return None
    for scale in _scales(values, height, upright=True):
        across = _row_below(scale, labels, height)
        if len(across) >= _LABELS and _has_room(scale, across, labels, height):
            return _Axes(across=across, up=scale, height=height)
    for scale in _scales(values, height, upright=False):
        up = _column_beside(scale, labels, height)
        if len(up) >= _LABELS and _has_room(up, scale, labels, height):
            return _Axes(across=scale, up=up, height=height)
    return None


def _scales(values: list[_Label], height: float, *, upright: bool) -> list[list[_Label]]:
    """Return the sets of labels that stand in a line and step evenly, the longest first.

    Upright scales come from bottom to top, the others from left to right.
    """
    found: list[list[_Label]] = []
    for edge in ("x1", "x0") if upright else ("y",):
        line: list[_Label] = []
        for label in sorted(values, key=lambda label: _edge(label, edge)):
            if line and _edge(label, edge) - _edge(line[-1], edge) > _ALIGNED * height:
                found.append(line)
                line = []
            line.append(label)
        found.append(line)
    pieces = [piece for line in found for piece in _split_at_gaps(line, upright=upright)]
    return sorted((piece for piece in pieces if _is_scale(piece, upright=upright)), key=len, reverse=True)


def _split_at_gaps(line: list[_Label], *, upright: bool) -> list[list[_Label]]:
    """Order the labels along their line and part them where one step is much wider than usual: another chart."""
    line = sorted(line, key=lambda label: -label.y if upright else label.x)
    places = np.array([-label.y if upright else label.x for label in line])
    steps = np.diff(places)
    if not len(steps):
        return [line]
    cuts = [0, *(np.flatnonzero(steps > _OTHER * np.median(steps)) + 1).tolist(), len(line)]
    return [line[start:end] for start, end in pairwise(cuts)]


def _edge(label: _Label, edge: str) -> float:
    return label.y if edge == "y" else float(getattr(label.box, edge))


def _is_scale(line: list[_Label], *, upright: bool) -> bool:
    if len(line) < _TICKS:
        return False
    values = np.array([label.value for label in line], dtype=np.float64)
    places = np.array([-label.y if upright else label.x for label in line])
    if (np.diff(places) <= 0).any():
        return False
    if _steps_evenly(places, values):
        return True
    others = (np.arange(len(line)) != left_out for left_out in range(len(line) if len(line) >= _ENOUGH else 0))
    return any(_steps_evenly(places[kept], values[kept]) for kept in others)


def _steps_evenly(places: np.ndarray, values: np.ndarray) -> bool:
    """Tell whether values go with places, linearly or as their logarithms."""
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    if _goes_with(places, values):
        return True
    return bool((values > 0).all()) and _goes_with(places, np.log(values))


def _goes_with(places: np.ndarray, values: np.ndarray) -> bool:
    """Tell whether values are proportional to places; few of them must be so closely, three fit a line by chance."""
    if len(values) >= _ENOUGH:
        return _correlation(places, values) >= _FIT
    slopes = np.diff(values) / np.diff(places)
    return bool(np.abs(slopes - np.median(slopes)).max() <= _CLOSE * abs(np.median(slopes)))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return abs(float(np.corrcoef(a, b)[0, 1])) if np.ptp(a) and np.ptp(b) else 0.0


def _row_below(scale: list[_Label], labels: list[_Label], height: float) -> list[_Label]:
    """Return the labels of the first row under an upright scale, right of it, continuation lines joined."""
    foot, right = scale[0].y, max(label.box.x1 for label in scale)
    depth = max(5 * height, 1.6 * (scale[0].y - scale[1].y))  # the lowest label may have been overlooked
    own = {id(label) for label in scale}
    below = [one for one in labels if id(one) not in own and foot + 0.2 * height < one.y < foot + depth]
    below = sorted((one for one in below if one.x > right - height and not _upright(one)), key=lambda label: label.y)
    row = [label for label in below if label.y - below[0].y < 0.6 * height]
    return _continued(sorted(row, key=lambda label: label.x), below, height)


def _continued(row: list[_Label], below: list[_Label], height: float) -> list[_Label]:
    """Join labels set on two lines: as many pieces under the row as it has labels, or nearly, each under one."""
    level = max((label.box.y1 for label in row), default=0.0)
    own = {id(label) for label in row}
    second = [one for one in below if id(one) not in own and -0.3 * height < one.box.y0 - level < 0.5 * height]
    pairs = {}
    for piece in second:
        over = [i for i, label in enumerate(row) if abs(label.x - piece.x) < 0.75 * height]
        if len(over) != 1:
            return row
        pairs[over[0]] = piece
    if 2 * len(pairs) < len(row):
        return row
    return [
        _Label(f"{label.text} {pairs[i].text}", label.box.union(pairs[i].box), None) if i in pairs else label
        for i, label in enumerate(row)
    ]


def _column_beside(scale: list[_Label], labels: list[_Label], height: float) -> list[_Label]:
    """Return the labels above a level scale and left of its plot, in one column, from bottom to top."""
    left, level = scale[0].x, min(label.box.y0 for label in scale)
    width = scale[-1].x - left
    above = [one for one in labels if one.box.y1 < level and one.box.x1 <= left + height and one.box.x1 > left - width]
    above = [one for one in above if not _upright(one)]
    if not above:
        return []
    edge = max(label.box.x1 for label in above)
    column = [label for label in above if edge - label.box.x1 < 2 * _ALIGNED * height]
    return sorted(column, key=lambda label: -label.y)


def _has_room(up: list[_Label], across: list[_Label], labels: list[_Label], height: float) -> bool:
    """Tell whether there is a plot: the space between the axes is mostly empty, and not filled row by row."""
    plot = Box(max(one.box.x1 for one in up), up[-1].box.y0, max(one.box.x1 for one in across), up[0].box.y1)
    if plot.width < 3 * height or plot.height < 3 * height:
        return False
    own = {id(label) for label in [*up, *across]}
    inside = [one for one in labels if id(one) not in own and one.box.covered_by(plot) > 0.5]  # noqa: PLR2004 - more in than out
    if sum(label.box.area for label in inside) > _FULL * plot.area:
        return False
    busy = sum(any(abs(label.y - tick.y) < 0.3 * height for label in inside) for tick in up)
    return busy <= _BUSY * len(up)


def _is_upright(text: str, box: Box) -> bool:
    return box.height > _TALL * box.width and len(text.strip()) > _LETTERS


def _upright(label: _Label) -> bool:
    return _is_upright(label.text, label.box)


def _text(axes: _Axes, labels: list[_Label]) -> str:
    """Put the chart's labels into the order of the reference."""
    level = min(label.box.y0 for label in axes.across)
    spent = {id(label) for label in [*axes.across, *axes.up]}
    spent |= {id(label) for label in labels if any(label.box.covered_by(other.box) > 0.9 for other in axes.across)}  # noqa: PLR2004 - a continuation line
    rest = [label for label in labels if id(label) not in spent]
    top, left = axes.up[-1].y, min(label.box.x0 for label in axes.up)
    title = [label for label in rest if label.y < top - 0.5 * axes.height and not _upright(label)]
    beside = [label for label in rest if label not in title and (_upright(label) or label.box.x1 <= left)]
    legend = [label for label in rest if label not in title and label not in beside and label.y > level]
    inside = [label for label in rest if label not in title and label not in beside and label not in legend]
    parts = [
        " ".join(label.text for label in title),
        " - ".join(label.text for label in axes.across),
        " ".join(label.text for label in _as_read(beside)),
        " - ".join(label.text for label in axes.up),
        " - ".join(label.text for label in [*legend, *inside]),
    ]
    return " ".join(part for part in parts if part)


def _as_read(beside: list[_Label]) -> list[_Label]:
    """Order the labels beside an axis from the bottom up, as upright titles read, unless their words came downwards."""
    upright = [label for label in beside if _upright(label)]
    downwards = len(upright) > 1 and upright[0].y < upright[-1].y
    return sorted(beside, key=lambda label: label.y if downwards else -label.y)


def _pie(labels: list[_Label]) -> str | None:
    text = " ".join(label.text for label in labels)
    shares = [float(share.replace(",", ".")) for share in _PERCENT.findall(text)]
    if len(shares) < _TICKS or not _WHOLE_PIE[0] <= sum(shares) <= _WHOLE_PIE[1]:
        return None
    if len(text) > 60 * len(shares):  # prose that happens to name shares
        return None
    return " - ".join(label.text for label in labels)


def _around(labels: Sequence[_Label]) -> Box:
    box = labels[0].box
    for label in labels[1:]:
        box = box.union(label.box)
    return box
