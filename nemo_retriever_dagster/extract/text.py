"""Plain text, Markdown, shell scripts and JSON: the text as it is, cut at its own borders."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.encoding import read_text
from nemo_retriever_dagster.extract.markdown import markdown_elements
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_MOST_PARAGRAPHS = 20_000
_LONGEST_BLOCK = 50_000


class TextExtractor:
    """Reads txt, md, sh and json; a text without any word gives a page without elements."""

    formats = ("txt", "md", "sh", "json")
    methods: tuple[str, ...] = ()
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page without a number: a paragraph an element; JSON whole; Markdown by its blocks."""
        decoded = read_text(path, budget)
        if options.format == "md":
            elements = markdown_elements(decoded.text, options)
        else:
            whole = options.format == "json"
            blocks = [decoded.text.strip()] if whole else paragraphs(decoded.text)
            elements = [Element(kind=Kind.TEXT, text=block) for block in blocks if block]
        if decoded.warnings:
            elements = [replace(element, warnings=decoded.warnings) for element in elements]
        yield Page(elements=tuple(elements) if options.text else tuple(e for e in elements if e.kind != Kind.TEXT))


def paragraphs(text: str) -> list[str]:
    """Cut ``text`` at blank lines; very many short ones are joined, and a very long one is cut at a line or a blank."""
    blocks = [block for block in _BLANK_LINES.split(text.strip("\n")) if block.strip()]
    if len(blocks) > _MOST_PARAGRAPHS:
        blocks = _joined(blocks, len(text) // _MOST_PARAGRAPHS)
    return [piece for block in blocks for piece in _pieces(block.rstrip())]


def _joined(blocks: list[str], least: int) -> list[str]:
    joined: list[str] = []
    pending: list[str] = []
    length = 0
    for block in blocks:
        pending.append(block)
        length += len(block)
        if length >= least:
            joined.append("\n\n".join(pending))
            pending, length = [], 0
    return [*joined, "\n\n".join(pending)] if pending else joined


def _pieces(block: str) -> Iterator[str]:
    start = 0
    while len(block) - start > _LONGEST_BLOCK:
        end = start + _LONGEST_BLOCK
        found = (block.rfind(mark, start + 1, end) for mark in "\n ")
        cut = next((place for place in found if place > 0), end)
        yield block[start:cut]
        start = cut + (block[cut] in "\n ")
    yield block[start:]
