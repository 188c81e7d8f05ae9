"""What reading a PDF costs beside the bare pypdfium2 loop (open, load page, get the text), as ratios.

    python benchmarks/speed_pdf.py [--rounds 5] [FILE ...]

Rounds alternate between the bare loop and ours, medians count. CPU time of one process first, so that other work on the
machine weighs little: ``text only`` leaves out tables, charts and pictures; ``pages without tables`` has them on, over
pages on which none is found; ``all`` is everything on, over all pages. Then the time that passes until a long PDF of
such pages without tables is read, by one parser process and by as many as a run has (a core each, at most 4), all that
passes between processes included; the machine should have nothing else to do. Without files, the shared corpus beside
the repository is read; where it is absent, that is said.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pypdfium2

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

FILES = Path(__file__).resolve().parents[1].parent / "shared" / "corpora" / "dev" / "files"
CORPUS = ["multi-column.pdf", "testPDF_protected.pdf", "multi_page.pdf", "code_and_formula.pdf", "normal_4pages.pdf"]
TEXT = ExtractOptions(format="pdf", tables=False, charts=False, images=False)
FULL = ExtractOptions(format="pdf")
LONG = 300  # pages


@dataclass
class Times:
    """CPU seconds a page: ``pages[(file, number)]``."""

    pages: dict[tuple[str, int], float]

    def over(self, kept: set[tuple[str, int]]) -> float:
        """Return the seconds the pages ``kept`` took."""
        return sum(seconds for page, seconds in self.pages.items() if page in kept)


def bare(files: list[Path]) -> Times:
    pages = {}
    for file in files:
        document = pypdfium2.PdfDocument(file)
        for index in range(len(document)):
            began = time.process_time()
            page = document[index]
            text_page = page.get_textpage()
            text_page.get_text_range()
            text_page.close()
            page.close()
            pages[str(file), index + 1] = time.process_time() - began
        document.close()
    return Times(pages)


def ours(files: list[Path], options: ExtractOptions, plain: set[tuple[str, int]]) -> Times:
    """Read with our extractor; add to ``plain`` the pages on which there is nothing but text."""
    pages = {}
    for file in files:
        found = PdfExtractor().extract(file, options, Budget(Limits()))
        while True:
            began = time.process_time()
            page = next(found, None)
            if page is None:
                break
            pages[str(file), page.number] = time.process_time() - began
            if all(element.kind is Kind.TEXT for element in page.elements):
                plain.add((str(file), page.number))
    return Times(pages)


def long_pdf(pages: set[tuple[str, int]], path: Path) -> Path:
    """Write a PDF of these pages, over and over until it is `LONG`."""
    with pypdfium2.PdfDocument.new() as joined:
        while len(joined) < LONG:
            for file in sorted({file for file, _ in pages}):
                with pypdfium2.PdfDocument(file) as document:
                    joined.import_pages(document, sorted(number - 1 for name, number in pages if name == file))
        joined.save(path)
    return path


def passed(reading: Iterable[object]) -> float:
    began = time.perf_counter()
    for _ in reading:
        pass
    return time.perf_counter() - began


def in_parts(path: Path, rounds: int) -> None:
    """Print how much longer than the bare loop it takes until a long PDF is read."""
    most = min(os.cpu_count() or 1, 4)
    print(f"{len(pypdfium2.PdfDocument(path))} pages without tables in one file, time that passes")
    with ParserPool(1) as one, ParserPool(most) as many:
        pools = {f"{pool.workers} parser process(es)": pool for pool in (one, many)}
        for pool in pools.values():
            passed(pool.pages(path, FULL))  # processes are up
        ratios: dict[str, list[float]] = {name: [] for name in pools}
        for _ in range(rounds):
            began = time.perf_counter()
            bare([path])
            base = time.perf_counter() - began
            for name, pool in pools.items():
                ratios[name].append(passed(pool.pages(path, FULL)) / base)
    for name, found in ratios.items():
        print(f"{name:<22}  {statistics.median(found):8.2f} x the bare loop")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    files = options.files or [FILES / name for name in CORPUS if (FILES / name).is_file()]
    if not files:
        print("The shared corpus is not beside the repository: name some PDF files.")
        return
    plain: set[tuple[str, int]] = set()
    rounds = [(bare(files), ours(files, TEXT, set()), ours(files, FULL, plain)) for _ in range(options.rounds)]
    every = set(rounds[0][0].pages)
    base = statistics.median(first.over(every) for first, _, _ in rounds)
    print(f"{len(files)} files, {len(every)} pages, {len(plain)} of them with nothing but text")
    print(f"bare pypdfium2          {1000 * base / len(every):8.2f} ms a page")
    for name, which, kept in (("text only", 1, every), ("pages without tables", 2, plain), ("all", 2, every)):
        ratio = statistics.median(timed[which].over(kept) / timed[0].over(kept) for timed in rounds)
        print(f"{name:<22}  {ratio:8.2f} x the bare loop ({1 / ratio:.2f} of its speed)")
    with tempfile.TemporaryDirectory() as folder:
        in_parts(long_pdf(plain, Path(folder) / "long.pdf"), options.rounds)


if __name__ == "__main__":
    main()
