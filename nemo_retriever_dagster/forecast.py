"""What a run would ask of engines, by what the corpus's documents took before: requests, items, tokens, seconds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.model import Usage
from nemo_retriever_dagster.sidecar import Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.ledger_usage import UsageRow
    from nemo_retriever_dagster.model import Document, Receipt
    from nemo_retriever_dagster.planning import Plan

    Doubles = NDArray[np.float64]
    _Place = tuple[str, str]
    """A stage and an engine."""

_ALIKE = 3
"""So many documents of a kind tell what another takes; with fewer, those of all kinds do."""
_FEWEST = 2  # documents, to tell how far apart they lie
_DEVIATIONS = 2.0
_EACH_TIME = (Stage.CAPTION, Stage.EMBED)
"""Stages that have an engine for all that they do; others ask engines where something is found for them."""
_NO_FIELDS = Sidecar()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What ``documents`` at a stage are expected to ask of an engine, give or take ``margin``.

    ``margin`` is two standard deviations, 0 where each document's own past is known; retries are not foreseen. Both
    are None where the past of fewer than two documents (``seen``) tells nothing.
    """

    stage: str
    engine: str
    documents: int
    seen: int
    expected: Usage | None = None
    margin: Usage | None = None


def stages_due(
    plan: Plan,
    stages: Sequence[Stage],
    fingerprints: Mapping[str, Mapping[Stage, str]],
    receipts: Sequence[Receipt] = (),
    *,
    sidecar: Sidecar = _NO_FIELDS,
) -> dict[Stage, list[Document]]:
    """Return the documents that a run would take through each stage.

    ``fingerprints`` are the pipeline's current ones by document format. Unchanged documents whose options changed go
    through the stages that the change touches. Results that are kept from before spare some of the work.
    """
    made_by = {receipt.document: receipt.fingerprints for receipt in receipts}
    outdated = {document.key for document in plan.outdated}
    due: dict[Stage, list[Document]] = {stage: [] for stage in stages}
    for document in plan.due:
        touched = stages
        if document.key in outdated:
            marked = [sidecar.marked(one, document) for one in fingerprints.values()]
            touched = _touched(made_by.get(document.key, {}), marked, stages)
        for stage in touched:
            due[stage].append(document)
    return due


def _touched(
    made_by: Mapping[str, str], fingerprints: Iterable[Mapping[Stage, str]], stages: Sequence[Stage]
) -> Sequence[Stage]:
    """Return the stages whose fingerprint changed; of the formats it is the document's that differs least."""
    changed = ([stage for stage in stages if made_by.get(stage) != one.get(stage)] for one in fingerprints)
    return min(changed, key=len)


def asked(engines: Engines) -> dict[Stage, list[str]]:
    """Return the names of the engines that each stage may ask; those of `_EACH_TIME` ask the first for all they do."""
    names = {port: engine.name for port, engine in engines.all().items()}
    of_stages = {Stage.CAPTION: ("captioner", "ocr"), Stage.EMBED: ("embedder",)}
    others = [port for port in names if port not in {"captioner", "embedder", "reranker"}]
    by_stage = {Stage.EXTRACT: others, **of_stages}
    return {stage: [names[port] for port in ports if port in names] for stage, ports in by_stage.items()}


def forecast(
    due: Mapping[Stage, Sequence[Document]],
    present: Iterable[Document],
    receipts: Iterable[Receipt],
    past: Iterable[UsageRow],
    engines: Mapping[Stage, Sequence[str]],
) -> list[Demand]:
    """Return what the documents ``due`` are expected to ask of engines, stage by stage.

    ``present`` are the documents of the source with their sizes, ``receipts`` tell which went through a stage before,
    ``past`` what they consumed; ``engines`` are the names of those that a stage may ask now (`asked`). A document that
    was done before is expected to take what it took; another, what those of its kind took for their sizes; where they
    are too few, what any took.
    """
    spent, taken = _by_place(past)
    sizes = {document.key: max(document.size, 1) for document in present if document.key in spent}
    through = {receipt.document: receipt.fingerprints for receipt in receipts}
    found = []
    for stage, documents in due.items():
        known = {key: size for key, size in sizes.items() if stage in through.get(key, ())}
        for engine in engines.get(stage, ()) if documents else ():
            place = (str(stage), engine)
            if place in taken:
                found.append(_demand(place, documents, known, taken[place]))
            elif stage in _EACH_TIME and engine == engines[stage][0]:
                found.append(Demand(stage=str(stage), engine=engine, documents=len(documents), seen=0))
    return found


