"""What a parser process of its own costs: start, a document, a page, and throughput beside the same parser in process.

Run: python benchmarks/isolation.py FILE [FILE ...]     (PDF files with text)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
TEXT_ONLY = ExtractOptions(format="pdf", tables=False, charts=False, images=False)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_process(files: list[Path]) -> int:
    return sum(1 for file in files for _ in extractor_for("pdf").extract(file, TEXT_ONLY, Budget(Limits())))


def in_pool(pool: ParserPool, files: list[Path], threads: int) -> int:
    with ThreadPoolExecutor(threads) as executor:
        return sum(executor.map(lambda file: sum(1 for _ in pool.pages(file, TEXT_ONLY)), files))


def start_and_overhead() -> None:
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note.txt"
        note.write_text("one paragraph")
        options = ExtractOptions(format="txt")
        starts = []
        for _ in range(ROUNDS):
            with ParserPool(1) as pool:
                starts.append(seconds(lambda: list(pool.pages(note, options))))
        with ParserPool(1) as pool:
            list(pool.pages(note, options))
            documents = [seconds(lambda: list(pool.pages(note, options))) for _ in range(500)]
    alone = [
        seconds(lambda: list(extractor_for("txt").extract(Path(__file__), options, Budget(Limits()))))
        for _ in range(500)
    ]
    print(f"start and first document  {1000 * statistics.median(starts):7.1f} ms")
    print(f"a document, in a process  {1000 * statistics.median(documents):7.3f} ms")
    print(f"a document, in this one   {1000 * statistics.median(alone):7.3f} ms")


def throughput(files: list[Path]) -> None:
    in_process(files)
    with ParserPool(1) as one, ParserPool(2) as two:
        in_pool(one, files, 1)
        in_pool(two, files * 2, 2)
        rates: dict[str, list[float]] = {"in this process": [], "1 parser process": [], "2 parser processes": []}
        for _ in range(ROUNDS):  # in turn, so that a busy machine is fair to all
            pages = in_process(files)
            rates["in this process"].append(pages / seconds(lambda: in_process(files)))
            rates["1 parser process"].append(pages / seconds(lambda: in_pool(one, files, 1)))
            rates["2 parser processes"].append(2 * pages / seconds(lambda: in_pool(two, files * 2, 2)))
        began = time.process_time()
        pages = in_pool(one, files, 1)
        print(f"the owner's CPU, a page   {1000 * (time.process_time() - began) / pages:7.3f} ms")
        began = time.process_time()
        in_process(files)
        print(f"the parser's CPU, a page  {1000 * (time.process_time() - began) / pages:7.3f} ms")
    base = statistics.median(rates["in this process"])
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"{name:<20} {rate:8.1f} pages/s  {rate / base:5.2f} x")


if __name__ == "__main__":
    start_and_overhead()
    if len(sys.argv) > 1:
        throughput([Path(name) for name in sys.argv[1:]])
