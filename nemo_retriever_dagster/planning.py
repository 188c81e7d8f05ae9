"""What has to be done: the source held against the ledger, in four words: new, changed, unchanged, vanished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import Category, InfrastructureError, Stage
from nemo_retriever_dagster.ledger import DocumentStatus
from nemo_retriever_dagster.sidecar import Sidecar
from nemo_retriever_dagster.source_names import vanished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.ledger import DocumentState
    from nemo_retriever_dagster.model import Document, Failure, Receipt
    from nemo_retriever_dagster.source_names import Skipped

DELETIONS_AT_ONCE = 10
DELETED_SHARE = 0.2
_NO_FIELDS = Sidecar()
_PRESENT = ("new", "changed", "unfinished", "outdated", "failed", "unchanged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Documents by what is to be done with them, each sorted by path; ``gone`` are no more, ``passed_over`` never were.

    ``unfinished`` were seen before in this version but have neither rows nor a failure that would come again;
    ``outdated`` are unchanged themselves, but the pipeline's options changed since. ``held`` were not listed, but a
    link, a folder or a share that cannot be read now may have them.
    """

    new: tuple[Document, ...] = ()
    changed: tuple[Document, ...] = ()
    unfinished: tuple[Document, ...] = ()
    outdated: tuple[Document, ...] = ()
    failed: tuple[Document, ...] = ()
    unchanged: tuple[Document, ...] = ()
    gone: tuple[DocumentState, ...] = ()
    held: tuple[DocumentState, ...] = ()
    passed_over: tuple[Skipped, ...] = ()

    @property
    def arrived(self) -> tuple[Document, ...]:
        """New and changed documents."""
        return (*self.new, *self.changed)

    @property
    def due(self) -> tuple[Document, ...]:
        """All that a run would have to do; failures of the data are left until the bytes or the options change."""
        return (*self.arrived, *self.unfinished, *self.outdated)

    @property
    def vanished(self) -> tuple[str, ...]:
        """The keys of the documents that the source has no more."""
        return tuple(state.key for state in self.gone)

    def counts(self) -> dict[str, int]:
        """Return the number of documents under each word."""
        return {word: len(getattr(self, word)) for word in (*_PRESENT, "vanished")}

    def present(self) -> list[Document]:
        """Return all documents that the source has."""
        return [document for word in _PRESENT for document in getattr(self, word)]


def compare(
    documents: Sequence[Document],
    states: Mapping[str, DocumentState],
    failures: Sequence[Failure] = (),
    receipts: Sequence[Receipt] = (),
    fingerprints: Mapping[str, Mapping[Stage, str]] | None = None,
    *,
    sidecar: Sidecar = _NO_FIELDS,
    outcome: str = "",
    passed_over: Sequence[Skipped] = (),
) -> Plan:
    """Hold the source's ``documents`` against what the ledger knows.

    ``fingerprints`` are the pipeline's current ones by document format, to which ``sidecar`` adds what a document has
    of its own; without them no document counts as outdated. ``outcome`` is the current
    `Pipeline.outcome_fingerprint`, "" where it is not asked. ``passed_over`` is what the source did not take.
    """
    for_good = {(failure.document, failure.version) for failure in failures if _is_for_good(failure, outcome)}
    made_by = {receipt.document: receipt.fingerprints for receipt in receipts}
    sorted_out: dict[str, list[Document]] = {}
    for document in documents:
        state = states.get(document.key)
        word = _word(document, state, failed_for_good=(document.key, document.version) in for_good)
        if word == "unchanged" and fingerprints is not None:
            wanted = [sidecar.marked(one, document) for one in fingerprints.values()]
            word = "outdated" if _outdated(made_by.get(document.key, {}), wanted) else word
        sorted_out.setdefault(word, []).append(document)
    there = {document.key for document in documents}
    words: dict[str, Any] = {word: tuple(found) for word, found in sorted_out.items()}
    lost = vanished({key: state.uri for key, state in states.items()}, there, passed_over)
    missing = [states[key] for key in sorted(states) if key not in there]
    gone = tuple(state for state in missing if state.key in lost)
    held = tuple(state for state in missing if state.key not in lost)
    return Plan(gone=gone, held=held, passed_over=tuple(passed_over), **words)


def _is_for_good(failure: Failure, outcome: str) -> bool:
    """Whether it would come again: not where a key was wrong, a file away that is listed now, or options changed."""
    if failure.category != Category.DATA or failure.stage == Stage.SOURCE:
        return False
    return not (outcome and failure.fingerprint) or failure.fingerprint == outcome


def _word(document: Document, state: DocumentState | None, *, failed_for_good: bool) -> str:
    if state is None:
        return "new"
    if state.version != document.version:
        return "changed"
    if state.status is DocumentStatus.CURRENT:
        return "unchanged"
    return "failed" if failed_for_good else "unfinished"


def _outdated(made_by: Mapping[str, str], fingerprints: Sequence[Mapping[Stage, str]]) -> bool:
    """Whether no format's current fingerprints are the ones the rows were made by."""
    return all(dict(made_by) != {str(stage): value for stage, value in one.items()} for one in fingerprints)


class MassDeletionError(InfrastructureError):
    """Suspiciously many documents vanished at once; nothing was deleted."""

    default_hint = "Is the source mounted and whole? If they are really gone, raise the corpus's max_deletions."


def check_deletion(vanished: int, known: int, *, max_deletions: int | None = None, emptied: bool = False) -> None:
    """Raise `MassDeletionError` if more vanished than ``max_deletions``, by default the larger of 10 and 20 %.

    By default it is raised, too, where several vanished and the source is ``emptied``, as an unmounted share is.
    """
    allowed = max(DELETIONS_AT_ONCE, int(known * DELETED_SHARE)) if max_deletions is None else max_deletions
    if emptied and vanished > 1 and max_deletions is None:
        raise MassDeletionError(f"The source is empty: all of its {vanished} documents vanished at once.")
    if vanished > allowed:
        raise MassDeletionError(
            f"{vanished} of {known} documents vanished from the source at once; {allowed} are allowed."
        )
