"""Store images: the pictures of a document go to the image store, and links to them come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import PICTURES, STRUCTURED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nemo_retriever_dagster.images import ImageStore
    from nemo_retriever_dagster.model import Element
    from nemo_retriever_dagster.tasks import StoreTask


def store_pictures(
    elements: Sequence[Element], kept: frozenset[int], task: StoreTask, images: ImageStore
) -> dict[str, list[str]]:
    """Store the pictures that ``task`` asks for; return URI, URL and SHA-256 of each by its element's position."""
    kinds = {*(STRUCTURED if task.structured else ()), *(PICTURES if task.images else ())}
    links = {}
    for i in sorted(kept):
        picture = elements[i].picture
        if elements[i].kind in kinds and picture is not None:
            stored = images.put(picture)
            links[str(i)] = [stored.uri, stored.url, picture.sha256]
    return links


def keep_pictures(elements: Sequence[Element], positions: Iterable[int], images: ImageStore) -> None:
    """Store those pictures again that are gone: while a document had no receipt, nobody kept them from removal."""
    for i in positions:
        picture = elements[i].picture
        if picture is not None:
            images.put(picture)
