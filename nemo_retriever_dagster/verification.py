"""Whether rows, pictures and stage results of a corpus are what its receipts say, and what would set them right.

Looking changes nothing. A `Repair` is only a plan: it is carried out by running documents again and by removing those
that nobody knows (``corpus/repair.py``), so that rows have one way into a collection and one way out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import BUILD_MARK
from nemo_retriever_dagster.shelf import place_of
from nemo_retriever_dagster.stages import collections

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from nemo_retriever_dagster.images import ImageStore
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Receipt
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.shelf import Shelf
    from nemo_retriever_dagster.vdb.contract import VectorStore

_KEPT = (Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION)
"""The stages whose results are looked for: those that cost most to make again."""
_OTHER = "another"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """How one document differs from its receipt.

    ``expected`` is the receipt's number of rows, None without a receipt; ``rows`` are those of its generation,
    ``foreign`` all others; ``pictures`` are the digests of stored pictures that are gone; ``broken_off`` tells that
    writing it was begun and not finished.
    """

    document: str
    uri: str
    expected: int | None = None
    rows: int = 0
    foreign: int = 0
    pictures: tuple[str, ...] = ()
    broken_off: bool = False

    @property
    def what(self) -> str:
        """What differs, in words."""
        return "; ".join(self._said())

    @property
    def surplus(self) -> bool:
        """Whether there are more rows of the receipt's generation than were written: an upsert does not mend that."""
        return self.expected is not None and self.rows > self.expected

    def _said(self) -> Iterable[str]:
        if self.expected is None and self.foreign:
            yield f"{self.foreign} rows, but no receipt"
        elif self.expected is not None:
            if self.rows != self.expected:
                yield f"{self.rows} rows, the receipt says {self.expected}"
            if self.foreign:
                yield f"{self.foreign} rows of another generation"
        if self.pictures:
            yield f"{len(self.pictures)} stored pictures are gone"
        if self.broken_off:
            yield "writing it was begun and not finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a look at a corpus found.

    ``documents``, ``rows`` and ``pictures`` are how many were looked at. ``writing`` are the documents that a run is
    writing now: they are left out. ``remade`` are those of which stage results are gone from the artifacts, which is no
    fault: they are made again when they are needed.
    """

    documents: int
    rows: int
    pictures: int
    problems: tuple[Problem, ...] = ()
    writing: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()


def verify(
    corpus: str,
    pipeline: Pipeline,
    ledger: Ledger,
    store: VectorStore | None,
    *,
    images: ImageStore | None = None,
    shelf: Shelf | None = None,
    only: Sequence[str] | None = None,
) -> Findings:
    """Hold the receipts of ``corpus`` against the rows in ``store``, the pictures in ``images``, results on ``shelf``.

    What is None is not looked at; ``only`` names the documents to look at, by default all. Rows are looked for where
    the pipeline and the receipts say; those that another corpus has a receipt for are none of this one's business.
    """
    receipts = {receipt.document: receipt for receipt in ledger.receipts(corpus)}
    found = _rows(store, pipeline, receipts, foreign_documents(ledger, corpus), only) if store is not None else {}
    begun = {intent.document for intent in ledger.open_intents(corpus)}
    writing = {key for key in begun if ledger.holder(corpus, key) is not None}
    known = {*found, *receipts, *begun}
    wanted = (known if only is None else known & set(only)) - writing
    chosen = [receipts[key] for key in sorted(wanted & set(receipts))]
    gone = images.missing({digest for receipt in chosen for digest in receipt.images}) if images is not None else set()
    seen = (
        _compared(key, receipts.get(key), found.get(key, {}), gone, broken_off=key in begun, rows=store is not None)
        for key in sorted(wanted)
    )
    return Findings(
        documents=len(wanted),
        rows=sum(sum(found.get(key, {}).values()) for key in wanted),
        pictures=len({digest for receipt in chosen for digest in receipt.images}) if images is not None else 0,
        problems=tuple(problem for problem in seen if problem.what),
        writing=tuple(sorted(writing)),
        remade=tuple(_remade(chosen, shelf)) if shelf is not None else (),
    )


def foreign_documents(ledger: Ledger, corpus: str) -> dict[str, set[str]]:
    """Return the documents that the ledger's other corpora have in collections, and in which.

    Builds are left out: theirs are in collections beside those that their receipts name.
    """
    found: dict[str, set[str]] = {}
    for name in ledger.corpora():
        for receipt in ledger.receipts(name) if name != corpus and BUILD_MARK not in name else ():
            found.setdefault(receipt.document, set()).update(_named(receipt))
    return found


def _named(receipt: Receipt | None) -> set[str]:
    """Return the collections that a receipt names."""
    return set(receipt.collection.split(",")) - {""} if receipt is not None else set()


def _rows(
    store: VectorStore,
    pipeline: Pipeline,
    receipts: Mapping[str, Receipt],
    foreign: Mapping[str, set[str]],
    only: Sequence[str] | None,
) -> dict[str, dict[str, int]]:
    """Return the number of this corpus's rows by document and generation."""
    names = set(collections(pipeline.upload)).union(*map(_named, receipts.values()))
    total: dict[str, dict[str, int]] = {}
    for name in sorted(name for name in names if store.exists(name)):
        counts = store.census(name) if only is None else {key: _counted(store, name, receipts, key) for key in only}
        others = {key for key in counts if name in foreign.get(key, ()) and name not in _named(receipts.get(key))}
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
        for generation, rows in generations.items():
            of_document[generation] = of_document.get(generation, 0) + rows


