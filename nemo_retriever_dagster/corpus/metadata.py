"""What the UI shows of a document: numbers it can plot, where it comes from, how it reads, or why it failed."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.model import Chunk, Failure
    from nemo_retriever_dagster.work import Work

DATA_VERSION = "dagster/data_version"
CARRIED = "carried_over_from_run"
GENERATION = "generation"
_PREVIEW_CHARS = 600
_PREVIEW_COLUMNS = 72
"""The UI breaks no line of a preview: longer ones are cut off at the edge of the window."""


def success(key: dg.AssetKey, work: Work, collections: Sequence[str], shown: str | None) -> dg.AssetMaterialization:
    """Return the materialization of one document; ``shown`` is its preview in Markdown, None for none."""
    document = work.document
    metadata: dict[str, Any] = {"source": dg.MetadataValue.path(document.uri)}
    if shown is not None:
        metadata["preview"] = dg.MetadataValue.md(shown)
    if collections:
        metadata["collection"] = ", ".join(collections)
    metadata |= {
        **{name: int(count) for name, count in work.counts.items()},
        "dagster/partition_row_count": work.counts.get("rows", work.counts.get("chunks", 0)),
        **{f"seconds/{stage}": seconds for stage, seconds in work.seconds.items()},
        "seconds/total": round(sum(work.seconds.values()), 4),
        "reused_stages": ", ".join(work.reused) or "none",
        **_usage(work),
        "format": document.format,
        "bytes": document.size,
        "sha256": document.sha256,
        GENERATION: work.generation,
    }
    return dg.AssetMaterialization(key, partition=document.key, metadata=metadata, tags={DATA_VERSION: document.sha256})


def _usage(work: Work) -> dict[str, int | float]:
    """Return what the engines consumed, by stage and engine; zeros are left out."""
    return {
        f"usage/{name}/{field}": round(getattr(usage, field), 4)
        for name, usage in work.usage.items()
        for field in ("requests", "retries", "items", "tokens", "seconds")
        if getattr(usage, field)
    }


def preview(chunks: Sequence[Chunk]) -> str:
    """Return the beginning of the document as it was cut, quoted so that nothing in it can act as Markdown."""
    text = "\n\n".join(chunk.text for chunk in chunks[:3] if chunk.text)[:_PREVIEW_CHARS]
    text = "\n".join(fill(line, _PREVIEW_COLUMNS, replace_whitespace=False) for line in text.split("\n"))
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(text)), default=0))
    return f"{fence}text\n{text}\n{fence}" if text else "(no text)"


def _runs(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def carried_over(former: dg.AssetMaterialization, run_id: str) -> dg.AssetMaterialization:
    """Return the former run's materialization again: a re-executed run must leave one for every good document."""
    return dg.AssetMaterialization(
        former.asset_key,
        partition=former.partition,
        metadata={**former.metadata, CARRIED: run_id},
        tags=former.tags or {},
    )


def plain(failure: Failure) -> dict[str, Any]:
    """Return why a document failed as a JSON object: where, why, what next."""
    shown: dict[str, Any] = {
        "source": failure.uri,
        "stage": failure.stage,
        "category": failure.category,
        "error": failure.kind,
        "cause": failure.cause,
        "hint": failure.hint,
        "attempts": failure.attempts,
    }
    return {**shown, "page": failure.page} if failure.page else shown


def observation(key: dg.AssetKey, failure: Failure) -> dg.AssetObservation:
    """Return the observation that says why a document failed."""
    return dg.AssetObservation(
        key,
        partition=failure.document,
        description=failure.message,
        metadata={**plain(failure), "source": dg.MetadataValue.path(failure.uri)},
    )
