"""Which rows each document has in an open Milvus Lite: read from the store by key, never by filter.

Milvus Lite answers a filter by walking all rows of the collection in Python (6 microseconds each, measured), so that
counting one document's rows would cost the more the larger the corpus is. A read by keys costs the same always. So the
rows are listed at the first question after opening, and from then on those of its keys are read again after every
write; only one process can have the store open.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import type_json

_KEYS_AT_ONCE = 1_000


class RowReader(Protocol):
    """Reads keys, documents and generations of rows from a Milvus Lite."""

    def collection_name(self, collection: str) -> str:
        """Return the collection behind a name or an alias."""
        ...

    def all_rows(self, collection: str) -> Iterable[dict[str, type_json]]:
        """Return ``pk``, ``document`` and ``generation`` of every row."""
        ...

    def rows_of_keys(self, collection: str, keys: Sequence[str]) -> Iterable[dict[str, type_json]]:
        """Return the same of those of the keys that there are."""
        ...


@dataclass(slots=True)
class _Rows:
    """The rows of one collection: generation by document and key, document by key."""

    documents: dict[str, dict[str, str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def put(self, row: dict[str, type_json]) -> None:
        key, document = str(row["pk"]), sys.intern(str(row["document"]))
        self.documents.setdefault(document, {})[key] = sys.intern(str(row["generation"]))
        self.owners[key] = document

    def drop(self, key: str) -> None:
        document = self.owners.pop(key, None)
        if document is not None:
            del self.documents[document][key]
            if not self.documents[document]:
                del self.documents[document]


@dataclass(slots=True)
class LiteRows:
    """The rows of one open Milvus Lite by collection and document; shared by all stores of the process on its path.

    Callers hold the store's lock, from before they write until they have called `reread`.
    """

    dimensions: dict[str, int] = field(default_factory=dict)
    """The length of vectors by collection, as far as anybody has asked."""
    metrics: dict[str, str] = field(default_factory=dict)
    """The same of what their distance is measured by."""
    _names: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, _Rows] = field(default_factory=dict)

    def forget(self) -> None:
        """Ask anew at the next question: something was changed that nobody told of."""
        self.dimensions.clear()
        self.metrics.clear()
        self._names.clear()
        self._rows.clear()

    def of_document(self, reader: RowReader, collection: str, document: str) -> Mapping[str, str]:
        """Return the generation of each of the document's rows, by key."""
        return self._listed(reader, collection).documents.get(document, {})

    def reread(self, reader: RowReader, collection: str, keys: Sequence[str]) -> None:
        """Read the rows of ``keys`` again: they were written or deleted.

        Where nobody has asked for the collection's rows yet, nothing is kept right: the first question lists all.
        """
        if not self._rows or self._name(reader, collection) not in self._rows:
            return
        rows = self._listed(reader, collection)
        for key in keys:
            rows.drop(key)
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            for row in reader.rows_of_keys(collection, keys[start : start + _KEYS_AT_ONCE]):
                rows.put(row)

    def _name(self, reader: RowReader, collection: str) -> str:
        if collection not in self._names:
            self._names[collection] = reader.collection_name(collection)
        return self._names[collection]

    def _listed(self, reader: RowReader, collection: str) -> _Rows:
        name = self._name(reader, collection)
        if name not in self._rows:
            rows = _Rows()
            for row in reader.all_rows(collection):
                rows.put(row)
            self._rows[name] = rows
        return self._rows[name]
