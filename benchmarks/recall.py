"""Measure recall of dense, sparse and hybrid search over real filings.

    python benchmarks/recall.py [--qa ../shared/bench/qa] [--workdir DIR] [--limit N] [--chunk-size TOKENS] [--bare]

Ingests the PDFs with the local engines (or those of the environment) into Milvus Lite, asks every question and counts
it as found at k if one of the first k hits is a chunk of the right document on one of its evidence pages. With
``RERANKER_NIM_ENDPOINT`` set, reranked dense search is measured too. A second run in one ``--workdir`` re-uses rows.
``--bare`` embeds each chunk alone, without the name of its document and the headings above it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.retriever import Retriever

if TYPE_CHECKING:
    from nemo_retriever_dagster.hits import Hit

COLLECTION = "recall"
CUTS = (1, 5, 10)


def ingest(pdfs: list[str], uri: str, chunk_size: int | None, *, context: bool) -> float:
    started = time.perf_counter()
    (
        Ingestor()
        .files(pdfs)
        .extract()
        .split(chunk_size=chunk_size)
        .embed(context=context)
        .vdb_upload(collection_name=COLLECTION, milvus_uri=uri, sparse=True)
        .ingest(show_progress=True)
    )
    return time.perf_counter() - started


def answers(hit: Hit, question: dict[str, Any]) -> bool:
    places = (hit.metadata.get("custom_content") or {}).get("places") or []
    pages = {hit.page, *(place["page"] for place in places)}
    return hit.source.endswith(question["doc"]) and bool(pages & set(question["pages"]))


def measure(retriever: Retriever, questions: list[dict[str, Any]], **how: Any) -> dict[str, float]:
    asked = [question["question"] for question in questions]
    started = time.perf_counter()
    found = retriever.query(asked, top_k=max(CUTS), **how)
    seconds = (time.perf_counter() - started) / len(asked)
    ranks = [
        next((rank for rank, hit in enumerate(hits, start=1) if answers(hit, question)), 0)
        for question, hits in zip(questions, found, strict=True)
    ]
    shares = {f"recall@{cut}": round(sum(0 < rank <= cut for rank in ranks) / len(ranks), 3) for cut in CUTS}
    return {**shares, "ms_per_question": round(seconds * 1_000, 1)}


def main() -> None:
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "bench" / "qa"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qa", type=Path, default=beside)
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="only the first N documents, and their questions")
    parser.add_argument("--chunk-size", type=int, help="tokens; by default what the embedder reads beside the context")
    parser.add_argument("--bare", action="store_true", help="embed chunks without their context")
    options = parser.parse_args()

    pdfs = sorted(str(path) for path in (options.qa / "pdfs").glob("*.pdf"))[: options.limit or None]
    names = {Path(path).name for path in pdfs}
    lines = (options.qa / "questions.jsonl").read_text().splitlines()
    questions = [one for one in map(json.loads, lines) if one["doc"] in names]
    with tempfile.TemporaryDirectory() as folder:
        work = options.workdir or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        os.chdir(work)
        uri = str(work.absolute() / "milvus.db")
        report: dict[str, Any] = {"documents": len(pdfs), "questions": len(questions), "chunk_size": options.chunk_size}
        report["ingest_seconds"] = round(ingest(pdfs, uri, options.chunk_size, context=not options.bare), 1)
        with Retriever(COLLECTION, milvus_uri=uri) as retriever:
            report["rows"] = retriever.count()
            for mode in ("dense", "sparse", "hybrid"):
                report[mode] = measure(retriever, questions, mode=mode)
            if os.environ.get("RERANKER_NIM_ENDPOINT"):
                report["dense, reranked"] = measure(retriever, questions, rerank=True)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
