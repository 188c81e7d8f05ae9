"""Splits text into pieces by tokens or by bytes. Pieces are places in the text; no character is changed or lost.

The pieces of one text are in order and together hold every character but white space between them.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class SpanTokenizer(Protocol):
    """What splitting asks of a tokenizer; `tokens.Tokenizer` is one."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each token in characters, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The piece ``text[start:end]``; ``tokens`` is the number of tokens that lie in it, 0 where none were counted."""

    start: int
    end: int
    tokens: int = 0


def windows(text: str, tokenizer: SpanTokenizer, chunk_size: int, chunk_overlap: int) -> list[Span]:
    """Return windows of ``chunk_size`` tokens, each sharing ``chunk_overlap`` tokens with the one before.

    A window reaches to the end of its last token. Raises `InvalidOptionError` unless 0 <= overlap < size.
    """
    _check(chunk_size, chunk_overlap)
    tokens = _Tokens.of(text, tokenizer)
    # A start beyond this would give a window with nothing but the overlap.
    starts = range(0, max(len(tokens) - chunk_overlap, 1), chunk_size - chunk_overlap)
    return tokens.spans((start, start + chunk_size) for start in starts)


def sentence_windows(text: str, tokenizer: SpanTokenizer, chunk_size: int, chunk_overlap: int) -> list[Span]:
    """Return pieces of at most ``chunk_size`` tokens that end where a paragraph, a sentence or at least a word ends.

    A sentence is cut only where it is longer than ``chunk_size`` itself. A piece begins with those whole sentences of
    the piece before that fit into ``chunk_overlap`` tokens and leave room for the next one.
    """
    _check(chunk_size, chunk_overlap)
    tokens = _Tokens.of(text, tokenizer)
    return tokens.spans(_Cuts.of(text, tokens).ranges(chunk_size, chunk_overlap))


def fit_bytes(text: str, max_bytes: int) -> list[Span]:
    """Return pieces of at most ``max_bytes`` bytes of UTF-8, cut at the last paragraph, sentence or word that fits.

    Raises `InvalidOptionError` for a limit below 4 bytes, the longest character.
    """
    longest_character = 4
    if max_bytes < longest_character:
        raise InvalidOptionError(f"A piece of text needs at least {longest_character} bytes, not {max_bytes}.")
    pieces = []
    start, last = _strip(text, 0, len(text))
    while start < last:
        end = _fitting_end(text, start, last, max_bytes)
        if end < last:
            end = _good_end(text, start, end)
        first, after = _strip(text, start, end)
        pieces.append(Span(start=first, end=after))
        start, _ = _strip(text, end, last)
    return pieces


def _check(size: int, overlap: int) -> None:
    if size < 1:
        raise InvalidOptionError(f"chunk_size must be at least 1, not {size}.")
    if not 0 <= overlap < size:
        raise InvalidOptionError(f"chunk_overlap must be at least 0 and less than chunk_size ({size}), not {overlap}.")


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Move both ends inwards over white space; an all-blank part ends at its ``end``."""
    part = text[start:end]
    return end - len(part.lstrip()), start + len(part.rstrip())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """The tokens of a text as adjoining pieces without the blanks around them.

    Characters that a tokenizer drops (controls, combining marks) belong to the token before them. A token of blanks is
    an empty piece.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    count: int

    @classmethod
    def of(cls, text: str, tokenizer: SpanTokenizer) -> _Tokens:
        first, last = _strip(text, 0, len(text))
        if first >= last:
            return cls(starts=(), ends=(), count=0)
        found = tokenizer.spans(text)
        edges = [first]
        for start, _ in found[1:]:
            edges.append(max(edges[-1], min(start, last)))
        edges.append(last)
        reach = [min(end, last) for _, end in found] or [last]
        return cls(starts=_starts(text, edges), ends=_ends(text, edges, reach), count=len(found))

    def __len__(self) -> int:
        return len(self.starts)

    def spans(self, ranges: Iterable[tuple[int, int]]) -> list[Span]:
        """Turn ranges of tokens into pieces of the text; an empty one is dropped."""
        pieces = []
        for first, beyond in ranges:
            after = min(beyond, len(self))
            if first < after and self.starts[first] < self.ends[after - 1]:
                tokens = min(after - first, self.count)
                pieces.append(Span(start=self.starts[first], end=self.ends[after - 1], tokens=tokens))
        return pieces


def _starts(text: str, edges: Sequence[int]) -> list[int]:
    """Where each token's text begins, or the next one's if it has none but blanks."""
    starts = []
    following = edges[-1]
    for left, right in zip(reversed(edges[:-1]), reversed(edges[1:]), strict=True):
        length = len(text[left:right].lstrip())
        following = right - length if length else following
        starts.append(following)
    return starts[::-1]


