"""Split: elements become chunks, each of which knows the places it came from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import PICTURES, STRUCTURED, Box, Chunk, Element, Kind, Place
from nemo_retriever_dagster.splitting import Span, fit_bytes, sentence_windows, windows
from nemo_retriever_dagster.stages.embed import CAPTION_CHARS

_CUT_WORDS = 4
"""Tokens that a window may have more than were counted, when it is counted alone: it begins and ends inside words."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.tasks import SplitTask, TextDepth
    from nemo_retriever_dagster.tokens import Tokenizer

    _Placed = tuple[int, Element]
    """An element and its position in the extraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A text to be split as one: the blocks of a document, of a page, or a single block.

    ``pieces`` are (start, end, element position) of the blocks inside ``text``; ``caption`` is what
    stands before each of its chunks where they are read: that of a table or chart.
    """

    kind: Kind
    text: str
    pieces: tuple[tuple[int, int, int], ...]
    caption: str = ""


def units(
    elements: Sequence[Element], depth: TextDepth, kept: frozenset[int] | None = None, *, page_texts: bool = False
) -> list[Unit]:
    """Group the elements: text by ``depth`` ("document", "page", else block by block), all others one by one.

    Order: by page; on each page the text first, then the rest in reading order; a document's text before everything.
    Text that the document hides is a group of its own behind what it shows.
    With ``page_texts`` a page image has the text of its page.
    """
    if page_texts:
        elements = _with_page_texts(elements)
    chosen = [(i, element) for i, element in enumerate(elements) if kept is None or i in kept]
    texts = [(i, element) for i, element in chosen if element.kind is Kind.TEXT]
    others = [(i, element) for i, element in chosen if element.kind is not Kind.TEXT]
    if depth == "document":
        return [*_joined(texts), *(_single(i, element) for i, element in others)]
    texts_of, others_of = _by_page(texts), _by_page(others)
    result: list[Unit] = []
    for page in sorted({*texts_of, *others_of}):
        here = texts_of.get(page, [])
        result += _joined(here) if depth == "page" else [_single(i, element) for i, element in here]
        result += [_single(i, element) for i, element in others_of.get(page, [])]
    return result


def _by_page(some: Iterable[_Placed]) -> Mapping[int, list[_Placed]]:
    pages: dict[int, list[_Placed]] = {}
    for i, element in some:
        pages.setdefault(element.page, []).append((i, element))
    return pages


def _with_page_texts(elements: Sequence[Element]) -> Sequence[Element]:
    """Return the elements, each page image with the text of its page."""
    of_page = _by_page((i, one) for i, one in enumerate(elements) if one.kind is Kind.TEXT and one.text.strip())
    return [
        replace(element, text="\n\n".join(text.text for _, text in of_page.get(element.page, [])))
        if element.kind is Kind.PAGE_IMAGE
        else element
        for element in elements
    ]


def _single(position: int, element: Element) -> Unit:
    caption = element.caption[:CAPTION_CHARS] if element.kind in STRUCTURED else ""
    return Unit(kind=element.kind, text=element.text, pieces=((0, len(element.text), position),), caption=caption)


def _joined(texts: Sequence[tuple[int, Element]]) -> list[Unit]:
    hidden = [bool(element.attributes.get("hidden")) for _, element in texts]
    groups = ([text for text, mark in zip(texts, hidden, strict=True) if mark is wanted] for wanted in (False, True))
    return [_unit(group) for group in groups if group]


def _unit(texts: Sequence[tuple[int, Element]]) -> Unit:
    parts: list[str] = []
    pieces = []
    offset = 0
    for position, element in texts:
        if parts:
            parts.append("\n")
            offset += 1
        parts.append(element.text)
        pieces.append((offset, offset + len(element.text), position))
        offset += len(element.text)
    return Unit(kind=Kind.TEXT, text="".join(parts), pieces=tuple(pieces))


def split(
    elements: Sequence[Element],
    grouped: Sequence[Unit],
    task: SplitTask | None,
    tokenizer: Tokenizer,
    *,
    fit: Tokenizer,
    max_tokens: int,
    max_bytes: int,
    spare: int = 0,
) -> tuple[Chunk, ...]:
    """Cut text and speech by ``task`` (None: not at all), then whatever is longer than the embedder or the store takes.

    ``max_tokens`` counts tokens of ``fit``, the embedder's tokenizer; 0 means the embedder has no known limit, and
    ``spare`` of them are left to the context where ``task`` does not say how long a chunk is. Blank text makes no
    chunk; a picture makes one with empty text, which its caption fills later.
    """
    chunks: list[Chunk] = []
    for unit in grouped:
        if not unit.text.strip():
            chunks += _blank(elements, unit)
            continue
        tokens, room = _room(unit, fit, max_tokens, max_bytes)
        spans, limit = _windows(unit, task, tokenizer, tokens, spare)
        small = [piece for span in spans for piece in _fitting(unit.text, span, fit, limit, room)]
        chunks += [_chunk(elements, unit, n, span) for n, span in enumerate(small)]
    return tuple(chunks)


