"""Records to Milvus rows, checked and cut into requests; Milvus answers to `Row`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError
from nemo_retriever_dagster.model import Record
from nemo_retriever_dagster.vdb.contract import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nemo_retriever_dagster.model import type_json

MAX_TEXT, MAX_ID, MAX_DOCUMENT, MAX_GENERATION, MAX_JSON = 65_535, 128, 1_024, 128, 65_536  # bytes
_UNSAFE = re.compile(r"[\"'\\\x00-\x1f]")  # pymilvus pages through rows by ids that it does not quote
OUTPUT_FIELDS = ["text", "source", "content_metadata", "document", "generation"]


def batches(
    records: Sequence[Record], dimension: int, max_rows: int, max_bytes: int
) -> Iterator[list[dict[str, type_json]]]:
    """Yield requests of at most ``max_rows`` rows and about ``max_bytes`` bytes (at least one row each).

    Raise `InvalidOptionError` for an id that repeats, a vector of another dimension, a text or field that is too long;
    `EngineReplyError` for a vector with a number that is not finite.
    """
    check_unique(records)
    vectors = check_vectors(records, dimension)
    batch: list[dict[str, type_json]] = []
    size = 0
    for record, vector in zip(records, vectors, strict=True):
        row, row_bytes = _row(record, vector)
        if batch and (len(batch) >= max_rows or size + row_bytes > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_bytes
    if batch:
        yield batch


def check_unique(records: Sequence[Record]) -> None:
    """Raise `InvalidOptionError` if an id repeats: stores differ in which row would win."""
    if len({record.id for record in records}) == len(records):
        return
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise InvalidOptionError(f"The id {record.id!r} stands twice in one upsert (document {record.document!r}).")
        seen.add(record.id)


def check_vectors(records: Sequence[Record], dimension: int) -> np.ndarray:
    """Return the vectors as float32 rows; raise `InvalidOptionError` (dimension) or `EngineReplyError` (NaN)."""
    for record in records:
        if len(record.vector) != dimension:
            raise InvalidOptionError(
                f"The vector of {record.id!r} has {len(record.vector)} dimensions, the collection has {dimension}.",
                hint="The embedding model is not the one the collection was made for.",
            )
    with np.errstate(over="ignore"):
        vectors = np.asarray([record.vector for record in records], dtype=np.float32).reshape(len(records), dimension)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        bad = records[int(np.argmin(finite))]
        raise EngineReplyError(
            f"The vector of {bad.id!r} (document {bad.document!r}) holds NaN or infinity.",
            hint="The embedding engine's answer is broken; nothing was written. Check the model it serves.",
        )
    return vectors


def _row(record: Record, vector: np.ndarray) -> tuple[dict[str, type_json], int]:
    if record.sparse is not None:
        raise InvalidOptionError(f"{record.id!r} brings its own sparse vector, but Milvus computes BM25 from the text.")
    if not record.id or _UNSAFE.search(record.id):
        raise InvalidOptionError(f"{record.id!r} is not an id: use model.stable_id().")
    size = _measure(record.id, "id", record.id, MAX_ID)
    size += _measure(record.id, "document", record.document, MAX_DOCUMENT)
    size += _measure(record.id, "generation", record.generation, MAX_GENERATION)
    size += _measure(record.id, "text", record.text, MAX_TEXT)
    source, metadata = _json(record.source), _json(record.content_metadata)
    size += _measure(record.id, "source", source, MAX_JSON)
    size += _measure(record.id, "content_metadata", metadata, MAX_JSON)
    row = {
        "pk": record.id,
        "vector": vector,
        "source": source,
        "content_metadata": metadata,
        "text": record.text,
        "document": record.document,
        "generation": record.generation,
    }
    return row, size + 4 * len(vector)


def _json(value: Mapping[str, type_json]) -> str:
    # Text is what the client library sends as it is; given a mapping, it copies it value by value first.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _measure(record: str, field: str, value: str, limit: int) -> int:
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidOptionError(f"The {field} of {record!r} is not valid Unicode: {error.reason}.") from error
    if size > limit:
        raise InvalidOptionError(
            f"The {field} of {record!r} has {size} bytes; Milvus takes {limit}.",
            hint="Split the text into smaller chunks." if field == "text" else "",
        )
    return size


def found(hits: Sequence[Mapping[str, Any]], metric: str) -> list[Row]:
    """Return search hits as rows, best first; ``metric`` is the index's, or RRF."""
    rows = [_hit(hit, metric) for hit in hits]
    return sorted(rows, key=lambda row: -row.score)


def _hit(hit: Mapping[str, Any], metric: str) -> Row:
    distance = float(hit["distance"])
    plain = dict(hit)  # the key of a hit is called "pk" by Milvus Lite and new servers, "id" by servers before 2.4
    row = stored({**plain["entity"], "pk": plain["pk"] if "pk" in plain else plain["id"]})
    return Row(
        id=row.id,
        score=score(distance, metric),
        distance=distance,
        text=row.text,
        source=row.source,
        content_metadata=row.content_metadata,
        fields=row.fields,
    )


def score(distance: float, metric: str) -> float:
    """Return a figure where higher is better: 1 / (1 + distance) for L2, the similarity itself for the others."""
    if metric == "L2":
        return 1.0 / (1.0 + max(distance, 0.0))
    # Milvus Lite gives the relevance of a full-text search as a negative distance, servers as a positive score.
    return abs(distance) if metric == "BM25" else distance


def stored(entity: Mapping[str, Any]) -> Row:
    """Return a stored row; score and distance are 0."""
    rest = {name: value for name, value in entity.items() if name not in {"pk", "text", "source", "content_metadata"}}
    return Row(
        id=str(entity["pk"]),
        score=0.0,
        distance=0.0,
        text=str(entity.get("text") or ""),
        source=_mapping(entity.get("source")),
        content_metadata=_mapping(entity.get("content_metadata")),
        fields=rest,
    )


def as_record(entity: Mapping[str, Any]) -> Record:
    """Return a stored row, vector and all, as the record it was written from."""
    row = stored(entity)
    return Record(
        id=row.id,
        document=str(entity.get("document") or ""),
        generation=str(entity.get("generation") or ""),
        text=row.text,
        vector=entity["vector"],
        source=row.source,
        content_metadata=row.content_metadata,
    )


def _mapping(value: Any) -> Mapping[str, type_json]:
    decoded = json.loads(value) if isinstance(value, str) else value
    return decoded if isinstance(decoded, dict) else {}
