"""Reciprocal rank fusion for stores that cannot fuse two searches themselves (Cormack, Clarke, Buettcher 2009)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.vdb.contract import Row

RRF_K = 60
MAX_TOP_K = 16_384  # Milvus's own
_MIN_CANDIDATES = 50


def candidates(top_k: int) -> int:
    """Return how many rows each search hands to the fusion: more than ``top_k``, since ranks are added up."""
    return min(max(4 * top_k, _MIN_CANDIDATES), MAX_TOP_K)


def fuse(rankings: Sequence[Sequence[Row]], top_k: int) -> list[Row]:
    """Return the ``top_k`` rows with the highest sum of 1 / (60 + rank); equal sums are ordered by id."""
    rows: dict[str, Row] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            rows.setdefault(row.id, row)
            scores[row.id] = scores.get(row.id, 0.0) + 1.0 / (RRF_K + rank)
    best = sorted(rows, key=lambda key: (-scores[key], key))[:top_k]
    return [replace(rows[key], score=scores[key], distance=scores[key]) for key in best]
