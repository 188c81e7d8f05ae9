"""Words to lines of text, and a line to the segments that wide blanks leave."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.scripts import SOFT_HYPHEN, joint
from nemo_retriever_dagster.extract.tables.found import MOSTLY
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

_CORE = 0.35  # of a word's height, up and down from its middle: a word with its middle there is on the same line


class Segment(NamedTuple):
    """Words that stand side by side with no more than a blank between them."""

    words: tuple[Glyphs, ...]
    box: Box

    @property
    def text(self) -> str:
        """The words, joined by blanks."""
        return " ".join(word.text for word in self.words)


class Line(NamedTuple):
    """The segments of one line of the page, left to right."""

    segments: tuple[Segment, ...]
    box: Box

    def words(self) -> list[Glyphs]:
        """Return the words of all segments."""
        return [word for segment in self.segments for word in segment.words]


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around ``boxes``, of which there is at least one."""
    kept = list(boxes)
    if len(kept) == 1:
        return kept[0]
    x0, y0, x1, y1 = zip(*kept, strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def mostly_in(box: Box, area: Box) -> bool:
    """Tell whether more than half of a box lies in an area."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = area
    if x1 <= left or x0 >= right or y1 <= top or y0 >= bottom:  # asked of every word and drawing: most are apart
        return False
    width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
    return width > 0 and height > 0 and width * height > MOSTLY * (x1 - x0) * (y1 - y0)


def segment_of(words: Iterable[Glyphs]) -> Segment:
    """Return the words, at least one, as a segment."""
    kept = tuple(words)
    return Segment(kept, around([word.box for word in kept]))


def line_of(segments: Iterable[Segment]) -> Line:
    """Return the segments, at least one, as a line."""
    kept = tuple(segments)
    return Line(kept, around([segment.box for segment in kept]))


def text_lines(words: Iterable[Glyphs]) -> list[list[Glyphs]]:
    """Return the words by line, top to bottom, each line left to right."""
    # the place in the list decides between equal keys: words have no order of their own
    ordered = sorted(
        [(y0 + y1, x0, i, (y1 - y0) * _CORE, word) for i, word in enumerate(words) for x0, y0, _, y1 in (word.box,)]
    )
    lines: list[list[tuple[float, int, Glyphs]]] = []
    middle = reach = 0.0
    for double, x0, i, core, word in ordered:
        here = double / 2
        if lines and abs(here - middle) <= max(reach, core):
            lines[-1].append((x0, i, word))
            if core > reach:
                middle, reach = here, core
        else:
            lines.append([(x0, i, word)])
            middle, reach = here, core
    return [[word for _, _, word in sorted(line)] for line in lines]


def blank_width(lines: Iterable[Sequence[Glyphs]], height: float) -> float:
    """Return the usual width of the blank between two words of a line, held to 0.15 to 0.6 of the line ``height``."""
    gaps = sorted(gap for line in lines for a, b in pairwise(line) if 0 < (gap := b.box.x0 - a.box.x1) < 0.8 * height)
    usual = gaps[int(0.4 * len(gaps))] if gaps else 0.25 * height
    return min(max(usual, 0.15 * height), 0.6 * height)


def wide_line(words: Sequence[Glyphs], wide: float) -> Line:
    """Split a line of words where the blank is wider than ``wide``."""
    part = [words[0]]
    parts = [part]
    reach = words[0].box.x1
    for word in words[1:]:
        x0, _, x1, _ = word.box
        if x0 - reach > wide:
            parts.append(part := [word])
        else:
            part.append(word)
        reach = max(reach, x1)
    return line_of(segment_of(part) for part in parts)


def cell_text(words: Iterable[Glyphs]) -> str:
    """Return the text of a cell: its lines joined by blanks, a word that a hyphen splits over two lines joined."""
    words = list(words)
    if len(words) == 1:
        return words[0].text.replace(SOFT_HYPHEN, "")
    text = ""
    for line in text_lines(words):
        piece = " ".join(word.text for word in line)
        if text.endswith(SOFT_HYPHEN) or _broken(text, piece):
            text = text[:-1] + piece
        else:
            text = f"{text}{joint(text, piece)}{piece}" if text else piece
    return text.replace(SOFT_HYPHEN, "")


def _broken(text: str, rest: str) -> bool:
    return len(text) > 1 and text[-1] == "-" and text[-2].isalpha() and rest[:1].islower()
