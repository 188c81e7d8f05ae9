"""One long PDF: how much memory its pages take, and when the first of them comes.

    python benchmarks/long_pdf.py [--pages 1000] [--workers 1] [FILE ...]

Real pages (the shared filings beside the repository, or the files named) are put together into one PDF, which is then
read with everything on by disposable parser processes, one or as many as ``--workers``. Printed: when the first page
was there and when the last, and the memory of this process and of the parsers together, at the first page and at most.
Needs the shared benchmark files where none are named, and says so.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import cycle
from pathlib import Path

import pypdfium2
from resident import MIB, resident, resident_below

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool

FILINGS = Path(__file__).resolve().parents[1].parent / "shared" / "bench" / "qa" / "pdfs"


def put_together(files: list[Path], pages: int, target: Path) -> None:
    """Write a PDF of ``pages`` pages of the files, in turn and again from the first where they have fewer."""
    made = pypdfium2.PdfDocument.new()
    for file in cycle(files):
        source = pypdfium2.PdfDocument(file)
        made.import_pages(source, list(range(min(len(source), pages - len(made)))))
        source.close()
        if len(made) >= pages:
            break
    made.save(target)
    made.close()


def measure(path: Path, workers: int) -> dict[str, object]:
    """Read the file through parser processes; return the figures."""
    with ParserPool(workers) as pool:
        began = time.perf_counter()
        pages = pool.pages(path, ExtractOptions(format="pdf"))
        first = next(pages)
        after = time.perf_counter() - began
        start = [resident(), resident_below()]
        peak, elements, total = list(start), len(first.elements), 1
        for page in pages:
            total, elements = page.number, elements + len(page.elements)
            peak = [max(peak[0], resident()), max(peak[1], resident_below())]
        whole = time.perf_counter() - began
    return {
        "pages": total,
        "elements": elements,
        "file_mib": round(path.stat().st_size / MIB, 1),
        "first_page_after": f"{after:.2f} s of {whole:.1f} s",
        "this_process_mib": f"{start[0]:.0f} at the first page, {peak[0]:.0f} at most",
        "parsers_mib": f"{start[1]:.0f} at the first page, {peak[1]:.0f} at most",
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path)
    arguments.add_argument("--pages", type=int, default=1000)
    arguments.add_argument("--workers", type=int, default=1)
    options = arguments.parse_args()
    files = options.files or sorted(FILINGS.glob("*.pdf"))
    if not files:
        print("The shared filings are not beside the repository: name some PDF files.")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.pdf"
        put_together(files, options.pages, path)
        print(json.dumps(measure(path, options.workers), indent=2))


if __name__ == "__main__":
    main()
