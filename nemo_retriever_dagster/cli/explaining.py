"""Why a hit is where it is: its rank by meaning and by words, its place, the version and the run that wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb.fusion import RRF_K, candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.hits import Hit
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.vdb.contract import SearchMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Where a hit stands, from 1, by meaning (``dense``) and by words (``sparse``), None beyond ``candidates``.

    ``fused`` is the score that a fusion gives it, None where the collection has no full-text index.
    """

    dense: int | None
    sparse: int | None
    fused: float | None
    candidates: int


def rank(retriever: Retriever, question: str, hits: Sequence[Hit]) -> list[Ranks]:
    """Return the ranks of each hit. Both searches are asked for as many rows as a fusion would look at."""
    wide = candidates(len(hits))
    dense = _ranks(retriever, question, "dense", wide)
    try:
        sparse = _ranks(retriever, question, "sparse", wide)
    except InvalidOptionError:  # the collection has no full-text index
        sparse = None
    return [
        Ranks(
            dense=dense.get(hit.id),
            sparse=sparse.get(hit.id) if sparse is not None else None,
            fused=_fused(hit, dense, sparse) if sparse is not None else None,
            candidates=wide,
        )
        for hit in hits
    ]


def reasons(hit: Hit, ranks: Ranks) -> list[str]:
    """Return lines that explain a hit."""
    return [_ranked(ranks), _placed(hit), _written(hit)]


def _ranks(retriever: Retriever, question: str, mode: SearchMode, wide: int) -> Mapping[str, int]:
    return {hit.id: rank for rank, hit in enumerate(retriever.query(question, wide, mode=mode), start=1)}


def _fused(hit: Hit, *searches: Mapping[str, int]) -> float:
    return sum(1.0 / (RRF_K + ranks[hit.id]) for ranks in searches if hit.id in ranks)


def _ranked(ranks: Ranks) -> str:
    dense = _rank("dense", ranks.dense, ranks.candidates)
    if ranks.fused is None:
        return f"{dense}; the collection has no full-text index"
    return f"{dense}, {_rank('sparse', ranks.sparse, ranks.candidates)}, fused score {ranks.fused:.4f}"


def _rank(search: str, rank: int | None, wide: int) -> str:
    return f"{search} rank {rank}" if rank else f"{search} rank beyond {wide}"


def _placed(hit: Hit) -> str:
    said = [f"page {hit.page}"] if hit.page else []
    if hit.box is not None:
        x0, y0, x1, y1 = (round(value) for value in hit.box)
        said.append(f"({x0}, {y0}) to ({x1}, {y1})")
    if hit.element >= 0:
        said.append(f"element {hit.element + 1}, part {hit.position + 1}")
    if hit.headings:
        said.append(f"under {' > '.join(hit.headings)}")
    return ", ".join(said) or "place unknown"


def _written(hit: Hit) -> str:
    return f"source version {hit.version[:12] or 'unknown'}, run {hit.run_id or 'unknown'}, chunk {hit.id}"
