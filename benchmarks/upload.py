"""How fast rows reach the store: our checked upsert against a bare pymilvus loop on the same rows.

    python benchmarks/upload.py [--rows 10000] [--dimension 384] [--uri milvus-server-url]

Each side writes to its own fresh collection, five rounds in turn, the median counts. Without ``--uri``: Milvus Lite in
a temporary folder. The aim is a ratio of at least 0.9.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from nemo_retriever_dagster.model import Record, stable_id
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

BATCH = 1_000


def make(rows: int, dimension: int) -> list[Record]:
    vectors = np.random.default_rng(7).standard_normal((rows, dimension)).astype(np.float32)
    return [
        Record(
            id=stable_id("bench", at),
            document=f"doc-{at // 100}",
            generation="g1",
            text=f"Row {at}. " + "The quick brown fox jumps over the lazy dog. " * 8,
            vector=vectors[at],
            source={"source_name": f"docs/{at // 100}.pdf", "source_id": f"docs/{at // 100}.pdf", "source_type": "PDF"},
            content_metadata={"page_number": at % 100, "location": [0, 0, 1, 1], "run_id": "bench", "element": at},
        )
        for at in range(rows)
    ]


def bare(store: MilvusStore, name: str, records: list[Record]) -> None:
    """Write as a person does who needs no checks."""
    rows = [
        {
            "pk": record.id,
            "vector": record.vector,
            "source": dict(record.source),
            "content_metadata": dict(record.content_metadata),
            "text": record.text,
            "document": record.document,
            "generation": record.generation,
        }
        for record in records
    ]
    for start in range(0, len(rows), BATCH):
        store.client.upsert(name, rows[start : start + BATCH])


def timed(store: MilvusStore, side: str, records: list[Record], dimension: int) -> float:
    name = f"bench_{side}"
    store.ensure(CollectionSpec(name=name, dimension=dimension), recreate=True)
    started = time.perf_counter()
    bare(store, name, records) if side == "bare" else store.upsert(name, records)
    seconds = time.perf_counter() - started
    assert store.count(name) == len(records)
    store.drop(name)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uri", default="")
    options = parser.parse_args()
    records = make(options.rows, options.dimension)
    with tempfile.TemporaryDirectory() as folder:
        uri = options.uri or str(Path(folder) / "milvus.db")
        seconds: dict[str, list[float]] = {"bare": [], "ours": []}
        with MilvusStore(uri) as store:
            for side in ("bare", "ours"):
                timed(store, side, records[:BATCH], options.dimension)  # warm up
            for turn in range(options.rounds):
                for side in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                    seconds[side].append(timed(store, side, records, options.dimension))
    rates = {side: options.rows / statistics.median(taken) for side, taken in seconds.items()}
    report = {
        "rows": options.rows,
        "dimension": options.dimension,
        "store": options.uri or "Milvus Lite",
        "bare_rows_per_s": round(rates["bare"]),
        "ours_rows_per_s": round(rates["ours"]),
        "ratio": round(rates["ours"] / rates["bare"], 3),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
