"""Load many rows into a Milvus server at once: Parquet files in the server's own bucket, one import request.

Milvus imports by inserting, never replacing. So a bulk load is only for documents that have no row in the collection
yet (the first load of a corpus, a rebuild beside the old collection); for all others `MilvusStore.upsert` is the way,
and `bulk_load` refuses. The commit protocol counts afterwards, as after every write.

A process may die while the server imports. Its files stay, in a folder named by what they are loaded for; who finds
them waits for the server's imports, and replaces what has come of them.
"""

from __future__ import annotations

import contextlib
import posixpath
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from nemo_retriever_dagster.errors import InvalidOptionError, RetrieverError, StoreUnavailableError
from nemo_retriever_dagster.model import stable_id
from nemo_retriever_dagster.vdb.milvus_client import mapped
from nemo_retriever_dagster.vdb.milvus_rows import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pymilvus.client.grpc_handler import GrpcHandler

    from nemo_retriever_dagster.model import Record, type_json
    from nemo_retriever_dagster.vdb.milvus import MilvusStore

ROWS_PER_FILE = 50_000
_BYTES_PER_FILE = 256 * 2**20
_POLL_SECONDS = 0.5
_FAILED, _DONE = {1, 7}, 6  # pymilvus's BulkInsertState: failed, failed and cleaned, completed


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
    """Load ``records``, wait until they can be searched, remove the files; return the number of rows written.

    Where an earlier load of the same documents broke off, wait for it and upsert instead. Raise `InvalidOptionError`
    for Milvus Lite and for documents that already have rows; `StoreUnavailableError` when the bucket or the import
    fails or takes longer than ``timeout`` seconds.
    """
    if not store.capabilities.bulk_load:
        raise InvalidOptionError(f"{store!r} has no bulk load.", hint="Use upsert(), or a Milvus server.")
    if not records:
        return 0
    documents = sorted({record.document for record in records})
    load = _Load(store=store, collection=store.collection_name(collection), bucket=bucket, documents=documents)
    if load.broke_off():
        load.wait(timeout)
        load.show()
        store.upsert(collection, records)
        load.remove()
        return len(records)
    _check_absent(store, collection, documents)
    return load.carry_out(records, timeout)


def _check_absent(store: MilvusStore, collection: str, documents: Sequence[str]) -> None:
    there = [name for name in documents if store.count(collection, name)]
    if there:
        raise InvalidOptionError(
            f"{len(there)} of the documents already have rows in {collection!r} (the first: {there[0]!r}).",
            hint="A bulk load inserts and cannot replace; use upsert(), or load into a new collection.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One load of documents into a collection (its own name, no alias), and its folder in the bucket."""

    store: MilvusStore
    collection: str
    bucket: Bucket
    documents: Sequence[str]

    @property
    def folder(self) -> str:
        """The same for every load of these documents into this collection."""
        return stable_id(self.store.address.database, self.collection, *self.documents)

    def carry_out(self, records: Sequence[Record], timeout: float) -> int:
        """Write, import and remove the files; return the number of rows imported."""
        try:
            files = list(self.write(records))
            imported = sum(self.run(path, timeout) for path in files)
            self.show()
        except BaseException:
            with contextlib.suppress(RetrieverError):
                if not self.open_tasks():  # else the server still reads the files, and they tell the next run to wait
                    self.remove()
            raise
        self.remove()
        return imported

    def broke_off(self) -> bool:
        """Whether files of an earlier load are there."""
        with self._in_bucket() as (system, root):
            return bool(system.exists(root))

    def write(self, records: Sequence[Record]) -> Iterator[str]:
        """Write the files and yield their paths."""
        dimension = self.store.dimension(self.collection)
        with self._in_bucket() as (system, root):
            system.makedirs(root, exist_ok=True)
            for number, rows in enumerate(batches(records, dimension, ROWS_PER_FILE, _BYTES_PER_FILE)):
                path = posixpath.join(root, f"{number:04d}.parquet")
                with system.open(path, "wb") as stream:
                    write_parquet(stream, rows, dimension)
                yield path

    def remove(self) -> None:
        """Remove the files."""
        with self._in_bucket() as (system, root):
            if system.exists(root):
                system.rm(root, recursive=True)

    def run(self, path: str, timeout: float) -> int:
        """Let the server import a file; return the number of its rows."""
        name = self.bucket.key(path)
        with mapped(self.store.address, "import rows", self.collection):
            link = self._link()
            task = link.do_bulk_insert(self.collection, "", [name])
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                state = link.get_bulk_insert_state(task)
                if state.state in _FAILED:
                    raise StoreUnavailableError(
                        f"Milvus cannot import {name}: {state.failed_reason}.",
                        hint="If it does not find the file: the bucket must be the one that the Milvus server itself "
                        "uses.",
                    )
                if state.state == _DONE:
                    return int(state.row_count)
                time.sleep(_POLL_SECONDS)
        raise self._late(timeout)

    def wait(self, timeout: float) -> None:
        """Wait until the server works on no import that may be this load's."""
        deadline = time.monotonic() + timeout
        while self.open_tasks():
            if time.monotonic() > deadline:
                raise self._late(timeout)
            time.sleep(_POLL_SECONDS)

    def open_tasks(self) -> list[int]:
        """Return the imports that are not at their end; where a server does not tell their files, all of them."""
        with mapped(self.store.address, "list its imports", self.collection):
            tasks = self._link().list_bulk_insert_tasks(0, self.collection)
        running = [task for task in tasks if task.state not in {*_FAILED, _DONE}]
        return [task.task_id for task in running if not task.files or self.folder in task.files]

    def show(self) -> None:
        """Make what was imported visible: a loaded collection does not see it."""
        with mapped(self.store.address, "load imported rows", self.collection):
            self.store.client.refresh_load(self.collection)

    def _link(self) -> GrpcHandler:
        # The gRPC calls that every server since 2.2 has; newer ones also offer them over HTTP, on another port.
        return self.store.client._get_connection()  # noqa: SLF001 - MilvusClient itself has no method for it

    def _late(self, timeout: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"Milvus did not finish importing into {self.collection!r} within {timeout:g} s.",
            hint="Look at the server's import tasks; the next run waits for them.",
        )

    @contextmanager
    def _in_bucket(self) -> Iterator[tuple[Any, str]]:
        """Hand out the file system and the folder's path in it."""
        import fsspec

        try:
            yield fsspec.core.url_to_fs(f"{self.bucket.uri.rstrip('/')}/{self.folder}", **dict(self.bucket.options))
        except (OSError, ImportError) as error:
            raise StoreUnavailableError(
                f"Cannot write to the bucket {self.bucket.uri}: {error}.",
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
