"""Words to lines of text, and a line to the segments that wide blanks leave."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.extract.geometry import Glyphs

SOFT_HYPHEN = "\u00ad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Words that stand side by side with no more than a blank between them."""

    words: tuple[Glyphs, ...]
    box: Box

    @property
    def text(self) -> str:
        """The words, joined by blanks."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The segments of one line of the page, left to right."""

    segments: tuple[Segment, ...]
    box: Box


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around ``boxes``, of which there is at least one."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return Box(min(x0), min(y0), max(x1), max(y1))


def text_lines(words: Iterable[Glyphs]) -> list[list[Glyphs]]:
    """Return the words by line, top to bottom, each line left to right.

    A word belongs to a line when its middle is inside the line's core (the middle half of the line's height).
    """
    lines: list[list[Glyphs]] = []
    cores: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda word: (word.box.y0 + word.box.y1, word.box.x0)):
        middle = (word.box.y0 + word.box.y1) / 2
        reach = max(word.box.height, 1e-6) * 0.35
        if lines and abs(middle - cores[-1][0]) <= max(reach, cores[-1][1]):
            lines[-1].append(word)
            if word.box.height * 0.35 > cores[-1][1]:
                cores[-1] = (middle, reach)
        else:
            lines.append([word])
            cores.append((middle, reach))
    return [sorted(line, key=lambda word: word.box.x0) for line in lines]


def blank_width(lines: Iterable[Sequence[Glyphs]], height: float) -> float:
    """Return the usual width of the blank between two words of a line, held to 0.15 to 0.35 of the line ``height``."""
    gaps = [
        gap
        for line in lines
        for left, right in zip(line, line[1:], strict=False)
        if 0 < (gap := right.box.x0 - left.box.x1) < 0.6 * height
    ]
    usual = median(gaps) if gaps else 0.25 * height
    return min(max(usual, 0.15 * height), 0.35 * height)


def segment_line(line: Sequence[Glyphs], wide: float) -> Line:
    """Split a line of words where the blank is wider than ``wide``."""
    parts: list[list[Glyphs]] = [[line[0]]]
    reach = line[0].box.x1
    for word in line[1:]:
        if word.box.x0 - reach > wide:
            parts.append([word])
        else:
            parts[-1].append(word)
        reach = max(reach, word.box.x1)
    segments = tuple(Segment(words=tuple(part), box=around(word.box for word in part)) for part in parts)
    return Line(segments=segments, box=around(segment.box for segment in segments))


def cell_text(words: Sequence[Glyphs]) -> str:
    """Return the text of a cell: its lines joined by blanks, a word that a hyphen splits over two lines joined."""
    text = ""
    for line in text_lines(words):
        piece = " ".join(word.text for word in line)
        if text.endswith(SOFT_HYPHEN):
            text = text[:-1] + piece
        elif len(text) > 1 and text[-1] == "-" and text[-2].isalpha() and piece[:1].islower():
            text = text[:-1] + piece
        else:
            text = f"{text} {piece}" if text else piece
    return text.replace(SOFT_HYPHEN, "")
