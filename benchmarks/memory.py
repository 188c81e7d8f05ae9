"""Measure how memory grows over thousands of documents when the results go to disk.

    python benchmarks/memory.py [--documents 5000]

One process ingests short texts with a deterministic embedder (a model would add its own, constant share) and reports
its resident memory, and that of its parser processes, every tenth of the way. The growth is the slope of the second
half in MiB per 1,000 documents: by then everything that is loaded once is loaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from resident import resident, resident_below

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.testing import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import EmbedInput


class Probe(HashEmbedder):
    """Notes the memory after every so many documents; each document is one call."""

    def __init__(self, every: int) -> None:
        """Note it ``every`` so many documents."""
        super().__init__(384)
        self.every, self.seen = every, 0
        self.curve: list[tuple[int, float, float]] = []

    async def embed(self, inputs: Sequence[EmbedInput], **options: Any) -> np.ndarray:
        """Embed, and look at the memory."""
        self.seen += 1
        if self.seen % self.every == 0:
            self.curve.append((self.seen, round(resident(), 1), round(resident_below(), 1)))
        return await super().embed(inputs, **options)


def ingest(count: int, folder: Path) -> dict[str, Any]:
    """Ingest ``count`` documents and return the curve."""
    source = folder / "documents"
    source.mkdir()
    for n in range(count):
        (source / f"{n:06}.txt").write_text(f"Document {n}. " + "A sentence about wheels and bolts. " * 20)
    probe = Probe(max(count // 10, 1))
    started = time.process_time()
    chain = Ingestor(engines=Engines(embedder=probe), settings=Settings(state_dir=folder / "state"))
    chain.files(str(source)).extract().split(chunk_size=64).embed()
    results = chain.save_to_disk(output_directory=str(folder / "results"), cleanup=False).ingest()
    assert len(results) == probe.seen == count
    half = probe.curve[len(probe.curve) // 2 - 1 :]
    slope = np.polyfit([point[0] / 1_000 for point in half], [point[1] for point in half], 1)[0]
    return {
        "documents": count,
        "curve": [{"documents": n, "MiB": own, "parsers_MiB": other} for n, own, other in probe.curve],
        "end_MiB": round(resident(), 1),
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
        "growth_MiB_per_1000": round(float(slope), 2),
        "cpu_ms_per_document": round((time.process_time() - started) / count * 1_000, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5_000)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(ingest(parser.parse_args().documents, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
