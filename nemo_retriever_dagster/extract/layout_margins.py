"""Numbers of lines in the margin, as pleadings, transcripts and manuscripts have them: set apart from the text."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.geometry import level
from nemo_retriever_dagster.extract.typewriter import is_line_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_FEWEST = 8  # numbers
_EDGE = 1.5  # points: numbers of one column share an edge
_COUNTING = 0.9  # of the numbers follow the one before by the usual step
_ALONE = 0.85  # of the numbers have one piece of text beside them: rows of a table have more
_WORDS = 4.0  # a line, on average
_GOING_ON = 0.2  # of the lines start inside a sentence: those of numbered entries do not
_WIDE, _FULL = 0.4, 0.75  # share of lines that are as wide as this share of the widest


def margin_numbers(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that are numbers in the margin beside lines of prose, from top to bottom; mostly none."""
    numbers = [line for line in lines if is_line_number(line.text)]
    if len(numbers) < _FEWEST:
        return []
    for edge in (2, 0):
        usual = median(line.box[edge] for line in numbers)
        column = sorted((n for n in numbers if abs(n.box[edge] - usual) < _EDGE), key=lambda line: line.box.y0)
        if _counts(column) and _is_beside_prose(column, lines):
            return column
    return []


def _counts(column: Sequence[Line]) -> bool:
    if len(column) < _FEWEST:
        return False
    steps = [int(below.text) - int(above.text) for above, below in pairwise(column)]
    usual = median(steps)
    return usual > 0 and sum(step == usual for step in steps) >= _COUNTING * len(steps)


def _is_beside_prose(column: Sequence[Line], lines: Sequence[Line]) -> bool:
    left, right = min(line.box.x0 for line in column), max(line.box.x1 for line in column)
    beside = [[line for line in lines if level(line.box, number.box) and line is not number] for number in column]
    alone = [row[0] for row in beside if len(row) == 1]
    if len(alone) < _ALONE * len(column) or 2 * sum(line.typewriter for line in alone) > len(alone):
        return False
    if not (all(line.box.x0 >= right for line in alone) or all(line.box.x1 <= left for line in alone)):
        return False
    widths = [line.box.width for line in alone]
    wide = sum(width >= _FULL * max(widths) for width in widths)
    words = sum(line.text.count(" ") + 1 for line in alone)
    if sum(line.text[0].islower() for line in alone) < _GOING_ON * len(alone):
        return False
    return wide >= _WIDE * len(alone) and words >= _WORDS * len(alone)
