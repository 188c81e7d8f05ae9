"""The vector store port and a statement of what a store can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import Record, type_json

SearchMode = Literal["dense", "sparse", "hybrid"]
Metric = Literal["L2", "IP", "COSINE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a store can do beyond the port's minimum."""

    sparse: bool = False
    bulk_load: bool = False
    aliases: bool = False
    max_text_bytes: int = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSpec:
    """The shape of a collection. ``index`` are parameters handed to the store's index as they are."""

    name: str
    dimension: int
    metric: Metric = "L2"
    sparse: bool = False
    gpu_index: bool = False
    index: Mapping[str, type_json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row that a search found. ``distance`` is the store's own; ``score`` is higher-is-better."""

    id: str
    score: float
    distance: float
    text: str
    source: Mapping[str, type_json]
    content_metadata: Mapping[str, type_json]
    fields: Mapping[str, type_json] = field(default_factory=dict)


@runtime_checkable
class VectorStore(Protocol):
    """A place for records. Methods block; every count and search sees what was written before it (Strong)."""

    @property
    def capabilities(self) -> Capabilities:
        """What the store can do."""
        ...

    def ensure(self, spec: CollectionSpec, *, recreate: bool = False) -> None:
        """Create the collection if absent; raise `InvalidOptionError` if it exists with another shape."""
        ...

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """Write records by id, replacing equal ids; ids repeated inside one call are refused."""
        ...

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """Delete the document's rows, except those of ``keep_generation``."""
        ...

    def count(self, collection: str, document: str | None = None, *, generation: str | None = None) -> int:
        """Count rows: of the collection, of a document, of one generation of it."""
        ...

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
        """Return the best rows: by ``vector``, by ``text`` (sparse), or both; ``where`` is bound to ``values``."""
        ...

    def select(
        self, collection: str, *, where: str, values: Mapping[str, type_json] | None = None, limit: int | None = 10_000
    ) -> list[Row]:
        """Return at most ``limit`` rows (None: all) that satisfy ``where``, by id; score and distance are 0."""
        ...

    def census(self, collection: str) -> dict[str, dict[str, int]]:
        """Return how many rows each document has in each generation: what a verification compares with receipts."""
        ...

    def records(self, collection: str) -> Iterable[Record]:
        """Yield every row as it was written: for a verification that reads what is in them."""
        ...

    def exists(self, collection: str) -> bool:
        """Return whether there is a collection or alias of this name."""
        ...

    def drop(self, collection: str) -> None:
        """Drop the collection and all its rows; refused while an alias stands for it."""
        ...

    def flush(self, collection: str) -> None:
        """Make what was written fast to search."""
        ...

    def close(self) -> None:
        """Release the store and any lock on it."""
        ...


class Aliases(Protocol):
    """Names that readers use, while the collection behind each can change."""

    def exists(self, collection: str) -> bool:
        """Return whether there is a collection or alias of this name."""
        ...

    def alias_target(self, alias: str) -> str | None:
        """Return the collection an alias stands for, None if there is no such alias."""
        ...

    def set_alias(self, alias: str, collection: str) -> None:
        """Make ``alias`` stand for ``collection``, at once for every reader."""
        ...

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; the collection stays."""
        ...

    def rename(self, collection: str, name: str) -> None:
        """Give a collection another name; its aliases go with it."""
        ...


class AliasStore(VectorStore, Aliases, Protocol):
    """A store whose `Capabilities.aliases` is true."""
