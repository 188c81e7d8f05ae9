"""Measure the peak memory of an ingest with results on disk, and whether it grows with the number of documents.

    python benchmarks/memory.py [--documents 5000]

Ingests a fifth of the documents and then all of them, each in a process of its own, with a deterministic embedder, and
prints the peak memory of both. The documents are short texts, so what grows is what is kept for every document.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def ingest(count: int, folder: Path) -> None:
    """Ingest ``count`` documents and print the peak memory in MiB."""
    from nemo_retriever_dagster import Ingestor, Settings
    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.testing import HashEmbedder

    source = folder / "documents"
    source.mkdir()
    for n in range(count):
        (source / f"{n:06}.txt").write_text(f"Document {n}. " + "A sentence about wheels and bolts. " * 20)
    chain = Ingestor(engines=Engines(embedder=HashEmbedder(384)), settings=Settings(state_dir=folder / "state"))
    chain.files(str(source)).extract().split(chunk_size=64).embed()
    results = chain.save_to_disk(output_directory=str(folder / "results"), cleanup=False).ingest()
    assert len(results) == count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def peak(count: int) -> int:
    """Return the peak memory, in MiB, of ingesting ``count`` documents in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--documents", str(count), "--folder", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        ingest(options.documents, options.folder)
        return
    few, many = options.documents // 5, options.documents
    first, second = peak(few), peak(many)
    growth = (second - first) / (many - few) * 1000
    print(f"{few} documents: {first} MiB; {many} documents: {second} MiB; {growth:.1f} MiB per 1,000 documents")


if __name__ == "__main__":
    main()
