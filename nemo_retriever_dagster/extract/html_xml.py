"""XHTML as HTML: a tag that XML closes by itself (``<title/>``) gets an end tag, which HTML's parser waits for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.html_scan import RAW_END, REST_OF_TAG, TAG, closes_itself

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOID = frozenset(
    [
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen"),
        *("link", "meta", "param", "source", "track", "wbr"),
    ]
)
_ROOT = re.compile(r"""<html\s[^>]{0,1000}?xmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml""", re.IGNORECASE)
_ROOT_WITHIN = 4096


def is_xhtml(text: str) -> bool:
    """Whether a page says that it is XML: by its first line, or by the namespace of its root."""
    return text.lstrip().startswith("<?xml") or _ROOT.search(text[:_ROOT_WITHIN]) is not None


def as_html(text: str) -> str:
    """Return an XHTML text with an end tag after each element that a slash closes; one pass over the tags."""
    pieces: list[str] = []
    copied = 0
    for name, end in _closed_by_slash(text):
        pieces.append(f"{text[copied : end - 2]}></{name}>")
        copied = end
    return "".join((*pieces, text[copied:]))


def _closed_by_slash(text: str) -> Iterator[tuple[str, int]]:
    """Yield the name and the end of each tag that ends in ``/>`` and may have content in HTML."""
    place = 0
    while tag := TAG.search(text, place):
        place = text.find("-->", tag.end()) + 3 if tag[1] else _end(text, tag.end())
        if place < 3:  # noqa: PLR2004 -- not found: the rest is a comment or one tag
            return
        name = (tag[3] or "").lower()
        if tag[1] or tag[2] or name in _VOID:
            continue
        if closes_itself(text, place):
            yield tag[3], place
        elif name in RAW_END:
            end = RAW_END[name].search(text, place)
            if end is None:
                return
            place = end.end()


def _end(text: str, place: int) -> int:
    rest = REST_OF_TAG.match(text, place)
    return rest.end() if rest else 0
