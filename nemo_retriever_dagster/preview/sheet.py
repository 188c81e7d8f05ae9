"""A page as it looks, with the boxes of its elements over it and its chunks as bars along them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nemo_retriever_dagster.preview.markup import Html, joined, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Box
    from nemo_retriever_dagster.preview.gather import Cut, Look

_MARGIN = 0.04
"""Of the page's width, on either side: the style sheet places the picture by the same share."""
_BAR, _NUMBER, _LANES = 0.006, 0.014, 2
"""Of the page's width: from bar to bar, and the size of their numbers; and the lanes that bars take turns in."""


def sheet(look: Look, page: int, positions: Sequence[int], name: str) -> Html | None:
    """Return the figure of a page, None where neither its picture nor a box on it is known."""
    shown = look.pictures.get(page)
    boxed = [i for i in positions if _drawable(look.elements[i].box)]
    size = shown.size if shown else next((s for i in boxed if (s := look.elements[i].page_size)), None)
    if size is None or not (shown or boxed) or min(size) <= 0:
        return None
    boxes = joined(*(_box(look, i) for i in sorted(boxed, key=lambda i: -_area(look.elements[i].box))))
    if not shown:
        boxes = joined(boxes, *(_label(look, i, size[0]) for i in boxed))
    view = f"{_n(-_MARGIN * size[0])} 0 {_n((1 + 2 * _MARGIN) * size[0])} {_n(size[1])}"
    bars = (_bars(look, c, page, size) for c in range(len(look.cuts)))
    drawing = tag(
        "svg", tag("g", boxes), _outlines(look.cuts, page), *bars,
        viewBox=view, aria_hidden="true", class_="boxes",
    )  # fmt: skip
    picture = tag("img", src=shown.uri, alt=f"{name} as it looks", class_="paper") if shown else None
    blank = None if shown else tag("div", class_="paper blank")
    words = "Numbered bars run along the text of each chunk."
    if len(look.cuts) > 1:
        words += " Those of the first configuration are on the left, those of the second on the right."
    if not shown:
        words = f"This format has no picture of a page: its boxes are drawn to scale. {words}"
    return tag("figure", tag("div", picture, blank, drawing, class_="sheet"), tag("figcaption", words))


def _box(look: Look, i: int) -> Html:
    element = look.elements[i]
    assert element.box is not None
    kind = "k-out" if i not in look.kept else f"k-{element.kind}"
    return tag("rect", tag("title", f"{i + 1} {element.kind}"), **_places(element.box), class_=f"box {kind}", data_e=i)


def _label(look: Look, i: int, width: float) -> Html:
    """Return the number of an element, for a sheet that shows nothing else of it."""
    box = look.elements[i].box
    assert box is not None
    return tag("text", f"element {i + 1}", x=_n(box.x0 + width * 0.01), y=_n(box.y0 + width * 0.026),
               font_size=_n(width * 0.02), class_="label")  # fmt: skip


def _outlines(cuts: Sequence[Cut], page: int) -> Html:
    """Return the rectangles around chunks, seen only while one is looked at."""
    return joined(
        *(
            tag("rect", **_places(place.box), class_="outline", data_c=f"{c}-{n}")
            for c, cut in enumerate(cuts)
            for n, piece in enumerate(cut.pieces)
            for place in piece.chunk.places
            if place.page == page and place.box is not None and _drawable(place.box)
        )
    )


def _bars(look: Look, c: int, page: int, size: tuple[float, float]) -> Html:
    """Return bars along the elements, from where a chunk begins in one to where it ends, by its share of the text.

    Those of the first configuration are on the left of the elements, those of a second on the right; neighbours, which
    may share text, are in lanes of their own.
    """
    unit, side = size[0] * _BAR, -1 if c == 0 else 1
    found = []
    for n, piece in enumerate(look.cuts[c].pieces):
        lane = 1 + n % _LANES
        lines = []
        for stretch in piece.stretches:
            element = look.elements[stretch.element]
            if element.page != page or element.box is None or not _drawable(element.box):
                continue
            box = element.box
            x = (box.x0 if c == 0 else box.x1) + side * unit * lane
            top, bottom = (box.y0 + share * box.height for share in (stretch.begin, stretch.end))
            lines.append(tag("path", d=f"M{_n(x)} {_n(top)}V{_n(bottom)}"))
            if stretch is piece.stretches[0]:
                lines.append(_number(n + 1, x + side * unit * (_LANES + 1 - lane), top, size[0]))
        found.append(tag("g", *lines, class_=f"bar lane{lane}", data_c=f"{c}-{n}") if lines else None)
    return tag("g", *found, class_="left" if c == 0 else "right")


def _number(number: int, x: float, y: float, width: float) -> Html:
    return tag("text", number, x=_n(x), y=_n(y), font_size=_n(width * _NUMBER))


def _places(box: Box | None) -> dict[str, str]:
    assert box is not None
    return {"x": _n(box.x0), "y": _n(box.y0), "width": _n(box.width), "height": _n(box.height)}


def _drawable(box: Box | None) -> bool:
    return box is not None and all(map(math.isfinite, box)) and box.width > 0 and box.height > 0


def _area(box: Box | None) -> float:
    return box.area if box is not None else 0.0


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
