"""How fast rows reach the store: our checked upsert against a bare pymilvus loop on the same rows.

    python benchmarks/upload.py [--rows 10000] [--dimension 384] [--uri milvus-server-url]

Each side writes to its own fresh collection, then flushes it and counts the rows of every document, five rounds in
turn; the median counts. Without ``--uri``: Milvus Lite in a temporary folder; it runs inside this process, so CPU time,
which a busy machine disturbs less, is of everything. ``written`` compares the writing alone (ours flushes Milvus Lite
now and then), ``proven`` all of it. The aim is 0.9 of the bare loop's rows/s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

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


def counted(store: MilvusStore, side: str, name: str, documents: list[str]) -> int:
    """Flush, and count each document's rows: with the store's own count, or as a plain script would."""
    store.flush(name)
    if side == "ours":
        return sum(store.count(name, document) for document in documents)
    store.client.load_collection(name)
    how: dict[str, Any] = {"output_fields": ["count(*)"], "consistency_level": "Strong"}
    found = (store.client.query(name, filter=f'document == "{document}"', **how) for document in documents)
    return sum(int(rows[0]["count(*)"]) for rows in found)


def timed(store: MilvusStore, side: str, records: list[Record], dimension: int) -> dict[str, float]:
    """Return the seconds on the clock and of this process's CPU time, for writing and for all."""
    name, documents = f"bench_{side}", sorted({record.document for record in records})
    store.ensure(CollectionSpec(name=name, dimension=dimension), recreate=True)
    clock, cpu = time.perf_counter(), time.process_time()
    bare(store, name, records) if side == "bare" else store.upsert(name, records)
    written = {"written": time.perf_counter() - clock, "written_cpu": time.process_time() - cpu}
    assert counted(store, side, name, documents) == len(records)
    proven = {"proven": time.perf_counter() - clock, "proven_cpu": time.process_time() - cpu}
    store.drop(name)
    return {**written, **proven}


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
        seconds: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
        with MilvusStore(uri) as store:
            for side in ("bare", "ours"):
                timed(store, side, records[:BATCH], options.dimension)  # warm up
            for turn in range(options.rounds):
                for side in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                    seconds[side].append(timed(store, side, records, options.dimension))
    report = {"rows": options.rows, "dimension": options.dimension, "store": options.uri or "Milvus Lite"}
    for what in ("written", "written_cpu", "proven", "proven_cpu"):
        taken = {side: statistics.median(one[what] for one in rounds) for side, rounds in seconds.items()}
        rates = {f"{side}_rows_per_s": round(options.rows / taken[side]) for side in taken}
        report[what] = {**rates, "ratio": round(taken["bare"] / taken["ours"], 3)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
