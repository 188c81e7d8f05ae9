"""Where an element that was found later stands among those that are in order already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.model import Element

_INSIDE = 0.5


def placed(elements: Iterable[Element], more: Iterable[Element]) -> tuple[Element, ...]:
    """Return ``elements`` with each of ``more`` before what it covers, else before what stands below it.

    What has no box, and images of the whole page, go to the end.
    """
    ordered = list(elements)
    for element in more:
        ordered.insert(_position(ordered, element), element)
    return tuple(ordered)


def _position(ordered: Sequence[Element], element: Element) -> int:
    box = element.box
    if box is None or element.kind is Kind.PAGE_IMAGE:
        return len(ordered)
    boxes = [(i, one.box) for i, one in enumerate(ordered) if one.box is not None]
    covered = (i for i, other in boxes if other.covered_by(box) > _INSIDE)
    below = (i for i, other in boxes if other.y0 >= box.y0 and other.x0 < box.x1 and other.x1 > box.x0)
    return next(covered, next(below, len(ordered)))
