"""Typewriter faces: told by their name, and the numbers set before the lines of a listing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.geometry import level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.extract.layout import Line

_NAME = re.compile(
    r"mono|courier|consol|typewriter|menlo|monaco|(?<!uni)code|nimbusmon|letter ?gothic|iosevka|tt\d+|xb?tt\b",
    re.IGNORECASE,
)
"""TeX's are cmtt10, sftt1000, txtt, t1xbtt; "Arial Unicode" is none."""
_DIGITS = 5  # of a line's number
_PITCH = 0.55  # of the type's size: how wide a character is where the line is too short to tell
_FEW = 4  # characters


@lru_cache(maxsize=1024)
def is_typewriter(font: str) -> bool:
    """Tell by its name whether all characters of a font are equally wide."""
    return bool(_NAME.search(font))


def is_line_number(text: str) -> bool:
    """Tell whether a text may be the number of a line in a listing."""
    return len(text) <= _DIGITS and text.isdecimal()


def pitch(line: Line) -> float:
    """Return how wide a character of a typewriter line is."""
    return line.box.width / len(line.text) if len(line.text) >= _FEW else _PITCH * line.size


def blanks(before: Line, after: Line) -> str:
    """Return as many blanks as stand between two pieces of a row of typewriter, at least one."""
    return " " * max(1, round((after.box.x0 - before.box.x1) / (pitch(after) or 1.0)))


def beside(before: Line, after: Line) -> bool:
    """Tell whether a line stands right of another one, on its row."""
    return after.box.x0 >= before.box.x1 and level(before.box, after.box)


def with_line_numbers(lines: Sequence[Line]) -> list[Line]:
    """Put the numbers of a listing's lines, written before these, into them; the numbers may be in any type."""
    if not any(line.typewriter for line in lines):
        return list(lines)
    kept: list[Line] = []
    for line in lines:
        last = kept[-1] if kept else None
        if last and line.typewriter and is_line_number(last.text) and beside(last, line):
            text = last.text + blanks(last, line) + line.text
            kept[-1] = line._replace(text=text, box=last.box.union(line.box), order=last.order)
        else:
            kept.append(line)
    for at in range(1, len(kept)):
        above, line = kept[at - 1], kept[at]
        if _numbers_nothing(above, line):
            kept[at] = line._replace(typewriter=True, size=above.size)
    return kept


def _numbers_nothing(above: Line, line: Line) -> bool:
    """Tell whether a number is that of an empty line of a listing, below the one above."""
    number = above.text.split(" ", 1)[0]
    counts = above.typewriter and is_line_number(number) and is_line_number(line.text)
    return counts and not line.typewriter and int(line.text) == int(number) + 1
