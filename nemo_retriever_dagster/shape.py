"""The reference's JSON shape of a result, and the row made of it.

One object a chunk: ``{"document_type": ..., "metadata": {...}}`` with every section and key of the original, absent
sections null. Differences, all stated in ``docs/ingestor.md``: pages count from 1; ``table_location`` is (x1, y1, x2,
y2) in pixels of the page fitted to 1024 x 1024 with ``max_dimensions`` as (width, height); what the original has no
field for is under ``custom_content``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np

from nemo_retriever_dagster.language import language_of
from nemo_retriever_dagster.model import PICTURES, STRUCTURED, Kind, Record, stable_id
from nemo_retriever_dagster.stages import CAPTION_CHARS, passage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.model import Chunk, Document, Element, Place
    from nemo_retriever_dagster.stages import Captions

SOURCE_TYPES = {"pdf": "PDF", "txt": "text", "md": "text", "sh": "text", "json": "text"}
"""Document type -> the original's ``source_type``, where it is not the same word."""

_SOURCES = {"docx": "DOCX document", "pptx": "PPTX presentation", "pdf": "PDF document"}
_DOCUMENT_TYPES = {Kind.TEXT: "text", Kind.AUDIO: "audio", Kind.IMAGE: "image", Kind.PAGE_IMAGE: "image"}
_MARKS = ("part", "hidden")
"""Attributes of the element a chunk begins in that results tell."""
_FIT = 1024
_HEADING_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All that is known of one document when its results are written.

    ``headings`` are those above each element, where they are known; ``vectors`` has one row a chunk (NaN where nothing
    was embedded) or is None, ``embedder`` the name of who made them; ``links`` are image URIs and public URLs by
    element position; ``extra`` are the user's own fields.
    """

    document: Document
    elements: Sequence[Element]
    chunks: Sequence[Chunk]
    headings: Sequence[tuple[str, ...]] = ()
    captions: Captions = field(default_factory=dict)
    vectors: np.ndarray | None = None
    embedder: str = ""
    links: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    text_depth: str = "document"
    page_count: int = 0


def to_json(made: Made, index: int, *, content: bool = True) -> dict[str, Any]:
    """Return the element object of chunk ``index``; ``content`` False leaves the base64 pictures out."""
    chunk = made.chunks[index]
    element = made.elements[chunk.element]
    vector = _vector(made, index)
    metadata = {
        "content": _content(chunk, element) if content or chunk.kind is Kind.TEXT else "",
        "content_url": "",
        "embedding": vector,
        "source_metadata": source_metadata(made, chunk),
        "content_metadata": _content_metadata(made, chunk, element),
        "audio_metadata": _audio(chunk, element),
        "text_metadata": _text(made, chunk),
        "image_metadata": _image(made, chunk, element),
        "table_metadata": _table(made, chunk, element),
        "chart_metadata": None,
        "error_metadata": None,
        "info_message_metadata": None,
        "debug_metadata": None,
        "raise_on_failure": False,
        "total_pages": made.page_count or None,
        "original_source_id": None,
        "original_source_name": None,
        "custom_content": _custom(made, chunk, element),
    }
    return {"document_type": _DOCUMENT_TYPES.get(chunk.kind, "structured"), "metadata": metadata}


def _vector(made: Made, index: int) -> list[float] | None:
    if made.vectors is None:
        return None
    row = made.vectors[index]
    return None if np.isnan(row[0]) else [float(value) for value in row]  # NaN marks "not embedded"


def _content(chunk: Chunk, element: Element) -> str:
    if chunk.kind is Kind.TEXT:
        return chunk.text
    return base64.b64encode(element.picture.data).decode() if element.picture is not None else ""


def source_metadata(made: Made, chunk: Chunk | None = None) -> dict[str, Any]:
    """Return the ``source_metadata`` section; ``source_location`` is where the chunk's picture is stored."""
    document = made.document
    uri, url = made.links.get(chunk.element, ("", "")) if chunk is not None else ("", "")
    return {
        "source_name": document.uri,
        "source_id": document.uri,
        "source_location": url or uri,
        "local_source_location": _local(uri),
        "source_type": SOURCE_TYPES.get(document.format, document.format),
        "collection_id": "",
        "date_created": document.created,
        "last_modified": document.modified,
        "summary": "",
        "partition_id": -1,
        "access_level": -1,
        "custom_content": {"sha256": document.sha256, "document": document.key},
    }


