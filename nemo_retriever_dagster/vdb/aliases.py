"""Readers use an alias; the collection it stands for is built under a name of its own: handbook_v1, handbook_v2 ...

`Beside` lets whoever writes to "handbook" write to the collection that is being built; `switch` lets the alias stand
for it. When to do which, and whether the new collection is complete, is for `nemo_retriever_dagster.reindex` to say.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.model import stable_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import Record, type_json
    from nemo_retriever_dagster.vdb.contract import (
        Aliases,
        AliasStore,
        Capabilities,
        CollectionSpec,
        Row,
        SearchMode,
    )

_VERSION = re.compile(r"(.*)_v(\d+)\Z")


class Beside:
    """A store in which some names mean the collections that are being built beside those that serve.

    Keys, generations and receipts of the rows stay those of the names, so that nothing is to be written again after the
    switch. Closing is left to the owner of the store.
    """

    def __init__(self, store: AliasStore, names: Mapping[str, str]) -> None:
        """See ``store`` through ``names``: the collection being built, by the name that is used for it."""
        self.store = store
        self.names = dict(names)

    def name(self, collection: str) -> str:
        """Return the collection that ``collection`` means here."""
        return self.names.get(collection, collection)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the store."""
        return self.store.capabilities

    def ensure(self, spec: CollectionSpec, *, recreate: bool = False) -> None:
        """Create the collection if absent; an empty one of another shape is made anew."""
        named = replace(spec, name=self.name(spec.name))
        empty = self.exists(spec.name) and self.count(spec.name) == 0
        self.store.ensure(named, recreate=recreate or empty)

    def upsert(self, collection: str, records: Sequence[Record]) -> None:
        """See `VectorStore.upsert`."""
        self.store.upsert(self.name(collection), records)

    def delete(self, collection: str, document: str, *, keep_generation: str | None = None) -> None:
        """See `VectorStore.delete`."""
        self.store.delete(self.name(collection), document, keep_generation=keep_generation)

    def count(self, collection: str, document: str | None = None, *, generation: str | None = None) -> int:
        """See `VectorStore.count`."""
        return self.store.count(self.name(collection), document, generation=generation)

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
        """See `VectorStore.search`."""
        name = self.name(collection)
        return self.store.search(name, vector=vector, text=text, mode=mode, top_k=top_k, where=where, values=values)

    def select(
        self, collection: str, *, where: str, values: Mapping[str, type_json] | None = None, limit: int | None = 10_000
    ) -> list[Row]:
        """See `VectorStore.select`."""
        return self.store.select(self.name(collection), where=where, values=values, limit=limit)

    def census(self, collection: str) -> dict[str, dict[str, int]]:
        """See `VectorStore.census`."""
        return self.store.census(self.name(collection))

    def records(self, collection: str) -> Iterable[Record]:
        """See `VectorStore.records`."""
        return self.store.records(self.name(collection))

    def exists(self, collection: str) -> bool:
        """See `VectorStore.exists`."""
        return self.store.exists(self.name(collection))

    def drop(self, collection: str) -> None:
        """See `VectorStore.drop`."""
        self.store.drop(self.name(collection))

    def flush(self, collection: str) -> None:
        """See `VectorStore.flush`."""
        self.store.flush(self.name(collection))

    def close(self) -> None:
        """Do nothing."""


def serving(store: AliasStore, names: Sequence[str]) -> dict[str, str]:
    """Return the collection that each name stands for: an alias's, the name's own, or "" where there is none."""
    return {name: store.alias_target(name) or (name if store.exists(name) else "") for name in names}


def next_names(store: AliasStore, names: Sequence[str]) -> dict[str, str]:
    """Return, by alias, collections to build in: of one number above those that serve, and absent or empty."""
    number = 1 + max(_number(name, target) for name, target in serving(store, names).items())
    while any(store.exists(f"{name}_v{number}") and store.count(f"{name}_v{number}") for name in names):
        number += 1
    return {name: f"{name}_v{number}" for name in names}


def _number(name: str, target: str) -> int:
    """Return the version a collection has, or will have when it is renamed; 0 for none."""
    matched = _VERSION.fullmatch(target)
    return int(matched.group(2)) if matched and matched.group(1) == name else int(bool(target))


def switch(store: AliasStore, alias: str, collection: str) -> str:
    """Let ``alias`` stand for ``collection`` at once for every reader; return the collection that served, "" for none.

    Where ``alias`` is still the name of a collection, that collection is first renamed to alias_v1: readers miss it for
    the moment between the two calls, this once.
    """
    end_adoption(store, alias)
    store.flush(collection)
    before = store.alias_target(alias) or (adopt(store, alias) if store.exists(alias) else "")
    if before != collection:
        store.set_alias(alias, collection)
    return before if before != collection else ""


def adopt(store: AliasStore, name: str) -> str:
    """Rename the collection ``name`` to name_v1 and put an alias in its place; return the new name.

    Between the two calls readers find nothing, for some milliseconds: do it when that is acceptable. Where name_v1 is
    taken, the first number that is free is used.
    """
    if store.alias_target(name) is not None or not store.exists(name):
        raise InvalidOptionError(f"{name!r} is an alias already, or there is no such collection.")
    moved = next(free for n in itertools.count(1) if not store.exists(free := f"{name}_v{n}"))
    store.set_alias(_mark(name), name)
    store.rename(name, moved)
    end_adoption(store, name)
    return moved


def end_adoption(store: Aliases, name: str) -> None:
    """Put the alias ``name`` in the place of a collection that was renamed; do nothing where none was.

    Whoever would make a collection ``name`` calls this first: an adoption may have been killed after the renaming.
    """
    moved = store.alias_target(_mark(name))
    if moved is None:
        return
    if not store.exists(name):
        store.set_alias(name, moved)
    store.drop_alias(_mark(name))


def _mark(name: str) -> str:
    """Return an alias for a collection that is being renamed: it goes with the collection, and is never too long."""
    return f"adopted_{stable_id(name)}"


def former(store: AliasStore, alias: str) -> list[str]:
    """Return the collections that served ``alias`` before the present one and are still there, oldest first."""
    number = _number(alias, store.alias_target(alias) or "")
    return [name for name in (f"{alias}_v{n}" for n in range(1, number)) if store.exists(name)]


def drop_former(store: AliasStore, alias: str) -> list[str]:
    """Drop them for good, and return their names."""
    dropped = former(store, alias)
    for name in dropped:
        store.drop(name)
    return dropped
