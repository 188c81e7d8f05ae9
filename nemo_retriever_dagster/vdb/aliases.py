"""Re-index without downtime: build a new collection beside the old one, verify it, switch the alias that readers use.

::

    new = beside(store, "handbook", CollectionSpec(name="handbook", dimension=1024))   # "handbook_v2"
    ...                                                   # ingest into ``new``, with the new model
    old = switch(store, "handbook", new, expected=rows_by_document)
    store.drop(old)                                       # when nobody needs to go back

Readers of "handbook" see all of the old rows until the switch and all of the new ones after it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemo_retriever_dagster.vdb.contract import AliasStore, CollectionSpec

_VERSION = re.compile(r"(.*)_v(\d+)\Z")
_SHOWN = 3


def beside(store: AliasStore, alias: str, spec: CollectionSpec) -> str:
    """Create an empty collection of the shape ``spec`` (its name is ignored) and return its name: alias_v1, _v2 ...

    A collection of that name, left from a build that broke off, is dropped and made anew; it never serves the alias.
    """
    serving = store.alias_target(alias)
    matched = _VERSION.match(serving or "")
    number = int(matched.group(2)) + 1 if matched else 1 if serving is None and not store.exists(alias) else 2
    name = f"{alias}_v{number}"
    store.ensure(replace(spec, name=name), recreate=True)
    return name


def switch(store: AliasStore, alias: str, collection: str, *, expected: Mapping[str, int]) -> str | None:
    """Let ``alias`` stand for ``collection`` once it holds ``expected`` (rows by document); return the former one.

    Raise `VerificationError`, changing nothing, if the rows differ. Where ``alias`` is still the name of a collection,
    that collection is first renamed to alias_v1: readers miss it for the moment between the two calls, this once.
    """
    verify(store, collection, expected)
    store.flush(collection)
    former = store.alias_target(alias)
    if former is None and store.exists(alias):
        former = adopt(store, alias)
    store.set_alias(alias, collection)
    return former if former != collection else None


def verify(store: AliasStore, collection: str, expected: Mapping[str, int]) -> None:
    """Raise `VerificationError` unless ``collection`` holds exactly these rows by document, of one generation each."""
    census = store.census(collection)
    found = {document: sum(generations.values()) for document, generations in census.items()}
    wanted = {document: rows for document, rows in expected.items() if rows}
    wrong = [name for name in sorted({*found, *wanted}) if found.get(name, 0) != wanted.get(name, 0)]
    if mixed := sorted(name for name, generations in census.items() if len(generations) > 1):
        raise VerificationError(
            f"{len(mixed)} documents in {collection!r} have rows of several generations: {', '.join(mixed[:_SHOWN])}.",
            hint="An ingestion is still at work or broke off; run it to its end first.",
        )
    if wrong:
        told = "; ".join(
            f"{name}: {found.get(name, 0)} rows, expected {wanted.get(name, 0)}" for name in wrong[:_SHOWN]
        )
        raise VerificationError(
            f"{collection!r} is not complete: {len(wrong)} documents differ ({told}).",
            hint="Ingest again into it; the alias still stands for the former collection.",
        )


def adopt(store: AliasStore, name: str) -> str:
    """Rename the collection ``name`` to name_v1 and put an alias in its place; return the new name.

    Between the two calls readers find nothing, for some milliseconds: do it when that is acceptable.
    """
    if store.alias_target(name) is not None or not store.exists(name):
        raise InvalidOptionError(f"{name!r} is an alias already, or there is no such collection.")
    moved = f"{name}_v1"
    store.rename(name, moved)
    store.set_alias(name, moved)
    return moved