def _local(uri: str) -> str:
    """Return the path of a picture that is stored on this machine, else ""."""
    return unquote(urlsplit(uri).path) if uri.startswith("file://") else ""


def _nothing_near() -> dict[str, Any]:
    return {name: {"content": [], "bbox": [], "type": []} for name in ("text", "images", "structured")}


def _content_metadata(made: Made, chunk: Chunk, element: Element) -> dict[str, Any]:
    structured = chunk.kind in STRUCTURED
    page = _page_number(made, chunk)
    return {
        "type": "structured" if structured else _DOCUMENT_TYPES[chunk.kind],
        "description": _description(chunk.kind, made.document.format),
        "page_number": page,
        "hierarchy": {
            "page_count": made.page_count or -1,
            "page": page,
            "block": chunk.element,
            "line": -1,
            "span": -1,
            "nearby_objects": _nothing_near(),
        },
        "subtype": chunk.kind.value if structured or chunk.kind is Kind.PAGE_IMAGE else "",
        "start_time": element.start_ms,
        "end_time": element.end_ms,
        "custom_content": dict(made.extra) or None,
    }


def _page_number(made: Made, chunk: Chunk) -> int:
    """Return the page the chunk begins on; -1 for the text of a whole document, as the original has it."""
    first = chunk.places[0].page
    whole = len(chunk.places) > 1 and len(chunk.places) >= made.page_count
    return -1 if whole or (first == 0 and chunk.kind is Kind.TEXT) else first


def _description(kind: Kind, source: str) -> str:
    origin = _SOURCES.get(source, f"{source} document")
    if kind is Kind.TEXT:
        return f"Unstructured text from {origin}."
    if kind is Kind.PAGE_IMAGE:
        return f"Full-page image rendered from a {origin}."
    if kind in STRUCTURED:
        return f"Structured {kind} extracted from {origin}."
    return f"{kind.capitalize()} extracted from {origin}."


def _place(chunk: Chunk) -> Place:
    return chunk.places[0]


def _page_box(place: Place) -> tuple[list[float], list[float]]:
    if place.box is None or place.page_size is None:
        return [-1, -1, -1, -1], [-1, -1]
    return [round(value, 2) for value in place.box], [round(value, 2) for value in place.page_size]


def _fitted_box(place: Place) -> tuple[list[int], list[int]]:
    if place.box is None or place.page_size is None:
        return [-1, -1, -1, -1], [-1, -1]
    width, height = place.page_size
    scale = _FIT / max(width, height, 1)
    box = place.box.scale(scale, scale)
    return [round(value) for value in box], [round(width * scale), round(height * scale)]


def _text(made: Made, chunk: Chunk) -> dict[str, Any] | None:
    if chunk.kind is not Kind.TEXT:
        return None
    location, dimensions = _page_box(_place(chunk))
    one = len(chunk.places) == 1
    return {
        "text_type": made.text_depth,
        "summary": "",
        "keywords": "",
        "language": language_of(chunk.text),
        "text_location": location if one else [-1, -1, -1, -1],
        "text_location_max_dimensions": dimensions if one else [-1, -1],
        "custom_content": None,
    }


def _image(made: Made, chunk: Chunk, element: Element) -> dict[str, Any] | None:
    if chunk.kind not in PICTURES:
        return None
    location, dimensions = _page_box(_place(chunk))
    uri, url = made.links.get(chunk.element, ("", ""))
    picture = element.picture
    return {
        "image_type": picture.suffix if picture else "",
        "structured_image_type": chunk.kind.value if chunk.kind is Kind.PAGE_IMAGE else "none",
        "caption": _caption(made, chunk, element),
        "text": chunk.text,
        "image_location": location,
        "image_location_max_dimensions": dimensions,
        "uploaded_image_uri": uri,
        "uploaded_image_url": url or uri,
        "uploaded_image_local_path": _local(uri),
        "width": picture.width if picture else 0,
        "height": picture.height if picture else 0,
        "custom_content": None,
    }