def _counted(store: VectorStore, name: str, receipts: Mapping[str, Receipt], key: str) -> dict[str, int]:
    """Count one document's rows: those of its receipt's generation, and any other."""
    generation = receipts[key].generation if key in receipts else ""
    right = store.count(name, key, generation=generation) if generation else 0
    rows = {generation: right, _OTHER: store.count(name, key) - right}
    return {generation: number for generation, number in rows.items() if number}


def _compared(
    key: str, receipt: Receipt | None, found: Mapping[str, int], gone: set[str], *, broken_off: bool, rows: bool
) -> Problem:
    right = found.get(receipt.generation, 0) if receipt else 0
    expected = receipt.rows if receipt and rows else None
    return Problem(
        document=key,
        uri=receipt.uri if receipt else key,
        expected=expected,
        rows=right,
        foreign=sum(found.values()) - right,
        pictures=tuple(digest for digest in receipt.images if digest in gone) if receipt else (),
        broken_off=broken_off,
    )


def _remade(receipts: Sequence[Receipt], shelf: Shelf) -> Iterable[str]:
    """Yield the documents of which results are gone."""
    places = {
        receipt.uri: {place_of(s, receipt.sha256, mark) for s in _KEPT if (mark := receipt.fingerprints.get(s))}
        for receipt in receipts
    }
    gone = shelf.lacking(set().union(*places.values()))
    return (uri for uri, of_document in places.items() if of_document & gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What sets a corpus right, by partition keys.

    ``again`` are run again. Of those, ``emptied`` lose their rows first, and the results of storing pictures are
    forgotten for ``pictured``. ``removed`` are not in the source: they leave the collection. ``known`` is the number of
    documents that the removed ones are a share of.
    """

    again: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    pictured: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    known: int = 0
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, problems: Sequence[Problem], there: Collection[str]) -> Repair:
        """Plan the repair of ``problems``; ``there`` are the keys of the documents that the source has."""
        again = [problem for problem in problems if problem.document in there]
        removed = tuple(problem.document for problem in problems if problem.document not in there)
        return cls(
            again=tuple(problem.document for problem in again),
            emptied=tuple(problem.document for problem in again if problem.surplus),
            pictured=tuple(problem.document for problem in again if problem.pictures),
            removed=removed,
            known=len(there) + len(removed),
            names={problem.document: problem.uri for problem in problems},
        )

    def steps(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what is to be done, in words and in order, and to which documents."""
        words = [
            ("delete the rows, of which there are more than were written", self.emptied),
            ("forget that the pictures were stored, so that they are stored again", self.pictured),
            ("run again: what is missing is written, rows of other generations are swept", self.again),
            ("take out of the collection: the source does not have it", self.removed),
        ]
        return [(what, keys) for what, keys in words if keys]
