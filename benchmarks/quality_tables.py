"""How good are the tables? Our finder beside PyPI peers on the same PDFs, in one run: cells right, structure, seconds.

    python benchmarks/quality_tables.py [--peers VENV] [--out DIR] [--repeat N]

Reads ``../shared/bench`` beside the repository (skips with a message where it is absent) and scores with its
``score.py``: ``tables-icdar`` (16 real PDFs, adjacency and TEDS) and the tables of ``layout-twin`` (100 redrawn pages,
TEDS only: the text between tables is not written). ``--peers`` is a virtual environment that has camelot-py and
pdfplumber; each missing one is named and left out. Seconds a page count opening the file and finding its tables; with
``--repeat`` the median of the runs is printed.
"""

from __future__ import annotations

import argparse
import html
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[1]
BENCH = REPOSITORY.parent / "shared" / "bench"
HEADER = """\
| engine | recall | precision | F1 | tables >= 50 % right | TEDS small (n) | median TEDS/document | s/page \
| layout-twin TEDS | layout-twin s/page |
|---|---|---|---|---|---|---|---|---|---|"""
PEERS = {"camelot hybrid": "camelot", "pdfplumber lines": "pdfplumber"}

Rows = list[list[str]]
Tables = list[tuple[int, Rows, str]]  # page, rows, html


def ours(path: Path) -> tuple[Tables, int]:
    """Return the tables our finder sees in a PDF, and the number of its pages."""
    import pypdfium2

    from nemo_retriever_dagster.extract.pdf_geometry import read_geometry
    from nemo_retriever_dagster.extract.tables import find_tables, may_have_tables
    from nemo_retriever_dagster.extract.tables.formats import render

    document = pypdfium2.PdfDocument(path)
    found: Tables = []
    for number, page in enumerate(document, start=1):
        geometry = read_geometry(page)
        tables = find_tables(geometry) if may_have_tables(geometry) else []
        found += [(number, table.table.rows(), render(table.table, "html")) for table in tables]
        page.close()
    pages = len(document)
    document.close()
    return found, pages


def plain_html(rows: Rows) -> str:
    """Return rows as a table without spans: what the peers know."""
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def camelot(path: Path) -> tuple[Tables, int]:
    """Return camelot's tables, flavour hybrid, default settings."""
    import camelot as engine
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        pages = len(document)
    found = engine.read_pdf(str(path), pages="all", flavor="hybrid")
    tables = [(table.page, [[str(cell) for cell in row] for row in table.df.values.tolist()]) for table in found]
    return [(page, rows, plain_html(rows)) for page, rows in tables], pages


def pdfplumber(path: Path) -> tuple[Tables, int]:
    """Return pdfplumber's tables, default settings (lines)."""
    import pdfplumber as engine

    with engine.open(path) as document:
        tables = [
            (page.page_number, [[cell or "" for cell in row] for row in rows])
            for page in document.pages
            for rows in page.extract_tables()
        ]
        return [(page, rows, plain_html(rows)) for page, rows in tables], len(document.pages)


ENGINES: dict[str, Callable[[Path], tuple[Tables, int]]] = {"ours": ours, "camelot": camelot, "pdfplumber": pdfplumber}


def predict(engine: str, out: Path) -> None:
    """Write an engine's predictions for both benches, and its seconds a page for each document."""
    seconds: dict[str, list[float]] = {"tables-icdar": [], "layout-twin": []}
    for bench, times in seconds.items():
        folder = out / bench
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted((BENCH / bench / "pdfs").glob("*.pdf")):
            start = time.perf_counter()
            try:
                tables, pages = ENGINES[engine](path)
            except Exception as error:  # noqa: BLE001 - a peer that fails on a file scores 0 there, and is named
                print(f"{engine} failed on {path.name}: {error!r}", file=sys.stderr)
                tables, pages = [], 1
            times.append((time.perf_counter() - start) / max(1, pages))
            if bench == "tables-icdar":
                cells = json.dumps([{"page": page, "rows": rows} for page, rows, _ in tables])
                (folder / f"{path.stem}.json").write_text(cells, encoding="utf-8")
            else:
                (folder / f"{path.stem}.md").write_text("\n\n".join(text for *_, text in tables), encoding="utf-8")
    (out / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def score(bench: str, predictions: Path) -> dict[str, Any]:
    """Run the bench's own scorer and return its summary and its documents."""
    report = predictions / "report" / f"{bench}.json"
    report.parent.mkdir(exist_ok=True)
    command = [sys.executable, str(BENCH / "score.py"), bench, str(predictions / bench), "--json", str(report)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return result


def peer_python(venv: Path | None, module: str) -> str | None:
    """Return the interpreter of the peers' environment where it has the module."""
    python = venv / "bin" / "python" if venv else None
    if python is None or not python.exists():
        return None
    has = subprocess.run([str(python), "-c", f"import {module}"], check=False, capture_output=True)
    return str(python) if has.returncode == 0 else None


def measure(name: str, python: str, engine: str, out: Path, repeat: int) -> None:
    """Predict with one engine, score, and print its line."""
    seconds = []
    for _ in range(repeat):
        subprocess.run([python, __file__, "--engine", engine, "--out", str(out)], check=True)
        seconds.append(json.loads((out / "seconds.json").read_text(encoding="utf-8")))
    icdar, twin = score("tables-icdar", out), score("layout-twin", out)
    cells, pages = icdar["summary"], [time for run in seconds for time in run["tables-icdar"]]
    redrawn = [time for run in seconds for time in run["layout-twin"]]
    per_document = [document["teds_small"] for document in icdar["documents"] if document["teds_small"] is not None]
    print(
        f"| {name} | {cells['recall']:.3f} | {cells['precision']:.3f} | {cells['f1']:.3f} "
        f"| {cells['tables_half_right']}/{cells['tables']} | {cells['teds_small']:.3f} ({cells['small_tables']}) "
        f"| {median(per_document):.3f} | {median(pages):.3f} | {twin['summary']['teds']:.3f} | {median(redrawn):.3f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="virtual environment with camelot-py and pdfplumber")
    parser.add_argument("--out", type=Path, help="folder for the predictions, by default a temporary one")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each engine; seconds are the median")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (BENCH / "score.py").is_file():
        sys.exit(f"skipped: no benches at {BENCH}")
    if options.engine:
        predict(options.engine, options.out)
        return
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        print(HEADER)
        measure("nemo_retriever_dagster", sys.executable, "ours", out / "ours", options.repeat)
        for name, module in PEERS.items():
            python = peer_python(options.peers, module)
            if python is None:
                print(f"skipped: {name} (no environment with {module}; give one by --peers)")
            else:
                measure(name, python, module, out / module, options.repeat)


if __name__ == "__main__":
    main()