def _caption(made: Made, chunk: Chunk, element: Element) -> str:
    made_caption = made.captions[chunk.element].text if chunk.element in made.captions else ""
    return made_caption or element.alt_text[:CAPTION_CHARS] or element.caption[:CAPTION_CHARS]


def _table(made: Made, chunk: Chunk, element: Element) -> dict[str, Any] | None:
    if chunk.kind not in STRUCTURED:
        return None
    location, dimensions = _fitted_box(_place(chunk))
    uri, url = made.links.get(chunk.element, ("", ""))
    return {
        "caption": _caption(made, chunk, element),
        "table_format": "image" if element.picture is not None else element.table_format,
        "table_content": chunk.text,
        "table_content_format": element.table_format if chunk.kind is Kind.TABLE else "",
        "table_location": location,
        "table_location_max_dimensions": dimensions,
        "uploaded_image_uri": uri,
        "uploaded_image_url": url or uri,
        "uploaded_image_local_path": _local(uri),
        "custom_content": None,
    }


def _audio(chunk: Chunk, element: Element) -> dict[str, Any] | None:
    if chunk.kind is not Kind.AUDIO:
        return None
    return {
        "audio_transcript": chunk.text,
        "audio_type": element.attributes.get("audio_type", ""),
        "custom_content": None,
    }


def _custom(made: Made, chunk: Chunk, element: Element) -> dict[str, Any]:
    """Return what the original has no field for: how the text was read, where it stands, what to be wary of."""
    found: dict[str, Any] = {
        "origin": element.origin.value,
        "engine": element.engine,
        "element": chunk.element,
        "position": chunk.position,
        "tokens": chunk.tokens,
        "places": [{"page": p.page, "box": list(p.box) if p.box else None} for p in chunk.places],
    }
    if made.headings and (above := made.headings[chunk.begins]):
        found["headings"] = [heading[:_HEADING_CHARS] for heading in above]
    if element.warnings:
        found["warnings"] = list(element.warnings)
    if element.heading:
        found["heading"] = element.heading
    marks = made.elements[chunk.begins].attributes
    return {**found, **{name: marks[name] for name in _MARKS if marks.get(name)}}


# --- rows -----------------------------------------------------------------------------------------------------------


def to_record(made: Made, index: int, *, collection: str, generation: str, run_id: str) -> Record | None:
    """Return the row of chunk ``index``, or None where it has no vector or no text to be found by."""
    chunk = made.chunks[index]
    element = made.elements[chunk.element]
    text = passage(chunk, element, made.captions)
    vector = _vector(made, index)
    if vector is None:
        return None
    shown = to_json(made, index, content=False)["metadata"]
    sections = {name: value for name, value in shown.items() if name.endswith("_metadata") and value is not None}
    source = sections.pop("source_metadata")
    content = sections.pop("content_metadata")
    location, dimensions = _page_box(_place(chunk))
    return Record(
        id=stable_id(collection, made.document.key, chunk.element, chunk.position),
        document=made.document.key,
        generation=generation,
        text=text,
        vector=vector,
        source=source,
        content_metadata={
            **content,
            **sections,
            **made.extra,
            "total_pages": shown["total_pages"],
            "custom_content": shown["custom_content"],
            "location": location,
            "max_dimensions": dimensions,
            "run_id": run_id,
            "document": made.document.key,
            "version": made.document.sha256,
            "element": chunk.element,
            "position": chunk.position,
            "kind": chunk.kind.value,
            "origin": element.origin.value,
            "embedder": made.embedder,
        },
    )


def to_records(made: Made, *, collection: str, generation: str, run_id: str) -> list[Record]:
    """Return the rows of a document, in the order of its chunks."""
    made_rows = (
        to_record(made, i, collection=collection, generation=generation, run_id=run_id) for i in range(len(made.chunks))
    )
    return [record for record in made_rows if record is not None]