def _by_place(past: Iterable[UsageRow]) -> tuple[set[str], dict[_Place, dict[str, Doubles]]]:
    """Return the documents that consumed anything, and what each took of an engine at a stage: the mean of its runs."""
    runs: dict[_Place, dict[str, list[Doubles]]] = defaultdict(lambda: defaultdict(list))
    for row in past:
        runs[row.stage, row.engine][row.document].append(_numbers(row.usage))
    taken = {place: {key: np.mean(each, axis=0) for key, each in by_key.items()} for place, by_key in runs.items()}
    return {key for by_key in taken.values() for key in by_key}, taken


def _demand(
    place: _Place, documents: Sequence[Document], sizes: Mapping[str, int], taken: Mapping[str, Doubles]
) -> Demand:
    nothing = _numbers(Usage())
    expected, variance = nothing.copy(), nothing.copy()
    unlike: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if document.key in sizes:
            expected += taken.get(document.key, nothing)
        else:
            unlike[_kind(document.key)].append(document)
    demand = Demand(stage=place[0], engine=place[1], documents=len(documents), seen=len(sizes))
    if unlike and len(sizes) < _FEWEST:
        return demand
    for kind, new in unlike.items():
        more, spread = _by_likeness(kind, [max(document.size, 1) for document in new], sizes, taken)
        expected, variance = expected + more, variance + spread
    return replace(demand, expected=_usage(expected), margin=_usage(_DEVIATIONS * np.sqrt(variance)))


def _by_likeness(
    kind: str, new: Sequence[int], sizes: Mapping[str, int], taken: Mapping[str, Doubles]
) -> tuple[Doubles, Doubles]:
    """Return what new documents of a kind take together, by their sizes, and its variance."""
    alike = {key: size for key, size in sizes.items() if _kind(key) == kind}
    if len(alike) < _ALIKE:
        alike, new = dict.fromkeys(sizes, 1), [1] * len(new)
    nothing = _numbers(Usage())
    return _by_size(np.array([*alike.values()]), np.array([taken.get(key, nothing) for key in alike]), np.array(new))


def _by_size(sizes: NDArray[np.int_], taken: Doubles, new: NDArray[np.int_]) -> tuple[Doubles, Doubles]:
    """Return what documents of sizes ``new`` (n,) take together, as others of ``sizes`` (m,) took, and its variance.

    ``taken`` is (m, 4). The variance is that of each new document about the ratio to its size, and of the ratio itself.
    """
    ratio = taken.sum(axis=0) / sizes.sum()
    about = ((taken - sizes[:, None] * ratio) ** 2).sum(axis=0) / (len(sizes) - 1)
    return ratio * new.sum(), about * (len(new) + len(sizes) * (new.sum() / sizes.sum()) ** 2)


def _kind(key: str) -> str:
    """Return what the name in a document's key ends in; the key ends in a digest of its own."""
    return PurePosixPath(key.rpartition(".")[0]).suffix.lower()


def _numbers(usage: Usage) -> Doubles:
    return np.array([usage.requests, usage.items, usage.tokens, usage.seconds], dtype=np.float64)


def _usage(numbers: Doubles) -> Usage:
    requests, items, tokens, seconds = numbers.tolist()
    return Usage(requests=round(requests), items=round(items), tokens=round(tokens), seconds=round(seconds, 3))
