"""Which pictures are worth keeping: repeated, covered and meaningless ones are left out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import STRUCTURED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.model import Element
    from nemo_retriever_dagster.tasks import DedupTask, FilterTask

_WHOLE = 0.98  # of a page's area


def tidy(elements: Sequence[Element], dedup: DedupTask | None, filtering: FilterTask | None) -> frozenset[int]:
    """Return the positions of the elements to keep: pictures repeated, covered or meaningless are left out."""
    kept = frozenset(range(len(elements)))
    if filtering is not None and filtering.filter:
        kept = frozenset(i for i in kept if _tells_something(elements[i], filtering))
    if dedup is not None and dedup.filter:
        kept -= _repeated(elements, kept) if dedup.repeats else frozenset()
        if dedup.enable_bbox_dedup:
            kept -= _overlapped(elements, kept, dedup)
    return kept


def _tells_something(element: Element, task: FilterTask) -> bool:
    if element.kind is not Kind.IMAGE or element.picture is None:
        return True
    width, height = element.picture.width, element.picture.height
    ratio = width / max(height, 1)
    return min(width, height) >= task.min_size and task.min_aspect_ratio <= ratio <= task.max_aspect_ratio


def _repeated(elements: Sequence[Element], kept: Iterable[int]) -> frozenset[int]:
    seen: set[str] = set()
    again = set()
    for i in sorted(kept):
        picture = elements[i].picture
        if elements[i].kind is Kind.IMAGE and picture is not None:
            if picture.sha256 in seen:
                again.add(i)
            seen.add(picture.sha256)
    return frozenset(again)


def _overlapped(elements: Sequence[Element], kept: Iterable[int], task: DedupTask) -> frozenset[int]:
    loser, winner = frozenset({Kind.IMAGE}), frozenset(STRUCTURED)
    if not task.bbox_dedup_prefer_structured:
        loser, winner = winner, loser
    chosen = [(i, elements[i]) for i in kept]
    winners: defaultdict[int, list[Element]] = defaultdict(list)
    for _, element in chosen:
        if element.kind in winner:
            winners[element.page].append(element)
    return frozenset(
        i
        for i, element in chosen
        if element.kind in loser
        and not _is_page(element)
        and any(_overlap(element, other) >= task.iou_threshold for other in winners[element.page])
    )


def _is_page(element: Element) -> bool:
    """Whether this is a picture of a whole page, or a document that is a picture: it shows more than a table in it."""
    if element.kind is not Kind.IMAGE or element.box is None or element.page_size is None:
        return False
    width, height = element.page_size
    return element.box.area >= _WHOLE * width * height


def _overlap(one: Element, other: Element) -> float:
    if one.box is None or other.box is None:
        return 0.0
    return one.box.iou(other.box)