def _ends(text: str, edges: Sequence[int], reach: Sequence[int]) -> list[int]:
    """Where each token's text ends, or the one's before if it has none but blanks."""
    ends = []
    seen = previous = edges[0]
    for edge, end in zip(edges[1:], reach, strict=True):
        until = max(edge, end)
        length = len(text[seen:until].rstrip())
        previous = seen + length if length else previous
        seen = max(seen, until)
        ends.append(previous)
    return ends


_PARAGRAPH = re.compile(r"\n[^\S\n]*+\n\s*+")
_SENTENCE = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++(?=[\"'“‘«(\[]*+[^\Wa-z_])"  # noqa: RUF001 - the marks of other languages
    r"|[。！？]++[」』”）]*+\s*+"  # noqa: RUF001 - the same
)
_LINE = re.compile(r"\n\s*+")
_WORD = re.compile(r"\s++")
_NO_END = re.compile(
    r"(?:^|[\s(\[])(?:[^\W\d_]|mrs?|ms|dr|prof|st|figs?|eqs?|nos?|vol|pp?|al|e\.g|i\.e|cf|vs|ed|eds|approx|dept)$"
    r"|(?:^|\n)[^\S\n]*\d{1,3}$",
    re.IGNORECASE,
)
"""What stands before a full stop that ends no sentence: an initial, an abbreviation, the number of a list item."""


def _sentence_ends(text: str) -> Iterator[int]:
    """Yield where the next sentence begins."""
    for match in _SENTENCE.finditer(text):
        before = text[max(match.start() - 12, 0) : match.start()]
        if not (match.group().startswith(". ") and _NO_END.search(before)):
            yield match.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cuts:
    """The tokens before which a text may be cut, best reason first; all sorted, each list ends with the text's end."""

    paragraphs: Sequence[int]
    sentences: Sequence[int]
    lines: Sequence[int]
    words: Sequence[int]

    @classmethod
    def of(cls, text: str, tokens: _Tokens) -> _Cuts:
        starts = tokens.starts

        def places(positions: Iterable[int]) -> list[int]:
            found = {bisect_left(starts, position): position for position in positions}
            good = {token for token, position in found.items() if token < len(starts) and starts[token] == position}
            return sorted({*good, len(starts)} - {0})

        paragraphs = places(match.end() for match in _PARAGRAPH.finditer(text))
        sentences = places(_sentence_ends(text))
        return cls(
            paragraphs=paragraphs,
            sentences=sorted({*sentences, *paragraphs}),
            lines=places(match.end() for match in _LINE.finditer(text)),
            words=places(match.end() for match in _WORD.finditer(text)),
        )

    def ranges(self, size: int, overlap: int) -> Iterator[tuple[int, int]]:
        """Yield first token and the one after the last of each piece; ``done`` tokens are in a piece already."""
        total = self.words[-1] if self.words else 0
        start = done = 0
        while done < total:
            if _last(self.sentences, done, start + size) is None and _last(self.sentences, done, done + size):
                start = done  # the overlap would cut the next sentence
            end = self._end(start, done, size)
            yield start, end
            start, done = self._resume(start, end, overlap), end

    def _end(self, start: int, done: int, size: int) -> int:
        limit = start + size
        if (total := self.words[-1]) <= limit:
            return total
        paragraph = _last(self.paragraphs, done, limit)
        if paragraph and paragraph - start >= size // 2:
            return paragraph
        for level in (self.sentences, self.lines, self.words):
            if found := _last(level, done, limit):
                return found
        return limit

    def _resume(self, start: int, end: int, overlap: int) -> int:
        """Return where the next piece begins: within the overlap, yet after this piece's beginning."""
        earliest = max(end - overlap, start + 1)
        for level in (self.sentences, self.words):
            position = bisect_left(level, earliest)
            if position < len(level) and level[position] < end:
                return level[position]
        return end


def _last(cuts: Sequence[int], after: int, limit: int) -> int | None:
    """Return the last cut that is greater than ``after`` and at most ``limit``."""
    position = bisect_right(cuts, limit)
    return cuts[position - 1] if position and cuts[position - 1] > after else None


def _fitting_end(text: str, start: int, last: int, max_bytes: int) -> int:
    """Return the end of the longest part that has at most ``max_bytes`` bytes."""
    data = text[start : min(start + max_bytes, last)].encode("utf-8", "surrogatepass")
    if len(data) <= max_bytes:
        return min(start + max_bytes, last)
    end = max_bytes
    while data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte inside a character
        end -= 1
    return start + len(data[:end].decode("utf-8", "surrogatepass"))


def _good_end(text: str, start: int, end: int) -> int:
    """Return the best place to cut in the second half of the part, else the last word's end, else ``end``."""
    part = text[start : end + 1]
    for ends in (
        (match.end() for match in _PARAGRAPH.finditer(part)),
        _sentence_ends(part),
        (match.end() for match in _WORD.finditer(part)),
    ):
        found = max((place for place in ends if place <= end - start), default=0)
        if found > (end - start) // 2:
            return start + found
    words = [match.start() for match in _WORD.finditer(part) if match.start()]
    return start + words[-1] if words else end
