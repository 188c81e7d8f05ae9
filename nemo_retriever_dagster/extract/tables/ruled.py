"""Drawn grids: rulings that touch form a frame, its elementary fields join to cells where no wall stands."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.extract.geometry import Ruling

WALL_SHARE = 0.6  # of a field's side that rulings must cover to count as a wall
MAX_FIELDS = 100_000  # of a grid, for the same reason
MAX_LINES = 4000  # of a page; a page with more is a drawing, and would cost seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A straight line: its place across (``at``) and its extent along it."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Strokes that touch each other, and the coordinates of the grid they draw."""

    across: tuple[Stroke, ...]
    upright: tuple[Stroke, ...]
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A cell of a grid as half-open ranges of its rows and columns."""

    row: int
    column: int
    row_end: int
    column_end: int


def strokes(rulings: Iterable[Ruling], *, horizontal: bool, slack: float) -> list[Stroke]:
    """Return the rulings of one direction with those on one line, ``slack`` or less apart, made one."""
    raw = sorted(_stroke(ruling) for ruling in rulings if ruling.horizontal is horizontal)
    merged: list[Stroke] = []
    for group in _near(raw, slack / 2):
        merged += _join_on_line(group, slack)
    return merged


def _stroke(ruling: Ruling) -> tuple[float, float, float]:
    x0, y0, x1, y1 = ruling.box
    return ((y0 + y1) / 2, x0, x1) if ruling.horizontal else ((x0 + x1) / 2, y0, y1)


def _near(raw: Sequence[tuple[float, float, float]], slack: float) -> list[list[tuple[float, float, float]]]:
    groups: list[list[tuple[float, float, float]]] = []
    for item in raw:
        if groups and item[0] - groups[-1][0][0] <= slack:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _join_on_line(group: Sequence[tuple[float, float, float]], slack: float) -> list[Stroke]:
    joined: list[list[float]] = []
    for at, start, end in sorted(group, key=lambda item: item[1]):
        if joined and start - joined[-1][2] <= slack:
            joined[-1][2] = max(joined[-1][2], end)
        else:
            joined.append([at, start, end])
    return [Stroke(at=at, start=start, end=end) for at, start, end in joined]


def frames(across: Sequence[Stroke], upright: Sequence[Stroke], slack: float) -> list[Frame]:
    """Group the strokes that cross or touch (within ``slack``); a frame has at least two of each direction."""
    if not across or not upright or len(across) + len(upright) > MAX_LINES:
        return []
    touching = _touching(across, upright, slack)
    found = []
    for rows, columns in _components(touching):
        if len(rows) > 1 and len(columns) > 1:
            found.append(_frame([across[i] for i in rows], [upright[i] for i in columns]))
    return found


def _touching(across: Sequence[Stroke], upright: Sequence[Stroke], slack: float) -> NDArray[np.bool_]:
    h = np.array([(s.at, s.start, s.end) for s in across])[:, None, :]
    v = np.array([(s.at, s.start, s.end) for s in upright])[None, :, :]
    met: NDArray[np.bool_] = (
        (v[..., 0] >= h[..., 1] - slack)
        & (v[..., 0] <= h[..., 2] + slack)
        & (h[..., 0] >= v[..., 1] - slack)
        & (h[..., 0] <= v[..., 2] + slack)
    )
    return met


def _components(touching: NDArray[np.bool_]) -> list[tuple[list[int], list[int]]]:
    """Return the connected parts of the graph of rows and columns that ``touching`` describes."""
    free = np.ones(touching.shape[0], dtype=bool)
    parts = []
    for seed in range(touching.shape[0]):
        if not free[seed]:
            continue
        rows = np.zeros(touching.shape[0], dtype=bool)
        rows[seed] = True
        while True:
            columns = touching[rows].any(axis=0)
            grown = touching[:, columns].any(axis=1) | rows
            if (grown == rows).all():
                break
            rows = grown
        free &= ~rows
        parts.append((np.flatnonzero(rows).tolist(), np.flatnonzero(columns).tolist()))
    return parts


def _frame(across: Sequence[Stroke], upright: Sequence[Stroke]) -> Frame:
    x = [s.at for s in upright] + [v for s in across for v in (s.start, s.end)]
    y = [s.at for s in across] + [v for s in upright for v in (s.start, s.end)]
    return Frame(across=tuple(across), upright=tuple(upright), box=Box(min(x), min(y), max(x), max(y)))


def coordinates(lines: Iterable[Stroke], low: float, high: float, slack: float) -> list[float]:
    """Return the places of ``lines`` in order, one for those within ``slack``, ``low`` and ``high`` at the ends."""
    places: list[float] = [low]
    for at in sorted(line.at for line in lines):
        if at - places[-1] > slack:
            places.append(at)
    if high - places[-1] > slack:
        places.append(high)
    return places


def walls(lines: Sequence[Stroke], places: Sequence[float], ends: Sequence[float], slack: float) -> NDArray[np.bool_]:
    """Tell for each place and each stretch between two neighbours of ``ends`` whether a line stands there.

    Shape (len(places), len(ends) - 1). The first and the last place always have one: they close the table.
    """
    stand = np.zeros((len(places), len(ends) - 1), dtype=bool)
    starts, stops = np.array(ends[:-1]), np.array(ends[1:])
    ordered = sorted(lines, key=_at)
    for i, place in enumerate(places):
        covered = np.zeros(len(starts))
        near = slice(bisect_left(ordered, place - slack, key=_at), bisect_right(ordered, place + slack, key=_at))
        for line in ordered[near]:
            covered += np.clip(np.minimum(stops, line.end) - np.maximum(starts, line.start), 0, None)
        stand[i] = covered >= WALL_SHARE * (stops - starts)
    stand[0] = stand[-1] = True
    return stand


def _at(line: Stroke) -> float:
    return line.at


def fields(across: NDArray[np.bool_], upright: NDArray[np.bool_]) -> list[Field]:
    """Join the elementary fields of a grid into rectangles where no wall stands between them.

    ``across[i, c]``: a wall above row i in column c; ``upright[j, r]``: a wall left of column j in row r.
    """
    height, width = across.shape[0] - 1, upright.shape[0] - 1
    taken = np.zeros((height, width), dtype=bool)
    found = []
    for r in range(height):
        for c in range(width):
            if taken[r, c]:
                continue
            right = c + 1
            while right < width and not upright[right, r] and not taken[r, right]:
                right += 1
            below = r + 1
            while below < height and not across[below, c:right].any() and not _split(upright, below, c, right):
                below += 1
            taken[r:below, c:right] = True
            found.append(Field(row=r, column=c, row_end=below, column_end=right))
    return found


def _split(upright: NDArray[np.bool_], row: int, left: int, right: int) -> bool:
    """Tell whether a wall stands inside columns ``left`` to ``right`` of a row, or the row does not end with them."""
    inner = bool(upright[left + 1 : right, row].any())
    return inner or not (upright[left, row] and upright[right, row])
