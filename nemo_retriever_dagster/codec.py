"""Values of the model as bytes and back: what stage results look like inside an artifact.

The same values give the same bytes. Elements and chunks are JSON lines, first a line that says what follows and how
much of it; fields at their default are left out. A picture is put aside once, by its hash. Vectors are a NumPy array
file of float32.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from nemo_retriever_dagster.errors import ArtifactDamagedError
from nemo_retriever_dagster.model import Box, Cell, Chunk, Element, Kind, Origin, Picture, Place, Record, Table

PutBlob = Callable[[str, bytes], None]
"""Stores bytes under their SHA-256."""
GetBlob = Callable[[str], bytes | None]
"""Returns the bytes of a SHA-256, or None if they are gone."""
_Converters = Mapping[str, Callable[[Any], Any]]

_VERSION = 1
_AXES = 2  # of vectors: a row each, and its numbers
_HEADERS = Lock()
"""NumPy reads a header as Python source, which up to Python 3.11.7 now and then fails in two threads at once
(python/cpython#106905)."""


def encode_elements(elements: Sequence[Element], put_blob: PutBlob) -> bytes:
    """Return ``elements`` as bytes, handing each distinct picture to ``put_blob``."""
    seen: set[str] = set()

    def pack_picture(picture: Picture) -> dict[str, Any]:
        digest = picture.sha256
        if digest not in seen:
            seen.add(digest)
            put_blob(digest, picture.data)
        return {"sha256": digest, "width": picture.width, "height": picture.height, "media_type": picture.media_type}

    packers: _Converters = {"picture": pack_picture, "table": _pack_table}
    return _pack_lines("elements", [_pack(element, packers) for element in elements])


def decode_elements(data: bytes, get_blob: GetBlob) -> tuple[Element, ...]:
    """Return the elements; raise `ArtifactDamagedError` if ``data`` or a picture it names is not whole."""
    pictures: dict[str, bytes] = {}

    def unpack_picture(raw: dict[str, Any]) -> Picture:
        digest = raw.pop("sha256")
        if digest not in pictures:
            found = get_blob(digest)
            if found is None:
                raise ArtifactDamagedError(f"The picture {digest} of a stored extraction is gone.")
            pictures[digest] = found
        return Picture(data=pictures[digest], **raw)

    readers = {**_ELEMENT_READERS, "picture": unpack_picture}
    return tuple(_unpack(Element, raw, readers) for raw in _unpack_lines("elements", data))


def encode_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Return ``chunks`` as bytes."""
    packers = {"places": lambda places: [_pack(place, {}) for place in places]}
    return _pack_lines("chunks", [_pack(chunk, packers) for chunk in chunks])


def decode_chunks(data: bytes) -> tuple[Chunk, ...]:
    """Return the chunks; raise `ArtifactDamagedError` if ``data`` is not whole."""
    return tuple(_unpack(Chunk, raw, _CHUNK_READERS) for raw in _unpack_lines("chunks", data))


def encode_vectors(vectors: Sequence[Sequence[float]] | npt.NDArray[Any]) -> bytes:
    """Return vectors of one dimension, one per row, as a NumPy array file of float32."""
    array = np.ascontiguousarray(vectors, dtype="<f4")
    array = array if array.ndim == _AXES else array.reshape(0, 0)
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def decode_vectors(data: bytes) -> npt.NDArray[np.float32]:
    """Return the vectors, one per row; raise `ArtifactDamagedError` if ``data`` is not such a file."""
    try:
        with _HEADERS:
            array: npt.NDArray[np.float32] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ArtifactDamagedError(f"Stored vectors cannot be read: {error}") from None
    if array.dtype != np.float32 or array.ndim != _AXES:
        raise ArtifactDamagedError(f"Stored vectors are {array.dtype} of {array.ndim} dimensions, not float32 of 2.")
    return array


def _pack(value: Any, packers: _Converters) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults."""
    packed = {}
    for item in fields(value):
        content = getattr(value, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if content is None or (default is not MISSING and content == default):
            continue
        packer = packers.get(item.name)
        packed[item.name] = packer(content) if packer else content
    return packed


def _unpack(kind: type[Any], raw: Any, readers: _Converters) -> Any:
    try:
        return kind(**{name: readers[name](value) if name in readers else value for name, value in raw.items()})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ArtifactDamagedError(f"A stored {kind.__name__.lower()} cannot be read: {error}") from None


def _pack_table(table: Table) -> list[dict[str, Any]]:
    return [_pack(cell, {}) for cell in table.cells]


def _unpack_table(raw: list[Any]) -> Table:
    return Table(cells=tuple(_unpack(Cell, cell, {}) for cell in raw))


def _unpack_box(raw: list[float]) -> Box:
    return Box(*raw)


_ELEMENT_READERS: _Converters = {
    "kind": Kind,
    "inside": Kind,
    "origin": Origin,
    "box": _unpack_box,
    "page_size": tuple,
    "warnings": tuple,
    "table": _unpack_table,
}
_PLACE_READERS: _Converters = {"box": _unpack_box, "page_size": tuple}
_CHUNK_READERS: _Converters = {
    "kind": Kind,
    "places": lambda raw: tuple(_unpack(Place, place, _PLACE_READERS) for place in raw),
}


def _pack_lines(kind: str, rows: list[dict[str, Any]]) -> bytes:
    # Escaped to ASCII, so that a lone surrogate from a broken text layer survives.
    head = {"kind": kind, "version": _VERSION, "count": len(rows)}
    lines = [json.dumps(row, sort_keys=True, separators=(",", ":")) for row in (head, *rows)]
    return gzip.compress("\n".join(lines).encode("ascii"), compresslevel=1, mtime=0)


def _unpack_lines(kind: str, data: bytes) -> list[Any]:
    try:
        head, *rows = [json.loads(line) for line in gzip.decompress(data).split(b"\n")]
        known = (head["kind"], head["version"], head["count"]) == (kind, _VERSION, len(rows))
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
        raise ArtifactDamagedError(f"Stored {kind} cannot be read: {type(error).__name__}: {error}") from None
    if not known:
        raise ArtifactDamagedError(f"Stored {kind} are of another version or not whole.")
    return rows


def digest_row(record: Record) -> bytes:
    """Return a hash of everything in a row but the run that wrote it: written again, a row is the same."""
    metadata = {name: value for name, value in record.content_metadata.items() if name != "run_id"}
    parts = [record.id, record.document, record.generation, record.text, record.source, metadata]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode() + np.asarray(record.vector, dtype="<f4").tobytes()).digest()


def digest_rows(digests: Iterable[bytes]) -> str:
    """Return one hash, 32 hex digits, for those of a document's rows, whatever their order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:32]
