"""What rows a store has of each document: how many of which generation, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.codec import digest_row, digest_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster.model import Receipt
    from nemo_retriever_dagster.vdb.contract import VectorStore

_OTHER = "another"


def rows(
    store: VectorStore | None, names: Sequence[str], receipts: Mapping[str, Receipt], only: Sequence[str] | None
) -> dict[str, dict[str, int]]:
    """Return the number of rows by document and generation."""
    if store is None:
        return {}
    there = [name for name in names if store.exists(name)]
    if only is not None:
        counted = ((key, _counted(store, there, receipts.get(key), key)) for key in only)
        return {key: rows for key, rows in counted if rows}
    return census(store, there)


def census(store: VectorStore, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the number of rows of every document by generation, over several collections that exist."""
    total: dict[str, dict[str, int]] = {}
    for name in names:
        for document, generations in store.census(name).items():
            of_document = total.setdefault(document, {})
            for generation, rows in generations.items():
                of_document[generation] = of_document.get(generation, 0) + rows
    return total


def _counted(store: VectorStore, names: Sequence[str], receipt: Receipt | None, key: str) -> dict[str, int]:
    """Count one document's rows: those of its receipt's generation, and any other."""
    total = sum(store.count(name, key) for name in names)
    right = sum(store.count(name, key, generation=receipt.generation) for name in names) if receipt else 0
    rows = {receipt.generation if receipt else "": right, _OTHER: total - right}
    return {generation: number for generation, number in rows.items() if number}


def contents(store: VectorStore, names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the digest of what is in the rows of every document and generation; reads all rows, vectors too."""
    read: dict[tuple[str, str], list[bytes]] = {}
    for name in names:
        for record in store.records(name) if store.exists(name) else ():
            read.setdefault((record.document, record.generation), []).append(digest_row(record))
    return {place: digest_rows(digests) for place, digests in read.items()}
