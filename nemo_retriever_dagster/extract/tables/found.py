"""What a table finder returns, and the scale it measures a page by."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs
    from nemo_retriever_dagster.model import Box, Table

FEWEST = 2  # rows and columns of a table
MOSTLY = 0.5  # the share from which a part counts for the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table and its place on the page.

    ``box`` is in the unit of the page's geometry, ``ruled`` tells that lines drew its grid, ``confidence`` is 0 to 1.
    """

    box: Box
    table: Table
    ruled: bool
    confidence: float


def line_height(words: Sequence[Glyphs]) -> float:
    """Return the middle height of the words' boxes, 0 without words: every tolerance is a share of it."""
    return median(word.box.height for word in words) if words else 0.0
