"""Whether rows, pictures and stage results of a corpus are what its receipts say, and what would set them right.

Looking changes nothing. A `Repair` is only a plan: it is carried out by running documents again and by removing those
that nobody knows (``corpus/repair.py``), so that rows have one way into a collection and one way out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster import inventory
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """How one document differs from its receipt.

    ``expected`` is the receipt's number of rows, None without a receipt; ``rows`` are those of its generation,
    ``foreign`` all others; ``changed`` tells that they are as many as were written, but not the same; ``pictures`` are
    the digests of stored pictures that are gone, ``damaged`` of those that are not what was stored; ``broken_off``
    tells that writing it was begun and not finished.
    """

    document: str
    uri: str
    expected: int | None = None
    rows: int = 0
    foreign: int = 0
    changed: bool = False
    pictures: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    broken_off: bool = False

    @property
    def what(self) -> str:
        """What differs, in words."""
        return "; ".join(self._said())

    @property
    def surplus(self) -> bool:
        """Whether there are rows of the receipt's generation that were not written: an upsert does not mend that."""
        return self.changed or (self.expected is not None and self.rows > self.expected)

    def _said(self) -> Iterable[str]:
        if self.expected is None and self.foreign:
            yield f"{self.foreign} rows, but no receipt"
        elif self.expected is not None:
            if self.rows != self.expected:
                yield f"{self.rows} rows, the receipt says {self.expected}"
            if self.foreign:
                yield f"{self.foreign} rows of another generation"
            if self.changed:
                yield "its rows are not those that were written"
        if self.pictures:
            yield f"{len(self.pictures)} stored pictures are gone"
        if self.damaged:
            yield f"{len(self.damaged)} stored pictures are damaged"
        if self.broken_off:
            yield "writing it was begun and not finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a look at a corpus found.

    ``documents``, ``rows`` and ``pictures`` are how many were looked at. ``writing`` are the documents that a run is
    writing now: they are left out. ``remade`` are those of which stage results are gone from the artifacts, which is no
    fault: they are made again when they are needed. ``unread`` are those whose receipt is of a former version and does
    not tell what was in the rows: they could only be counted.
    """

    documents: int
    rows: int
    pictures: int
    problems: tuple[Problem, ...] = ()
    writing: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def verify(
    corpus: str,
    pipeline: Pipeline,
    ledger: Ledger,
    store: VectorStore | None,
    *,
    images: ImageStore | None = None,
    shelf: Shelf | None = None,
    only: Sequence[str] | None = None,
    contents: bool = False,
) -> Findings:
    """Hold the receipts of ``corpus`` against the rows in ``store``, the pictures in ``images``, results on ``shelf``.

    What is None is not looked at; ``only`` names the documents to look at, by default all. With ``contents`` all rows
    and pictures are read, and what is in them is compared, too. Rows are looked for where the pipeline and the receipts
    say; those that another corpus has a receipt for are none of this one's business.
    """
    receipts = {receipt.document: receipt for receipt in ledger.receipts(corpus)}
    names = set(collections(pipeline.upload)).union(*map(inventory.places, receipts.values()))
    there = [name for name in sorted(names) if store.exists(name)] if store is not None else []
    found = inventory.rows(store, there, receipts, foreign_documents(ledger, corpus), only) if store is not None else {}
    read = inventory.contents(store, there) if contents and store is not None else None
    begun = {intent.document for intent in ledger.open_intents(corpus)}
    writing = {key for key in begun if ledger.holder(corpus, key) is not None}
    known = {*found, *receipts, *begun}
    wanted = (known if only is None else known & set(only)) - writing
    chosen = [receipts[key] for key in sorted(wanted & set(receipts))]
    pictures = {digest for receipt in chosen for digest in receipt.images} if images is not None else set()
    gone = images.missing(pictures) if images is not None else set()
    damaged = images.damaged(pictures - gone) if images is not None and contents else set()
    compared = _Compared(receipts, found, read, gone, damaged, begun, rows=store is not None)
    seen = map(compared.problem, sorted(wanted))
    return Findings(
        documents=len(wanted),
        rows=sum(sum(found.get(key, {}).values()) for key in wanted),
        pictures=len(pictures),
        problems=tuple(problem for problem in seen if problem.what),
        writing=tuple(sorted(writing)),
        remade=tuple(_remade(chosen, shelf)) if shelf is not None else (),
        unread=tuple(one.uri for one in chosen if one.rows and not one.contents) if read is not None else (),
    )


def foreign_documents(ledger: Ledger, corpus: str) -> dict[str, set[str]]:
    """Return the documents that the ledger's other corpora have in collections, and in which.

    Builds are left out: theirs are in collections beside those that their receipts name.
    """
    found: dict[str, set[str]] = {}
    for name in ledger.corpora():
        for receipt in ledger.receipts(name) if name != corpus and BUILD_MARK not in name else ():
            found.setdefault(receipt.document, set()).update(inventory.places(receipt))
    return found


@dataclass(frozen=True, slots=True)
class _Compared:
    """What was found, by documents: ``read`` is None where nobody looked into the rows."""

    receipts: Mapping[str, Receipt]
    found: Mapping[str, Mapping[str, int]]
    read: Mapping[tuple[str, str], str] | None
    gone: set[str]
    damaged: set[str]
    begun: set[str]
    rows: bool

    def problem(self, key: str) -> Problem:
        """Return how a document differs from its receipt, if it does."""
        receipt, found = self.receipts.get(key), self.found.get(key, {})
        if receipt is None:
            return Problem(document=key, uri=key, foreign=sum(found.values()), broken_off=key in self.begun)
        right = found.get(receipt.generation, 0)
        return Problem(
            document=key,
            uri=receipt.uri,
            expected=receipt.rows if self.rows else None,
            rows=right,
            foreign=sum(found.values()) - right,
            changed=right == receipt.rows and self._changed(receipt),
            pictures=tuple(digest for digest in receipt.images if digest in self.gone),
            damaged=tuple(digest for digest in receipt.images if digest in self.damaged),
            broken_off=key in self.begun,
        )

    def _changed(self, receipt: Receipt) -> bool:
        if self.read is None or not (receipt.rows and receipt.contents):
            return False
        return self.read.get((receipt.document, receipt.generation)) != receipt.contents


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

    ``again`` are run again, which also stores pictures that are gone; of those, ``emptied`` lose their rows first,
    ``spoilt`` their damaged pictures. ``removed`` are not in the source: they leave the collection. ``known`` is the
    number of documents that the removed ones are a share of.
    """

    again: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    spoilt: tuple[str, ...] = ()
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
            spoilt=tuple(problem.document for problem in again if problem.damaged),
            removed=removed,
            known=len(there) + len(removed),
            names={problem.document: problem.uri for problem in problems},
        )

    def steps(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what is to be done, in words and in order, and to which documents."""
        words = [
            ("delete the rows, which are more or other than were written", self.emptied),
            ("delete the stored pictures that are damaged", self.spoilt),
            ("run again: what is missing is written or stored, rows of other generations are swept", self.again),
            ("take out of the collection: the source does not have it", self.removed),
        ]
        return [(what, keys) for what, keys in words if keys]
