"""Why a hit is where it is: its rank by meaning and by words, its place, the version and the run that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb.fusion import RRF_K, candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.hits import Hit
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.vdb.contract import SearchMode


def reasons(retriever: Retriever, question: str, hits: Sequence[Hit]) -> list[list[str]]:
    """Return lines that explain each hit. Both searches are asked for as many rows as a fusion would look at."""
    wide = candidates(len(hits))
    dense = _ranks(retriever, question, "dense", wide)
    try:
        sparse = _ranks(retriever, question, "sparse", wide)
    except InvalidOptionError:  # the collection has no full-text index
        sparse = None
    return [[_ranked(hit, dense, sparse, wide), _placed(hit), _written(hit)] for hit in hits]


def _ranks(retriever: Retriever, question: str, mode: SearchMode, wide: int) -> Mapping[str, int]:
    return {hit.id: rank for rank, hit in enumerate(retriever.query(question, wide, mode=mode), start=1)}


def _ranked(hit: Hit, dense: Mapping[str, int], sparse: Mapping[str, int] | None, wide: int) -> str:
    said = [_rank("dense", dense.get(hit.id), wide)]
    if sparse is None:
        return f"{said[0]}; the collection has no full-text index"
    said.append(_rank("sparse", sparse.get(hit.id), wide))
    fused = sum(1.0 / (RRF_K + ranks[hit.id]) for ranks in (dense, sparse) if hit.id in ranks)
    return ", ".join([*said, f"fused score {fused:.4f}"])


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
