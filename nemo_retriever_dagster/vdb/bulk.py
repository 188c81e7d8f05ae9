"""Load many rows into a Milvus server at once: Parquet files in the server's own bucket, one import request.

Milvus imports by inserting, never replacing. So a bulk load is only for documents that have no row in the collection
yet (the first load of a corpus, a rebuild beside the old collection); for all others `MilvusStore.upsert` is the way,
and `bulk_load` refuses. The commit protocol counts afterwards, as after every write.
"""

from __future__ import annotations

import posixpath
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from nemo_retriever_dagster.errors import InvalidOptionError, StoreUnavailableError
from nemo_retriever_dagster.vdb.milvus_client import mapped
from nemo_retriever_dagster.vdb.milvus_rows import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nemo_retriever_dagster.model import Record, type_json
    from nemo_retriever_dagster.vdb.milvus import MilvusStore

ROWS_PER_FILE = 50_000
_BYTES_PER_FILE = 256 * 2**20
_POLL_SECONDS = 0.5
_FAILED, _DONE = 1, 6  # pymilvus's BulkInsertState


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where the Milvus server keeps its own data: ``uri`` is ``s3://bucket/prefix``, ``options`` go to fsspec."""

    uri: str
    options: Mapping[str, type_json] = field(default_factory=dict, repr=False)

    @classmethod
    def of_minio(
        cls, *, endpoint: str, access_key: str, secret_key: str, bucket_name: str, prefix: str = "nemo_retriever"
    ) -> Self:
        """Name a MinIO or S3 bucket by the reference's four options; ``endpoint`` is a URL or ``host:port``."""
        url = endpoint if "://" in endpoint else f"http://{endpoint}"
        options = {"key": access_key, "secret": secret_key, "client_kwargs": {"endpoint_url": url}}
        return cls(uri=f"s3://{bucket_name}/{prefix}", options=options)

    def key(self, path: str) -> str:
        """Return ``path`` as the server names it: without the bucket; a local path stays whole."""
        return path if self.uri.startswith("file://") else path.partition("/")[2]


def bulk_load(
    store: MilvusStore, collection: str, records: Sequence[Record], bucket: Bucket, *, timeout: float = 1_800.0
) -> int:
    """Load ``records``, wait until they can be searched, remove the files; return the number of rows imported.

    Raise `InvalidOptionError` for Milvus Lite and for documents that already have rows; `StoreUnavailableError` when
    the bucket or the import fails or takes longer than ``timeout`` seconds.
    """
    _check(store, collection, records)
    if not records:
        return 0
    folder = f"{bucket.uri.rstrip('/')}/{uuid.uuid4().hex}"
    try:
        files = list(_write(folder, bucket, records, store.dimension(collection)))
        imported = sum(_import(store, collection, bucket.key(path), timeout) for path in files)
        with mapped(store.address, "load imported rows", collection):
            store.client.refresh_load(collection)  # without it a loaded collection does not see what was imported
        return imported
    finally:
        _remove(folder, bucket)


def _check(store: MilvusStore, collection: str, records: Sequence[Record]) -> None:
    if not store.capabilities.bulk_load:
        raise InvalidOptionError(f"{store!r} has no bulk load.", hint="Use upsert(), or a Milvus server.")
    there = [name for name in sorted({record.document for record in records}) if store.count(collection, name)]
    if there:
        raise InvalidOptionError(
            f"{len(there)} of the documents already have rows in {collection!r} (the first: {there[0]!r}).",
            hint="A bulk load inserts and cannot replace; use upsert(), or load into a new collection.",
        )


def _write(folder: str, bucket: Bucket, records: Sequence[Record], dimension: int) -> Iterator[str]:
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(folder, **dict(bucket.options))
        system.makedirs(root, exist_ok=True)
        for number, rows in enumerate(batches(records, dimension, ROWS_PER_FILE, _BYTES_PER_FILE)):
            path = posixpath.join(root, f"{number:04d}.parquet")
            with system.open(path, "wb") as stream:
                write_parquet(stream, rows, dimension)
            yield path
    except (OSError, ImportError) as error:
        raise StoreUnavailableError(
            f"Cannot write to the bucket {bucket.uri}: {error}.",
            hint="Check endpoint, keys and bucket_name; it must be the bucket that the Milvus server itself uses.",
        ) from error


def write_parquet(stream: Any, rows: Sequence[Mapping[str, type_json]], dimension: int) -> None:
    """Write rows as Milvus imports them: vectors as lists of float32, JSON as text, no dynamic fields."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = np.concatenate([row["vector"] for row in rows]).astype(np.float32)
    offsets = np.arange(0, len(flat) + 1, dimension, dtype=np.int32)
    columns: dict[str, Any] = {"vector": pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))}
    for name in ("pk", "source", "content_metadata", "document", "generation", "text"):
        columns[name] = pa.array([row[name] for row in rows], pa.string())
    columns["$meta"] = pa.array(["{}"] * len(rows), pa.string())
    pq.write_table(pa.table(columns), stream)


def _import(store: MilvusStore, collection: str, path: str, timeout: float) -> int:
    # The gRPC call that every server since 2.2 has; newer ones also offer it over HTTP, on another port.
    with mapped(store.address, "import rows", collection):
        link = store.client._get_connection()  # noqa: SLF001 - MilvusClient itself has no method for it
        task = link.do_bulk_insert(collection, "", [path])
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = link.get_bulk_insert_state(task)
            if state.state == _FAILED:
                raise StoreUnavailableError(
                    f"Milvus cannot import {path}: {state.failed_reason}.",
                    hint="If it does not find the file: the bucket must be the one that the Milvus server itself uses.",
                )
            if state.state == _DONE:
                return int(state.row_count)
            time.sleep(_POLL_SECONDS)
    raise StoreUnavailableError(
        f"Milvus did not finish importing {path} within {timeout:g} s.", hint="Look at the server's import tasks."
    )


def _remove(folder: str, bucket: Bucket) -> None:
    import fsspec

    system, root = fsspec.core.url_to_fs(folder, **dict(bucket.options))
    if system.exists(root):
        system.rm(root, recursive=True)
