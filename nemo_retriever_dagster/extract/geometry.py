"""What a page looks like to the layout and table finders: words with their type, rulings, fills, pictures.

All boxes are in one unit (points for PDF, pixels for scans), origin top-left of the page as it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

_box = partial(tuple.__new__, Box)  # a third of the time of `Box(...)`: a page has hundreds
_SHARED = 0.5


def boxes_of(rows: NDArray[Any]) -> list[Box]:
    """Return the rows of an (n, 4) array as boxes."""
    return list(map(_box, rows.tolist()))


def level(one: Box, other: Box) -> bool:
    """Tell whether two boxes are of one row: they share more than half of the height of the lower of them."""
    return min(one.y1, other.y1) - max(one.y0, other.y0) > _SHARED * min(one.height, other.height)


class Glyphs(NamedTuple):
    """A word (no blanks inside) as it is set on the page. ``size`` is the font's height in the page's unit."""

    text: str
    box: Box
    size: float = 0.0
    bold: bool = False
    italic: bool = False
    font: str = ""
    hidden: bool = False
    """Drawn invisibly (render mode 3, white on white, off the page): kept, and flagged."""


glyphs_of = partial(tuple.__new__, Glyphs)
"""Make `Glyphs` of an iterable with all of its fields, as `boxes_of` makes boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A straight line along x (``horizontal``) or y; a thin filled rectangle counts as one."""

    box: Box
    horizontal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGeometry:
    """One page.

    ``words`` are in the order of the content stream, ``fills`` are coloured areas, ``pictures`` raster images.
    """

    size: tuple[float, float]
    words: tuple[Glyphs, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    fills: tuple[Box, ...] = ()
    pictures: tuple[Box, ...] = ()
    drawings: tuple[Box, ...] = ()
    """Boxes of the other path objects (curves, bars, shapes)."""
