"""What a chunk belongs to: the document's name and the headings it stands under.

Both are embedded before the chunk's own text, so that a question that names a document or a section finds what stands
in it. Rows and results keep the chunk's text as it is.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Chunk, Document, Element
    from nemo_retriever_dagster.tokens import Tokenizer

_SPARE = 40
_MOST = 64  # tokens
_DEEPEST = 2  # headings: those further out say little that these do not
_SEPARATOR = " > "
_LETTER = re.compile(r"[^\W\d_]")
_DIGEST = re.compile(r"[0-9a-f-]{16,}", re.IGNORECASE)


def spare_tokens(max_tokens: int) -> int:
    """Return how many of an embedder's tokens are kept for the context when a chunk's size is ours to choose."""
    return min(_SPARE, max_tokens // 4)


def outline(elements: Sequence[Element]) -> list[tuple[str, ...]]:
    """Return for each element the headings above it in reading order, the outermost first; a heading is not its own."""
    found: list[tuple[str, ...]] = []
    above: list[tuple[int, str]] = []
    for element in elements:
        if element.kind is Kind.TEXT and element.heading:
            above = [known for known in above if known[0] < element.heading]
        found.append(tuple(text for _, text in above))
        if element.kind is Kind.TEXT and element.heading:
            above.append((element.heading, " ".join(element.text.split())))
    return found


def contexts(
    document: Document,
    elements: Sequence[Element],
    chunks: Sequence[Chunk],
    passages: Sequence[str],
    *,
    fit: Tokenizer,
    max_tokens: int,
) -> list[str]:
    """Return what stands before each passage when it is embedded, as long as ``max_tokens`` leave room (0: unlimited).

    Never is any of the passage cut off for it.
    """
    headings, name = outline(elements), _title(document)
    found = []
    for chunk, passage in zip(chunks, passages, strict=True):
        parts = (name, *headings[chunk.begins][-_DEEPEST:])
        room = min(_MOST, max_tokens - fit.count(passage)) if max_tokens else _MOST
        found.append(_cut(_SEPARATOR.join(part for part in parts if part), room, fit))
    return found


def _title(document: Document) -> str:
    """Return the name of the file as words; "" for one that is only a number or a digest."""
    stem = PurePosixPath(document.name).stem
    if not _LETTER.search(stem) or _DIGEST.fullmatch(stem):
        return ""
    return " ".join(re.split(r"[\s_\-.+]+", stem)).strip()


def _cut(text: str, tokens: int, fit: Tokenizer) -> str:
    if tokens <= 0:
        return ""
    spans = fit.spans(text)
    return text if len(spans) <= tokens else text[: spans[tokens - 1][1]]