def _room(unit: Unit, fit: Tokenizer, max_tokens: int, max_bytes: int) -> tuple[int, int]:
    """Return the tokens (0: unlimited) and bytes that a chunk may have beside its caption, at least half of all."""
    if not unit.caption:
        return max_tokens, max_bytes
    tokens = max(max_tokens - fit.count(unit.caption), max_tokens // 2)
    return tokens, max(max_bytes - _bytes(unit.caption) - 1, max_bytes // 2)


def _windows(
    unit: Unit, task: SplitTask | None, tokenizer: Tokenizer, max_tokens: int, spare: int
) -> tuple[Sequence[Span], int]:
    """Return the windows of a unit, and the limit they have still to be held to (0: none)."""
    if task is None or unit.kind not in {Kind.TEXT, Kind.AUDIO}:
        return [Span(start=0, end=len(unit.text), tokens=tokenizer.count(unit.text))], max_tokens - spare
    size, overlap = task.window(max_tokens - spare)
    limit = max_tokens
    if task.tokenizer is None and max_tokens:  # tokens are the embedder's own: windows can be made to fit
        size, overlap = _readable(size, overlap, max_tokens, spare)
        limit = 0
    make = sentence_windows if task.sentences else windows
    return make(unit.text, tokenizer, size, overlap), limit


def _readable(size: int, overlap: int, max_tokens: int, spare: int) -> tuple[int, int]:
    """Return the size and overlap of windows that the embedder reads whole, so that none has to be cut again."""
    most = max(1, max_tokens - (max(spare, _CUT_WORDS) if size > max_tokens else _CUT_WORDS))
    return (size, overlap) if size <= most else (most, overlap * most // size)


def _blank(elements: Sequence[Element], unit: Unit) -> list[Chunk]:
    if unit.kind not in PICTURES | STRUCTURED:
        return []
    return [_chunk(elements, unit, 0, Span(start=0, end=0, tokens=0))]


def _fitting(text: str, span: Span, fit: Tokenizer, max_tokens: int, max_bytes: int) -> list[Span]:
    part = text[span.start : span.end]
    small = [Span(start=0, end=len(part), tokens=span.tokens)]
    # another tokenizer's windows may have few tokens of its own and many of this one; a token has a byte at least
    if max_tokens and _bytes(part) > max_tokens and (count := fit.count(part)) > max_tokens:
        pieces = -(-count // max_tokens)
        small = windows(part, fit, -(-count // pieces), 0)  # of equal size: no crumb at the end
    if _bytes(part) > max_bytes:
        small = [
            Span(
                start=s.start + b.start,
                end=s.start + b.end,
                tokens=fit.count(part[s.start + b.start : s.start + b.end]),
            )
            for s in small
            for b in fit_bytes(part[s.start : s.end], max_bytes)
        ]
    return [Span(start=span.start + s.start, end=span.start + s.end, tokens=s.tokens) for s in small]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _chunk(elements: Sequence[Element], unit: Unit, position: int, span: Span) -> Chunk:
    first = bisect_right(unit.pieces, span.start, key=itemgetter(1))
    last = bisect_left(unit.pieces, span.end, key=itemgetter(0))
    touched = [i for _, _, i in unit.pieces[first:last]] or [unit.pieces[0][2]]
    return Chunk(
        element=unit.pieces[0][2],
        position=position,
        kind=unit.kind,
        text=unit.text[span.start : span.end],
        tokens=span.tokens,
        places=places(elements[i] for i in touched),
        begins=touched[0],
    )


def places(elements: Iterable[Element]) -> tuple[Place, ...]:
    """Return one place a page: the box around the given elements on it."""
    found = []
    for page, group in groupby(elements, key=lambda element: element.page):
        members = list(group)
        boxes = [element.box for element in members if element.box is not None]
        box: Box | None = None
        for other in boxes:
            box = other if box is None else box.union(other)
        found.append(Place(page=page, box=box, page_size=members[0].page_size))
    return tuple(found)


def counts(elements: Sequence[Element], chunks: Sequence[Chunk], kept: frozenset[int]) -> Mapping[str, int]:
    """Return what a document gave: pages, elements, and by kind, chunks, tokens."""
    chosen = [elements[i] for i in sorted(kept)]
    pages = {element.page for element in elements if element.page > 0}
    readable = {element.page for element in elements if element.page > 0 and element.text.strip()}
    found = {"pages": max(pages, default=0), "elements": len(chosen)}
    if pages:
        found["pages_with_text"] = len(readable)
    for kind in Kind:
        number = sum(element.kind is kind for element in chosen)
        if number and kind is not Kind.TEXT:
            found[f"{kind}s"] = number
    return {**found, "chunks": len(chunks), "tokens": sum(chunk.tokens for chunk in chunks)}
