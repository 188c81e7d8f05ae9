"""What rows a store has of each document: how many of which generation, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.codec import digest_row, digest_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import Receipt
    from nemo_retriever_dagster.vdb.contract import VectorStore

_OTHER = "another"


def places(receipt: Receipt | None) -> set[str]:
    """Return the collections that a receipt names."""
    return set(receipt.collection.split(",")) - {""} if receipt is not None else set()


def rows(
    store: VectorStore,
    names: Iterable[str],
    receipts: Mapping[str, Receipt],
    foreign: Mapping[str, set[str]],
    only: Sequence[str] | None,
) -> dict[str, dict[str, int]]:
    """Return the number of a corpus's rows by document and generation, over several collections that exist.

    ``receipts`` are the corpus's own; ``foreign`` says in which collections others have which documents: what is theirs
    there alone is left out. ``only`` names the documents to look at, None for all.
    """
    total: dict[str, dict[str, int]] = {}
    for name in names:
        counts = store.census(name) if only is None else {key: _counted(store, name, receipts, key) for key in only}
        others = {key for key in counts if name in foreign.get(key, ()) and name not in places(receipts.get(key))}
        _add(total, {key: rows for key, rows in counts.items() if rows and key not in others})
    return total


def census(store: VectorStore, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the number of rows of every document by generation, over several collections that exist."""
    total: dict[str, dict[str, int]] = {}
    for name in names:
        _add(total, store.census(name))
    return total


def _add(total: dict[str, dict[str, int]], counts: Mapping[str, Mapping[str, int]]) -> None:
    for document, generations in counts.items():
        of_document = total.setdefault(document, {})
        for generation, number in generations.items():
            of_document[generation] = of_document.get(generation, 0) + number


def _counted(store: VectorStore, name: str, receipts: Mapping[str, Receipt], key: str) -> dict[str, int]:
    """Count one document's rows: those of its receipt's generation, and any other."""
    generation = receipts[key].generation if key in receipts else ""
    right = store.count(name, key, generation=generation) if generation else 0
    found = {generation: right, _OTHER: store.count(name, key) - right}
    return {generation: number for generation, number in found.items() if number}


def contents(store: VectorStore, names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the digest of what is in the rows of every document and generation, over collections that exist.

    All rows are read, their vectors too.
    """
    read: dict[tuple[str, str], list[bytes]] = {}
    for name in names:
        for record in store.records(name):
            read.setdefault((record.document, record.generation), []).append(digest_row(record))
    return {place: digest_rows(digests) for place, digests in read.items()}
