"""How a stored row becomes a hit, which leads back to run, document, page and box; and rows the text of a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.vdb.contract import Row

_BOX_NUMBERS = 4
_NO_CHANCE = 8  # characters that two chunks share because they overlap, be they whole words or not
_LONGEST_OVERLAP = 4_000  # characters; chunks overlap by a few hundred tokens at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer. ``score`` is higher-is-better, whatever the mode; ``distance`` is the store's own figure.

    ``source`` is the document's path or URL, ``page`` counts from 1 (0: the document has no pages; the first of several
    that the text runs over), ``box`` is in points within a page of ``page_size``. ``id`` is the chunk's stable key,
    ``element`` and ``position`` its place in the document, ``headings`` those it stands under, ``run_id`` the run that
    wrote it, ``version`` the SHA-256 of the document's bytes at that time, ``embedder`` the engine of its vector.
    """

    text: str
    score: float
    source: str
    page: int = 0
    box: Box | None = None
    page_size: tuple[float, float] | None = None
    image_url: str = ""
    id: str = ""
    kind: str = ""
    element: int = -1
    position: int = -1
    headings: tuple[str, ...] = ()
    run_id: str = ""
    document: str = ""
    version: str = ""
    embedder: str = ""
    distance: float = 0.0
    metadata: Mapping[str, type_json] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a stored row, of another program too; what it lacks or has of another type keeps its default."""
        meta = row.content_metadata
        size = _numbers(meta.get("max_dimensions"), 2)
        return cls(
            text=row.text,
            score=row.score,
            distance=row.distance,
            source=str(row.source.get("source_name") or row.source.get("source_id") or ""),
            page=_page_number(row) or min(_pages(row)),
            box=_box(meta.get("location")),
            page_size=(size[0], size[1]) if size else None,
            image_url=_image_url(row),
            id=row.id,
            kind=str(meta.get("kind") or meta.get("subtype") or meta.get("type") or ""),
            element=_whole(meta.get("element"), -1),
            position=_whole(meta.get("position"), -1),
            headings=_headings(meta),
            run_id=str(meta.get("run_id") or ""),
            document=str(meta.get("document") or row.fields.get("document") or ""),
            version=str(meta.get("version") or ""),
            embedder=str(meta.get("embedder") or ""),
            metadata=meta,
        )


def _whole(value: type_json, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _list(meta: Mapping[str, type_json], name: str) -> list[type_json]:
    custom = meta.get("custom_content")
    found = custom.get(name) if isinstance(custom, dict) else None
    return found if isinstance(found, list) else []


def _numbers(value: type_json, count: int) -> list[float]:
    fits = isinstance(value, list) and len(value) == count and all(isinstance(one, int | float) for one in value)
    return [float(one) for one in value] if fits and value != [-1] * count else []


def _headings(meta: Mapping[str, type_json]) -> tuple[str, ...]:
    return tuple(map(str, _list(meta, "headings")))


def _box(value: type_json) -> Box | None:
    numbers = _numbers(value, _BOX_NUMBERS)
    return Box(*numbers) if numbers else None


def _image_url(row: Row) -> str:
    for section, name in (("image_metadata", "uploaded_image_url"), ("table_metadata", "uploaded_image_uri")):
        part = row.content_metadata.get(section)
        if isinstance(part, dict) and part.get(name):
            return str(part[name])
    return str(row.source.get("source_location") or "")


def _pages(row: Row) -> set[int]:
    places = _list(row.content_metadata, "places")
    found = {_whole(place.get("page"), 0) for place in places if isinstance(place, dict) and "page" in place}
    return found or {_page_number(row)}


def _page_number(row: Row) -> int:
    """Return the page the row begins on; 0 where there is none, or the text is that of all pages."""
    return max(_whole(row.content_metadata.get("page_number"), 0), 0)


def text_of_pages(rows: Iterable[Row], pages: Collection[int]) -> str:
    """Return the text that the rows of one document have on ``pages``, in document order; shared text is there once."""
    kept = [row for row in rows if any(page in pages for page in _pages(row))]
    return _joined(sorted(kept, key=_place))


def _place(row: Row) -> tuple[int, int]:
    return _whole(row.content_metadata.get("element"), -1), _whole(row.content_metadata.get("position"), -1)


def _joined(rows: Sequence[Row]) -> str:
    text, before = "", None
    for row in rows:
        element = row.content_metadata.get("element")
        same = before is not None and element == before
        part = row.text[_overlap(text, row.text) :] if same else row.text
        text += part if not text or (same and part != row.text) else f"\n\n{part}"
        before = element
    return text


def _overlap(left: str, right: str) -> int:
    """Return how many characters at the end of ``left`` begin ``right``."""
    longest = min(len(left), len(right), _LONGEST_OVERLAP)
    sizes = (size for size in range(longest, 0, -1) if left.endswith(right[:size]))
    return next((size for size in sizes if size >= _NO_CHANCE or _of_words(left, right, size)), 0)


def _of_words(left: str, right: str, size: int) -> bool:
    """Whether what is shared is whole words: one ends with the letter that the next begins with by chance."""
    before, after = left[-size - 1 : -size], right[size : size + 1]
    return not (before.isalnum() and right[0].isalnum()) and not (left[-1].isalnum() and after.isalnum())
