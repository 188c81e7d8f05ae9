"""Upload: which rows go into which collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nemo_retriever_dagster.tasks import UploadTask


_KINDS = {
    "text": frozenset({Kind.TEXT, Kind.AUDIO}),
    "tables": frozenset({Kind.TABLE}),
    "charts": frozenset({Kind.CHART}),
    "images": frozenset({Kind.IMAGE, Kind.PAGE_IMAGE}),
    "infographics": frozenset({Kind.INFOGRAPHIC}),
}


def collections(task: UploadTask | None) -> dict[str, frozenset[Kind]]:
    """Return the collections a corpus writes to, each with the kinds of elements that go there."""
    if task is None:
        return {}
    enabled = {name for name in _KINDS if getattr(task, f"enable_{name}")}
    if isinstance(task.collection_name, str):
        return {task.collection_name: _kinds(enabled)}
    return {name: _kinds(enabled & set(wanted)) for name, wanted in task.collection_name.items()}


def _kinds(names: Iterable[str]) -> frozenset[Kind]:
    return frozenset(kind for name in names for kind in _KINDS[name])


def check_collections(names: object) -> None:
    """Raise `InvalidOptionError` unless ``names`` is a name, or maps names to content types."""
    if isinstance(names, str) or not hasattr(names, "items"):
        return
    for collection, wanted in names.items():
        for name in wanted:
            if name not in _KINDS:
                hint = f"Choose from {', '.join(sorted(_KINDS))}."
                raise InvalidOptionError(f"Collection {collection!r} asks for {name!r}.", hint=hint)
