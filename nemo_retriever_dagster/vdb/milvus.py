"""The vector store on Milvus: Milvus Lite (a path ending .db) and servers, one class.

Only `upsert` writes (never `insert`), keys are the records' own, and every read is at Strong consistency: that is what
the commit protocol counts on. Over 400 lines because the port is one class.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Self

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb import lite_words, milvus_schema
from nemo_retriever_dagster.vdb.contract import Capabilities, CollectionSpec, Row, SearchMode
from nemo_retriever_dagster.vdb.fusion import MAX_TOP_K, RRF_K, candidates
from nemo_retriever_dagster.vdb.milvus_client import Address, connect, disconnect, mapped, turn
from nemo_retriever_dagster.vdb.milvus_filters import bind, join
from nemo_retriever_dagster.vdb.milvus_rows import MAX_TEXT, OUTPUT_FIELDS, batches, found, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pymilvus import MilvusClient

    from nemo_retriever_dagster.model import Record, type_json

_FULL_TEXT_SINCE = (2, 5)
_MIN_EF = 200
_PAGE = 1_000
_FLUSH_ROWS = 2_000


class MilvusStore:
    """A `VectorStore` on Milvus: opened at first use, shared by threads; closing frees Milvus Lite for others."""

    def __init__(
        self,
        uri: str = "milvus.db",
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        database: str = "",
        timeout: float = 60.0,
        wait: float = 10.0,
        what: str = "",
        run_id: str = "",
        batch_rows: int = 1_000,
        batch_bytes: int = 16 * 2**20,
    ) -> None:
        """Take a path or URL and, for a server, a login.

        ``timeout`` bounds one call, ``wait`` the wait for another process on the same Milvus Lite path (both seconds);
        ``what`` and ``run_id`` tell that process who is in. One request holds at most ``batch_rows`` rows and about
        ``batch_bytes`` bytes.
        """
        self.address = Address(
            uri=str(uri),
            username=username,
            password=password,
            token=token,
            database=database,
            timeout=timeout,
            wait=wait,
            what=what,
            run_id=run_id,
        )
        self.address.check()
        self._batch = (batch_rows, batch_bytes)
        self._lock = turn(self.address)
        self._client: MilvusClient | None = None
        self._metrics: dict[str, str] = {}
        self._loaded: set[str] = set()
        self._unflushed: dict[str, int] = {}

    def __repr__(self) -> str:
        """Return the address, never the password."""
        return f"MilvusStore({self.address.shown!r})"

    def __enter__(self) -> Self:
        """Return self; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def client(self) -> MilvusClient:
        """The open client of pymilvus, for what this class does not cover."""
        with self._lock:
            if self._client is None:
                self._client = connect(self.address)
            return self._client

    @property
    def capabilities(self) -> Capabilities:
        """What this Milvus can do; connects to a server to learn its version."""
        full_text = self.address.lite or self.version >= _FULL_TEXT_SINCE
        return Capabilities(
            sparse=full_text,
            bulk_load=not self.address.lite,
            aliases=True,
            many_processes=not self.address.lite,
            max_text_bytes=MAX_TEXT,
        )

    @property
    def version(self) -> tuple[int, ...]:
        """The version the server reports, e.g. (2, 5, 4)."""
        with self._mapped("tell its version"):
            text = str(self.client.get_server_version())
        return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    def ensure(self, spec: CollectionSpec, *, recreate: bool = False) -> None:
        """Create the collection if absent; raise `InvalidOptionError` if it exists with another shape."""
        milvus_schema.check_spec(spec, sparse_possible=self.capabilities.sparse, where=repr(self))
        with self._lock, self._mapped("create a collection", spec.name):
            if recreate and self.exists(spec.name):
                self.drop(spec.name)
            if not self.exists(spec.name):
                self._create(spec)
            described = self.client.describe_collection(spec.name)
            milvus_schema.check_shape(described, self._metric(spec.name), spec)

    def _create(self, spec: CollectionSpec) -> None:
        lite = self.address.lite
        try:
            self.client.create_collection(
                spec.name,
                schema=milvus_schema.schema(spec, lite=lite),
                index_params=milvus_schema.index(spec, lite=lite),
                consistency_level="Strong",
                timeout=self.address.timeout,
            )
        except Exception:
            if self.client.has_collection(spec.name):  # made, but its index was refused: useless, and in the way
                self.client.drop_collection(spec.name)
            raise

    def exists(self, collection: str) -> bool:
        """Return whether there is a collection or alias of this name."""
        with self._mapped("look for a collection", collection):
            return bool(self.client.has_collection(collection))

    def collections(self) -> list[str]:
        """Return the names of the collections, sorted."""
        with self._mapped("list its collections"):
            return sorted(self.client.list_collections())

    def alias_target(self, alias: str) -> str | None:
        """Return the collection an alias stands for, None if there is no such alias."""
        with self._mapped("look for an alias", alias):
            if not self.client.has_collection(alias):
                return None
            name = str(self.client.describe_collection(alias)["collection_name"])
        return None if name == alias else name

    def set_alias(self, alias: str, collection: str) -> None:
        """Make ``alias`` stand for ``collection``, at once for every reader."""
        now = self.alias_target(alias)
        if now is None and self.exists(alias):
            raise InvalidOptionError(
                f"{alias!r} is the name of a collection, not an alias.",
                hint="aliases.adopt() renames the collection and puts an alias in its place.",
            )
        with self._lock, self._mapped("set an alias", collection):
            self._metrics.pop(alias, None)
            self._loaded.discard(alias)
            self._load(collection)
            set_it = self.client.create_alias if now is None else self.client.alter_alias
            set_it(collection, alias)

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; the collection stays."""
        with self._mapped("drop an alias", alias):
            self._metrics.pop(alias, None)
            self._loaded.discard(alias)
            if self.alias_target(alias) is not None:
                self.client.drop_alias(alias)

    def rename(self, collection: str, name: str) -> None:
        """Give a collection another name."""
        with self._mapped("rename a collection", collection):
            self._metrics.pop(collection, None)
            self._loaded.discard(collection)
            self.client.rename_collection(collection, name)

    def drop(self, collection: str) -> None:
        """Drop the collection and all its rows; refused while an alias stands for it."""
        with self._mapped("drop a collection", collection):
            name = str(self.client.describe_collection(collection)["collection_name"])
            if name != collection or self.client.list_aliases(collection)["aliases"]:
                raise InvalidOptionError(f"{collection!r} is an alias or has one.", hint="Drop the alias first.")
            self._metrics.pop(collection, None)
            self._loaded.discard(collection)
            self._unflushed.pop(collection, None)
            self.client.drop_collection(collection, timeout=self.address.timeout)

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """Write records by id, replacing equal ids; ids repeated in one call are refused before anything is sent."""
        dimension = self.dimension(collection)
        prepared = list(batches(records, dimension, *self._batch))
        with self._mapped("write rows", collection):
            for batch in prepared:
                self.client.upsert(collection, batch, timeout=self.address.timeout)
        self._flush_now_and_then(collection, len(records))

    def _flush_now_and_then(self, collection: str, rows: int) -> None:
        """Keep Milvus Lite's unflushed rows few: every count and search reads through all of them."""
        with self._lock:
            waiting = self._unflushed.get(collection, 0) + rows
            self._unflushed[collection] = waiting
        if self.address.lite and waiting >= _FLUSH_ROWS:
            self.flush(collection)

    def dimension(self, collection: str) -> int:
        """Return the length of the collection's vectors."""
        with self._mapped("describe a collection", collection):
            fields = self.client.describe_collection(collection)["fields"]
        return next(int(field["params"]["dim"]) for field in fields if field["name"] == "vector")

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """Delete the document's rows, except those of ``keep_generation``."""
        self._load(collection)
        where = "document == {document}"
        values = {"document": document}
        if keep_generation is not None:
            where, values = where + " and generation != {keep}", values | {"keep": keep_generation}
        with self._mapped("delete rows", collection):
            self.client.delete(collection, filter=bind(where, values), timeout=self.address.timeout)

    def count(self, collection: str, document: str | None = None, *, generation: str | None = None) -> int:
        """Count rows at Strong consistency: of the collection, of a document, of one generation of it."""
        self._load(collection)
        values = {"document": document, "generation": generation}
        values = {name: value for name, value in values.items() if value is not None}
        where = bind(join(*(f"{name} == {{{name}}}" for name in values)), values)
        with self._mapped("count", collection):
            rows = self.client.query(
                collection,
                filter=where,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=self.address.timeout,
            )
        return int(rows[0]["count(*)"])

    def search(
        self,
        collection: str,
        *,
        vector: Sequence[float] | None = None,
        text: str | None = None,
        mode: SearchMode = "dense",
        top_k: int = 5,
        where: str = "",
        values: Mapping[str, type_json] | None = None,
    ) -> list[Row]:
        """Return the best rows, best first: by ``vector``, by ``text`` (sparse), or both fused by reciprocal rank."""
        bound = bind(where, values)
        self._check_search(collection, mode, vector, text, top_k)
        self._load(collection)
        if mode != "dense" and self.address.lite:
            self.flush(collection)
            lite_words.pool(self.address, collection)
        options: dict[str, Any] = {
            "limit": top_k,
            "output_fields": OUTPUT_FIELDS,
            "consistency_level": "Strong",
            "timeout": self.address.timeout,
        }
        with self._mapped("search", collection):
            requests = self._requests(collection, mode, vector, text, top_k)
            if mode == "hybrid":
                from pymilvus import AnnSearchRequest, RRFRanker

                both = [AnnSearchRequest(limit=candidates(top_k), expr=bound, **request) for request in requests]
                hits = self.client.hybrid_search(collection, both, RRFRanker(RRF_K), **options)
                return found(hits[0], "RRF")
            request = requests[0]
            request["search_params"] = request.pop("param")
            hits = self.client.search(collection, filter=bound, **request, **options)
        return found(hits[0], self._metric(collection) if mode == "dense" else "BM25")

    def _requests(
        self, collection: str, mode: SearchMode, vector: Sequence[float] | None, text: str | None, top_k: int
    ) -> list[dict[str, Any]]:
        dense = {
            "data": [[float(number) for number in vector or ()]],
            "anns_field": "vector",
            "param": {"metric_type": self._metric(collection), "params": {"ef": max(_MIN_EF, candidates(top_k))}},
        }
        sparse = {"data": [text], "anns_field": "sparse", "param": {"metric_type": "BM25", "params": {}}}
        requests: dict[SearchMode, list[dict[str, Any]]] = {
            "dense": [dense],
            "sparse": [sparse],
            "hybrid": [dense, sparse],
        }
        return requests[mode]

    def _check_search(
        self, collection: str, mode: SearchMode, vector: Sequence[float] | None, text: str | None, top_k: int
    ) -> None:
        if not 0 < top_k <= MAX_TOP_K:
            raise InvalidOptionError(f"top_k={top_k} is not between 1 and {MAX_TOP_K}.")
        if mode != "sparse" and vector is None:
            raise InvalidOptionError(f"A {mode} search needs a vector.")
        if mode != "sparse" and len(vector or ()) != (dimension := self.dimension(collection)):
            raise InvalidOptionError(
                f"The query has {len(vector or ())} dimensions, the collection {collection!r} has {dimension}.",
                hint="Query with the embedding model that the collection was written with.",
            )
        if mode != "dense" and text is None:
            raise InvalidOptionError(f"A {mode} search needs a text.")
        if mode != "dense" and not self.has_sparse(collection):
            raise InvalidOptionError(
                f"The collection {collection!r} has no full-text (BM25) field for a {mode} search.",
                hint="Use mode='dense', or build it with vdb_upload(sparse=True) on Milvus 2.5+ or Milvus Lite.",
            )

    def has_sparse(self, collection: str) -> bool:
        """Return whether the collection has the BM25 field that sparse and hybrid searches need."""
        with self._mapped("describe a collection", collection):
            fields = self.client.describe_collection(collection)["fields"]
        return any(field["name"] == "sparse" for field in fields)

    def select(
        self, collection: str, *, where: str, values: Mapping[str, type_json] | None = None, limit: int = 10_000
    ) -> list[Row]:
        """Return at most ``limit`` rows that satisfy ``where``, in the order of their ids; score and distance are 0."""
        bound = bind(where, values)
        rows = self._scan(collection, bound, OUTPUT_FIELDS, limit)
        return sorted((stored(row) for row in rows), key=lambda row: row.id)

    def census(self, collection: str) -> dict[str, dict[str, int]]:
        """Return how many rows each document has in each generation: what a verification compares with receipts."""
        counts: dict[str, dict[str, int]] = {}
        for row in self._scan(collection, 'pk != ""', ["document", "generation"], -1):
            generations = counts.setdefault(row["document"], {})
            generations[row["generation"]] = generations.get(row["generation"], 0) + 1
        return counts

    def _scan(self, collection: str, bound: str, fields: list[str], limit: int) -> Iterator[dict[str, Any]]:
        self._load(collection)
        options: dict[str, Any] = {
            "filter": bound or 'pk != ""',
            "output_fields": fields,
            "consistency_level": "Strong",
            "timeout": self.address.timeout,
        }
        if self.address.lite:  # has no limit of its own, and every page would be another scan of all rows
            with self._mapped("select", collection):
                rows = self.client.query(collection, **options, **({"limit": limit} if limit > 0 else {}))
            yield from rows
            return
        with self._mapped("select", collection):
            pages = self.client.query_iterator(collection, batch_size=_PAGE, limit=limit, **options)
            try:
                while page := pages.next():
                    yield from page
            finally:
                pages.close()

    def flush(self, collection: str) -> None:
        """Make what was written fast to search: Milvus Lite scans unflushed rows slowly."""
        with self._mapped("flush", collection):
            self.client.describe_collection(collection)  # Milvus Lite flushes what does not exist without a word
            self.client.flush(collection)
        with self._lock:
            self._unflushed.pop(collection, None)

    def close(self) -> None:
        """Flush, and leave the store; the last to leave Milvus Lite closes it and gives its lease back."""
        for collection in list(self._unflushed) if self.address.lite else ():
            self.flush(collection)
        with self._lock:
            client, self._client = self._client, None
            self._metrics.clear()
            self._loaded.clear()
        if client is not None:
            disconnect(self.address, client)

    def _load(self, collection: str) -> None:
        """Load a collection that is 'released': every collection of a Milvus Lite that was just opened is."""
        if collection in self._loaded:
            return
        with self._lock, self._mapped("load a collection", collection):
            self.client.load_collection(collection, timeout=self.address.timeout)
            self._loaded.add(collection)

    def _metric(self, collection: str) -> str:
        if collection not in self._metrics:
            names = self.client.list_indexes(collection, field_name="vector")
            described = self.client.describe_index(collection, names[0]) if names else {}
            self._metrics[collection] = str(described.get("metric_type", "L2"))
        return self._metrics[collection]

    @contextmanager
    def _mapped(self, doing: str, collection: str = "") -> Iterator[None]:
        with self._lock if self.address.lite else nullcontext(), mapped(self.address, doing, collection):
            yield
