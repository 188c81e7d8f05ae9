"""Rows of a PDF page with text that runs to the left, spelt from where their characters stand.

PDFium turns such rows around by rules that hold for some programs' files and not for others': words come out backwards,
Latin words in the order seen, marks at the wrong end of them. Where a character stands is certain.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.bidi import is_mark, runs_left, spelt
from nemo_retriever_dagster.extract.pdf_codes import BLANK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nemo_retriever_dagster.extract.pdf_codes import Kinds
    from nemo_retriever_dagster.model import Box

    Placing = Callable[[Sequence[int]], Sequence[Box]]
    """Tells the boxes of characters, by their places in the text, on the page as it is shown."""

_BLANK, _NARROW = 0.16, 0.12  # of the row's height: letters of one word stand closer; so do words with a blank written
_LEVEL = 0.5  # of the row's height: a character this much higher or lower is in another row


class PlacedWord(NamedTuple):
    """A word as it is read, and the places in the text of the two characters between which it stands."""

    text: str
    first: int
    last: int


class _Letter(NamedTuple):
    """A character with its marks, and its place in the text."""

    text: str
    box: Box
    place: int


def in_rows(
    text: str, kinds: Kinds, words: Sequence[PlacedWord], placing: Placing, *, leftward: bool
) -> list[PlacedWord]:
    """Return the words of a page that has text running to the left, each row of it in the order of the page.

    That is from right to left where the page is read so (``leftward``), else from left to right. Rows without such text
    are left as they are on a page that is read to the right.
    """
    found: list[PlacedWord] = []
    starts = [word.first for word in words]
    start = 0
    for line in text.split("\n"):
        end = start + len(line) + 1
        some = words[bisect_left(starts, start) : bisect_left(starts, end)]
        if runs_left(line):
            blank = (kinds[start : end - 1] & BLANK).astype(bool)
            places, blanks = ((part.nonzero()[0] + start).tolist() for part in (~blank, blank))
            for row in _levels(text, zip(places, placing(places), strict=True)):
                spelt_again = _words_of(_letters(text, row), blanks, leftward=leftward)
                found.extend(reversed(spelt_again) if leftward else spelt_again)
        else:
            found.extend(_from_the_right(some, placing) if leftward and len(some) > 1 else some)
        start = end
    return found


def _from_the_right(words: Sequence[PlacedWord], placing: Placing) -> list[PlacedWord]:
    lefts = [box.x0 for box in placing([word.first for word in words])]
    return [words[i] for i in sorted(range(len(words)), key=lambda i: -lefts[i])]


def _levels(text: str, placed: Iterable[tuple[int, Box]]) -> Iterator[list[tuple[int, Box]]]:
    """Yield the characters of each row, in the order of the text; a mark is in the row of what was written before."""
    characters = list(placed)
    shift = _LEVEL * max((box.height for _, box in characters), default=0.0)
    row: list[tuple[int, Box]] = []
    level = 0.0
    for place, box in characters:
        if not row or not is_mark(text[place]):
            middle = (box.y0 + box.y1) / 2
            if row and abs(middle - level) > shift:
                yield row
                row = []
            level = middle
        row.append((place, box))
    if row:
        yield row


def _letters(text: str, row: Sequence[tuple[int, Box]]) -> list[_Letter]:
    """Return the letters of a row from left to right, each with the marks that stand over, under or in it."""
    letters: list[_Letter] = []
    marks: list[tuple[str, float]] = []
    for place, box in row:
        character = text[place]
        if is_mark(character):
            marks.append((character, box.x0 + box.x1))
        else:
            letters.append(_Letter(character, box, place))
    # the letters of a ligature, which have one box, stay in PDFium's order: turned around, as those of a row are
    letters.sort(key=lambda letter: letter.box.x0 + letter.box.x1)
    middles = [letter.box.x0 + letter.box.x1 for letter in letters]
    for mark, middle in marks if letters else ():
        right = min(bisect_left(middles, middle), len(letters) - 1)
        left = max(right - 1, 0)
        under = left if middle - middles[left] < middles[right] - middle else right
        letters[under] = letters[under]._replace(text=letters[under].text + mark)
    return letters


def _words_of(letters: Sequence[_Letter], blanks: Sequence[int], *, leftward: bool) -> list[PlacedWord]:
    """Return the words that letters make up; ``blanks`` are the places in the text where one is written."""
    height = max((letter.box.height for letter in letters), default=0.0)
    words: list[list[_Letter]] = [[letter] for letter in letters[:1]]
    for before, letter in pairwise(letters):
        first, last = sorted((before.place, letter.place))
        written = bisect_left(blanks, first) < bisect_left(blanks, last)
        if letter.box.x0 - before.box.x1 > (_NARROW if written else _BLANK) * height:
            words.append([])
        words[-1].append(letter)
    return [
        PlacedWord(spelt([letter.text for letter in word], leftward=leftward), word[0].place, word[-1].place)
        for word in words
    ]
