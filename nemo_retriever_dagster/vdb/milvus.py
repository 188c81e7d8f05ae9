"""The vector store on Milvus: Milvus Lite (a path ending .db) and servers, one class.

Only `upsert` writes (never `insert`), keys are the records' own, and every read is at Strong consistency: that is what
the commit protocol counts on.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb import lite_words
from nemo_retriever_dagster.vdb.fusion import MAX_TOP_K, RRF_K, candidates
from nemo_retriever_dagster.vdb.milvus_client import lite_rows
from nemo_retriever_dagster.vdb.milvus_collections import MilvusCollections
from nemo_retriever_dagster.vdb.milvus_filters import bind, join
from nemo_retriever_dagster.vdb.milvus_rows import OUTPUT_FIELDS, as_record, batches, found, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nemo_retriever_dagster.model import Record, type_json
    from nemo_retriever_dagster.vdb.contract import Row, SearchMode

_MIN_EF = 200
_PAGE = 1_000
_ALL = -1  # what an iterator of the client library takes for no limit
_FLUSH_ROWS = 20_000
_ROW_FIELDS = ["pk", "document", "generation"]


class MilvusStore(MilvusCollections):
    """A `VectorStore` on Milvus: opened at first use, shared by threads; closing frees Milvus Lite for others."""

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """Write records by id, replacing equal ids; ids repeated in one call are refused before anything is sent."""
        dimension = self.dimension(collection)
        prepared = list(batches(records, dimension, *self._batch))
        with self._mapped("write rows", collection), self._reread(collection, [record.id for record in records]):
            for batch in prepared:
                self._milvus.upsert(collection, batch, timeout=self.address.timeout)
        self._flush_now_and_then(collection, len(records))

    def _flush_now_and_then(self, collection: str, rows: int) -> None:
        """Bound the unflushed rows of Milvus Lite: a search reads through all of them; every flush makes a file."""
        with self._lock:
            waiting = self._unflushed.get(collection, 0) + rows
            self._unflushed[collection] = waiting
        if self.address.lite and waiting >= _FLUSH_ROWS:
            self.flush(collection)

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """Delete the document's rows, except those of ``keep_generation``."""
        self._load(collection)
        if self.address.lite:
            self._delete_keys(collection, document, keep_generation)
            return
        where = "document == {document}"
        values = {"document": document}
        if keep_generation is not None:
            where, values = where + " and generation != {keep}", values | {"keep": keep_generation}
        with self._mapped("delete rows", collection):
            self._milvus.delete(collection, filter=bind(where, values), timeout=self.address.timeout)

    def _delete_keys(self, collection: str, document: str, keep_generation: str | None) -> None:
        with self._mapped("delete rows", collection):
            there = lite_rows(self.address).of_document(self, collection, document)
            keys = [key for key, generation in there.items() if generation != keep_generation]
            with self._reread(collection, keys):
                for start in range(0, len(keys), _PAGE):
                    self._milvus.delete(collection, ids=keys[start : start + _PAGE], timeout=self.address.timeout)

    @contextmanager
    def _reread(self, collection: str, keys: Sequence[str]) -> Iterator[None]:
        """Read the rows of ``keys`` from Milvus Lite after they are written or deleted, whatever came of it."""
        if not self.address.lite:
            yield
            return
        rows = lite_rows(self.address)
        try:
            yield
            rows.reread(self, collection, keys)
        except BaseException:
            rows.forget()
            raise

    def all_rows(self, collection: str) -> Iterable[dict[str, type_json]]:
        """Return key, document and generation of every row."""
        return self._scan(collection, "", _ROW_FIELDS, None)

    def rows_of_keys(self, collection: str, keys: Sequence[str]) -> Iterable[dict[str, type_json]]:
        """Return key, document and generation of the rows of ``keys`` that are there."""
        return self._of_keys(collection, keys, _ROW_FIELDS)

    def _of_keys(self, collection: str, keys: Sequence[str], fields: list[str]) -> list[dict[str, type_json]]:
        self._load(collection)
        with self._mapped("read rows", collection):
            rows: list[dict[str, type_json]] = self._milvus.query(
                collection,
                ids=list(keys),
                output_fields=fields,
                consistency_level="Strong",
                timeout=self.address.timeout,
            )
        return rows

    def count(self, collection: str, document: str | None = None, *, generation: str | None = None) -> int:
        """Count rows at Strong consistency: of the collection, of a document, of one generation of it."""
        self._load(collection)
        if self.address.lite and document is not None:
            with self._mapped("count", collection):
                found = lite_rows(self.address).of_document(self, collection, document).values()
                return sum(generation in {None, this} for this in found)
        values = {"document": document, "generation": generation}
        values = {name: value for name, value in values.items() if value is not None}
        where = bind(join(*(f"{name} == {{{name}}}" for name in values)), values)
        with self._mapped("count", collection):
            rows = self._milvus.query(
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
            with self._mapped("search", collection):
                lite_words.pool(self.address, collection)
            text = lite_words.question(text or "")
        options: dict[str, Any] = {
            "limit": top_k,
            "output_fields": OUTPUT_FIELDS,
            "consistency_level": "Strong",
            "timeout": self.address.timeout,
        }
        with self._mapped("search", collection):
            metric = self._metric(collection)
            requests = self._requests(metric, mode, vector, text, top_k)
            if mode == "hybrid":
                from pymilvus import AnnSearchRequest, RRFRanker

                both = [AnnSearchRequest(limit=candidates(top_k), expr=bound, **request) for request in requests]
                hits = self._milvus.hybrid_search(collection, both, RRFRanker(RRF_K), **options)
                return found(hits[0], "RRF")
            request = requests[0]
            request["search_params"] = request.pop("param")
            hits = self._milvus.search(collection, filter=bound, **request, **options)
        return found(hits[0], metric if mode == "dense" else "BM25")

    def _requests(
        self, metric: str, mode: SearchMode, vector: Sequence[float] | None, text: str | None, top_k: int
    ) -> list[dict[str, Any]]:
        dense = {
            "data": [[] if vector is None else [float(number) for number in vector]],
            "anns_field": "vector",
            "param": {"metric_type": metric, "params": {"ef": max(_MIN_EF, candidates(top_k))}},
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
        if mode != "sparse":
            self._check_vector(collection, mode, vector)
        if mode != "dense" and text is None:
            raise InvalidOptionError(f"A {mode} search needs a text.")
        if mode != "dense" and not self.has_sparse(collection):
            raise InvalidOptionError(
                f"The collection {collection!r} has no full-text (BM25) field for a {mode} search.",
                hint="Use mode='dense', or build it with vdb_upload(sparse=True) on Milvus 2.5+ or Milvus Lite.",
            )

    def _check_vector(self, collection: str, mode: SearchMode, vector: Sequence[float] | None) -> None:
        if vector is None:
            raise InvalidOptionError(f"A {mode} search needs a vector.")
        if len(vector) != (dimension := self.dimension(collection)):
            raise InvalidOptionError(
                f"The query has {len(vector)} dimensions, the collection {collection!r} has {dimension}.",
                hint="Query with the embedding model that the collection was written with.",
            )

    def select(
        self, collection: str, *, where: str, values: Mapping[str, type_json] | None = None, limit: int | None = 10_000
    ) -> list[Row]:
        """Return at most ``limit`` rows (None: all) that satisfy ``where``, by id; score and distance are 0."""
        bound = bind(where, values)
        rows = self._scan(collection, bound, OUTPUT_FIELDS, limit)
        return sorted((stored(row) for row in rows), key=lambda row: row.id)

    def census(self, collection: str) -> dict[str, dict[str, int]]:
        """Return how many rows each document has in each generation: what a verification compares with receipts."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.all_rows(collection):
            generations = counts.setdefault(row["document"], {})
            generations[row["generation"]] = generations.get(row["generation"], 0) + 1
        return counts

    def records(self, collection: str) -> Iterator[Record]:
        """Yield every row as it was written, a page at a time: vectors are large."""
        keys = [str(row["pk"]) for row in self.all_rows(collection)]
        for start in range(0, len(keys), _PAGE):
            rows = self._of_keys(collection, keys[start : start + _PAGE], ["vector", *OUTPUT_FIELDS])
            yield from map(as_record, rows)

    def _scan(self, collection: str, bound: str, fields: list[str], limit: int | None) -> Iterator[dict[str, Any]]:
        self._load(collection)
        options: dict[str, Any] = {
            "filter": bound or 'pk != ""',
            "output_fields": fields,
            "consistency_level": "Strong",
            "timeout": self.address.timeout,
        }
        if self.address.lite:  # has no limit of its own, and every page would be another scan of all rows
            with self._mapped("select", collection):
                rows = self._milvus.query(collection, **options, **({"limit": limit} if limit else {}))
            yield from rows
            return
        with self._mapped("select", collection):
            pages = self._milvus.query_iterator(collection, batch_size=_PAGE, limit=limit or _ALL, **options)
            try:
                while page := pages.next():
                    yield from page
            finally:
                pages.close()
