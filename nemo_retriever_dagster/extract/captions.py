"""Which caption belongs to which table, chart or picture: the words that the document itself puts beside it.

Nothing is guessed from what a picture shows. A caption is a short text that begins like one ("Table 2.", "Figure 3:
...") or that the file marks as one, close above or below what it names.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import STRUCTURED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nemo_retriever_dagster.model import Box, Element

CAPTION_PART = "caption"
"""What a text that the file marks as a caption has under ``attributes["part"]``."""
LISTING_PART = "listing"
"""What a text has there whose line ends and blanks are meant as they are: a program, a command, what it answered."""
FROM_DOCUMENT = "document"
"""The source of a caption that stands in the document, beside those that an engine wrote."""

_NUMBER = r"(?:[A-Z]{0,2}[.-]?\d+(?:[.\-\u2013]\d+)*[a-z]?|[IVXL]+)"
_OF_TABLES = r"table|tab\.|tableau|tabelle|tabla|tabella|tabela"
_OF_FIGURES = (
    r"fig(?:ure|\.)?|chart|graph|image|photo|picture|plate|diagram|exhibit|illustration|map|scheme|box|infographic"
    r"|abbildung|abb\.|figura|graphique|grafik"
)
# a sentence that speaks of a table goes on in lower case: "Table 2 shows"
_AFTER = r"(?:\s*[].:|)\u2013\u2014-]|\s*$|\s+(?=[^a-z\s]))"
_CAPTION = re.compile(rf"\W{{0,3}}(?i:(?P<table>{_OF_TABLES})|{_OF_FIGURES})\s*{_NUMBER}{_AFTER}")
_LONGEST = 600  # characters
_CLOSE = 3  # elements after a caption: the line between, the text inside a table, the table
_NEAR = 0.06  # of the page's height
_OVERLAP = 0.3  # of the narrower one's width
_FAR = float("inf")
_OTHER_KIND = 10.0  # a table's caption goes to a picture only where no table stands near
_OTHER_SIDE = 0.5  # of a distance: tables have theirs above more often, pictures below


def captioned(elements: Sequence[Element]) -> tuple[Element, ...]:
    """Return the elements, each table, chart and picture with the caption that the document gives it, if any.

    The captions stay where they are as text, too.
    """
    found = dict(_captions(elements))
    return tuple(
        replace(element, caption=" ".join(found[i].split()), caption_source=FROM_DOCUMENT) if i in found else element
        for i, element in enumerate(elements)
    )


def _captions(elements: Sequence[Element]) -> Iterator[tuple[int, str]]:
    """Yield the position of each element that has a caption, and the caption."""
    for _, members in groupby(range(len(elements)), key=lambda i: elements[i].page):
        here = list(members)
        named = [i for i in here if _takes_caption(elements[i])]
        texts = {i for i in here if _is_caption(elements[i])} if named else set()
        near = sorted(
            (_distance(elements, n, t), elements[n].kind is Kind.IMAGE, n, t)  # a chart before the picture it is in
            for n in named
            for t in _beside(elements[n], n, texts)
        )
        taken: set[int] = set()
        for distance, _, n, t in near:
            if distance < _FAR and not taken & {n, t}:
                taken |= {n, t}
                yield n, _whole(elements, n, t)


def _whole(elements: Sequence[Element], named: int, text: int) -> str:
    """Return a caption; one that is a number only, with the line between it and what it names."""
    caption = elements[text].text
    matched = _CAPTION.match(caption)
    between = elements[text + 1] if text + 1 < named <= text + _CLOSE else None
    if between is None or matched is None or matched.end() < len(caption.rstrip()) or not _may_go_on(between):
        return caption
    return f"{caption} {between.text}"


def _may_go_on(element: Element) -> bool:
    plain = element.kind is Kind.TEXT and element.inside is None and not element.heading
    return plain and len(element.text) <= _LONGEST and not element.attributes


def _beside(element: Element, position: int, texts: set[int]) -> set[int]:
    return texts if element.box is not None else texts & {position - 1, position + 1}


def _takes_caption(element: Element) -> bool:
    return element.kind in STRUCTURED | {Kind.IMAGE} and not element.caption


def _is_caption(element: Element) -> bool:
    if element.kind is not Kind.TEXT or element.inside is not None or len(element.text) > _LONGEST:
        return False
    marked = element.attributes.get("part") == CAPTION_PART
    return not element.attributes.get("hidden") and (marked or _CAPTION.match(element.text) is not None)


def _distance(elements: Sequence[Element], named: int, text: int) -> float:
    """Return how far a caption is from what it may name, infinite where it is not beside it."""
    element, caption = elements[named], elements[text]
    matched = _CAPTION.match(caption.text)
    of_table = matched is not None and matched.group("table") is not None
    other_kind = matched is not None and of_table != (element.kind is Kind.TABLE)
    if element.box is not None and caption.box is not None and element.page_size is not None:
        gap, above = _gap(element.box, caption.box, element.page_size[1])
    else:
        gap, above = (1.0 if abs(named - text) == 1 else _FAR), text < named
    other_side = above != (element.kind is Kind.TABLE)
    return gap + _OTHER_KIND * other_kind + _OTHER_SIDE * other_side


def _gap(box: Box, caption: Box, height: float) -> tuple[float, bool]:
    """Return the blank between a box and a caption in units of what counts as near, and whether the caption is above.

    Infinite where it is more than that, or where the caption does not stand over or under the box.
    """
    shared = min(box.x1, caption.x1) - max(box.x0, caption.x0)
    above = caption.y0 + caption.y1 < box.y0 + box.y1
    blank = max(box.y0 - caption.y1 if above else caption.y0 - box.y1, 0.0)
    far = blank > _NEAR * height or shared < _OVERLAP * min(box.width, caption.width)
    return (_FAR if far else blank / (_NEAR * height)), above
