"""A vector store in memory: a whole `VectorStore` for tests and trials, with Milvus's rules, ready at once."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.testing.store_filter import matcher
from nemo_retriever_dagster.vdb.aliases import end_adoption
from nemo_retriever_dagster.vdb.contract import Capabilities, CollectionSpec, Metric, Row, SearchMode
from nemo_retriever_dagster.vdb.fusion import MAX_TOP_K, candidates, fuse
from nemo_retriever_dagster.vdb.milvus_filters import bind
from nemo_retriever_dagster.vdb.milvus_rows import as_record, batches, score, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import Record, type_json

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75  # BM25's usual constants


@dataclass(slots=True)
class _Collection:
    spec: CollectionSpec
    rows: dict[str, dict[str, type_json]] = field(default_factory=dict)


class InMemoryStore:
    """Rows in a dictionary, exact search, BM25, aliases. Threads may share it; nothing outlives the object."""

    def __init__(self) -> None:
        """Start empty."""
        self._collections: dict[str, _Collection] = {}
        self._aliases: dict[str, str] = {}
        self._lock = threading.RLock()

    @property
    def capabilities(self) -> Capabilities:
        """Everything but bulk loading."""
        return Capabilities(sparse=True, aliases=True)

    def ensure(self, spec: CollectionSpec, *, recreate: bool = False) -> None:
        """Create the collection if absent; raise `InvalidOptionError` if it exists with another shape."""
        if not _NAME.match(spec.name):
            raise InvalidOptionError(f"{spec.name!r} is not a collection name.", hint="Letters, digits, underscores.")
        if spec.dimension < 1:
            raise InvalidOptionError(f"A collection cannot have dimension {spec.dimension}.")
        with self._lock:
            end_adoption(self, spec.name)
            if recreate and self.exists(spec.name):
                self.drop(spec.name)
            if not self.exists(spec.name):
                self._collections[spec.name] = _Collection(spec=spec)
            _check_shape(self._get(spec.name).spec, spec)

    def exists(self, collection: str) -> bool:
        """Return whether there is a collection or alias of this name."""
        return collection in self._collections or collection in self._aliases

    def drop(self, collection: str) -> None:
        """Drop the collection and all its rows."""
        with self._lock:
            self._get(collection)
            if collection in self._aliases or collection in self._aliases.values():
                raise InvalidOptionError(f"{collection!r} is an alias or has one.", hint="Drop the alias first.")
            del self._collections[collection]

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """Write records by id, replacing equal ids; ids repeated inside one call are refused."""
        with self._lock:
            target = self._get(collection)
            prepared = list(batches(records, target.spec.dimension, max(len(records), 1), 2**40))
            target.rows.update({row["pk"]: row for batch in prepared for row in batch})

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """Delete the document's rows, except those of ``keep_generation``."""
        with self._lock:
            rows = self._get(collection).rows
            for key in [key for key, row in rows.items() if row["document"] == document]:
                if keep_generation is None or rows[key]["generation"] != keep_generation:
                    del rows[key]

    def count(self, collection: str, document: str | None = None, *, generation: str | None = None) -> int:
        """Count rows: of the collection, of a document, of one generation of it."""
        return sum(
            (document is None or row["document"] == document)
            and (generation is None or row["generation"] == generation)
            for row in self._rows(collection)
        )

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
        """Return the best rows: by ``vector``, by ``text`` (BM25), or both; ``where`` is bound to ``values``."""
        matches = matcher(bind(where, values))
        spec = self._get(collection).spec
        _check_search(spec, mode, vector, text, top_k)
        rows = self._rows(collection)
        kept = [row for row in rows if matches(_decoded(row))]
        if mode == "dense":
            return _dense(kept, vector or (), spec.metric)[:top_k]
        if mode == "sparse":
            return _sparse(rows, kept, text or "")[:top_k]
        wide = candidates(top_k)
        return fuse([_dense(kept, vector or (), spec.metric)[:wide], _sparse(rows, kept, text or "")[:wide]], top_k)

    def select(
        self, collection: str, *, where: str, values: Mapping[str, type_json] | None = None, limit: int | None = 10_000
    ) -> list[Row]:
        """Return at most ``limit`` rows (None: all) that satisfy ``where``, by id; score and distance are 0."""
        matches = matcher(bind(where, values))
        rows = [_row(row) for row in self._rows(collection) if matches(_decoded(row))]
        return sorted(rows, key=lambda row: row.id)[:limit]

    def census(self, collection: str) -> dict[str, dict[str, int]]:
        """Return how many rows each document has in each generation."""
        counts: dict[str, dict[str, int]] = {}
        for row in self._rows(collection):
            generations = counts.setdefault(row["document"], {})
            generations[row["generation"]] = generations.get(row["generation"], 0) + 1
        return counts

    def records(self, collection: str) -> Iterable[Record]:
        """Yield every row as it was written."""
        return map(as_record, self._rows(collection))

    def alias_target(self, alias: str) -> str | None:
        """Return the collection an alias stands for, None if there is no such alias."""
        return self._aliases.get(alias)

    def set_alias(self, alias: str, collection: str) -> None:
        """Make ``alias`` stand for ``collection``, at once for every reader."""
        with self._lock:
            self._get(collection)
            if alias in self._collections:
                raise InvalidOptionError(f"{alias!r} is the name of a collection, not an alias.")
            self._aliases[alias] = self._aliases.get(collection, collection)

    def rename(self, collection: str, name: str) -> None:
        """Give a collection another name; its aliases go with it."""
        with self._lock:
            if collection not in self._collections or self.exists(name):
                raise InvalidOptionError(f"Cannot rename {collection!r} to {name!r}: no such collection, or it exists.")
            self._collections[name] = self._collections.pop(collection)
            for alias in [alias for alias, target in self._aliases.items() if target == collection]:
                self._aliases[alias] = name

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; the collection stays."""
        self._aliases.pop(alias, None)

    def flush(self, collection: str) -> None:
        """Check that the collection is there: memory needs no flush."""
        self._get(collection)

    def close(self) -> None:
        """Do nothing: the rows live as long as the object."""

    def _get(self, collection: str) -> _Collection:
        name = self._aliases.get(collection, collection)
        if name not in self._collections:
            raise InvalidOptionError(
                f"There is no collection {collection!r} in this store.",
                hint="Ingest with vdb_upload(collection_name=...) first, or correct the name.",
            )
        return self._collections[name]

    def _rows(self, collection: str) -> list[dict[str, type_json]]:
        with self._lock:
            return list(self._get(collection).rows.values())


def _check_shape(found: CollectionSpec, wanted: CollectionSpec) -> None:
    if found.dimension != wanted.dimension:
        problem = f"holds vectors of dimension {found.dimension}, but the embedding model makes {wanted.dimension}"
    elif wanted.sparse and not found.sparse:
        problem = "has no sparse field, but sparse=True was asked for"
    elif found.metric != wanted.metric:
        problem = f"measures distance by {found.metric}, but {wanted.metric} was asked for"
    else:
        return
    raise InvalidOptionError(
        f"The collection {wanted.name!r} exists and {problem}.",
        hint="Use vdb_upload(reindex=True), another collection_name, or recreate=True.",
    )


def _check_search(
    spec: CollectionSpec, mode: SearchMode, vector: Sequence[float] | None, text: str | None, top_k: int
) -> None:
    if not 0 < top_k <= MAX_TOP_K:
        raise InvalidOptionError(f"top_k={top_k} is not between 1 and {MAX_TOP_K}.")
    if mode != "sparse" and (vector is None or len(vector) != spec.dimension):
        length = "no" if vector is None else len(vector)
        raise InvalidOptionError(f"The query has {length} dimensions, the collection has {spec.dimension}.")
    if mode != "dense" and (text is None or not spec.sparse):
        raise InvalidOptionError(f"A {mode} search needs a text and a collection with a full-text (BM25) field.")


def _decoded(row: Mapping[str, type_json]) -> dict[str, type_json]:
    one = stored(row)
    return {**row, "source": one.source, "content_metadata": one.content_metadata}


def _row(row: Mapping[str, type_json]) -> Row:
    one = stored(row)
    kept = {name: value for name, value in one.fields.items() if name != "vector"}
    return replace(one, fields=kept)


def _dense(rows: Sequence[Mapping[str, type_json]], vector: Sequence[float], metric: Metric) -> list[Row]:
    query = np.asarray(vector, dtype=np.float32)
    measured = [(_distance(row["vector"], query, metric), row) for row in rows]
    return _ranked([replace(_row(row), distance=d, score=score(d, metric)) for d, row in measured])


def _distance(stored_vector: np.ndarray, query: np.ndarray, metric: Metric) -> float:
    if metric == "L2":
        return float(((stored_vector - query) ** 2).sum())
    product = float(stored_vector @ query)
    if metric == "IP":
        return product
    return product / (float(np.linalg.norm(stored_vector) * np.linalg.norm(query)) or 1.0)


def _sparse(rows: Sequence[Mapping[str, type_json]], kept: Sequence[Mapping[str, type_json]], text: str) -> list[Row]:
    words = {row["pk"]: Counter(_WORD.findall(row["text"].lower())) for row in rows}
    lengths = {key: sum(counts.values()) for key, counts in words.items()}
    mean = sum(lengths.values()) / max(len(lengths), 1) or 1.0
    relevance = dict.fromkeys((row["pk"] for row in kept), 0.0)
    for word in set(_WORD.findall(text.lower())):
        having = sum(word in counts for counts in words.values())
        rarity = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
        for key in relevance:
            often = words[key][word]
            relevance[key] += rarity * often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * lengths[key] / mean))
    hits = [replace(_row(row), score=relevance[row["pk"]], distance=relevance[row["pk"]]) for row in kept]
    return _ranked([hit for hit in hits if hit.score > 0])


def _ranked(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.score, row.id))
