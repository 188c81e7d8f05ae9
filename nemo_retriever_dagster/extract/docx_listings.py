"""Listings in Word documents: each line is a paragraph, so those that follow each other are put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import LISTING_PART

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nemo_retriever_dagster.model import Element

LISTING = {"part": LISTING_PART}
"""The attributes of a line of a listing, and of a whole one."""
_LONGEST = 50_000


def whole_listings(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the elements, lines of a listing as one: empty lines inside of it are kept, those around it are not."""
    lines: list[Element] = []
    size = 0
    for element in elements:
        is_line = element.attributes == LISTING
        if lines and (not is_line or size > _LONGEST):
            yield from _joined(lines)
            lines, size = [], 0
        if is_line:
            lines.append(element)
            size += len(element.text)
        else:
            yield element
    yield from _joined(lines)


def _joined(lines: list[Element]) -> Iterator[Element]:
    if text := "\n".join(line.text for line in lines).strip("\n"):
        yield replace(lines[0], text=text)
