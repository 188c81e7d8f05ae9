"""Tables on made pages that nobody tuned the finder on: what is found, missed, and found where there is none.

    python benchmarks/quality_made_tables.py [--makers VENV] [--seeds 100-103] [--keep DIR] [--list]

Draws pages of many styles (`made_tables.cases`) with every producer of PDF that is there: LibreOffice and Chromium
where they are installed, and typst, weasyprint, reportlab, fpdf2 where ``--makers``, a virtual environment of its own,
has them; the others are named and left out. Reads them by the package's own extractor, and scores with the scorers of
``../shared/bench/score.py`` (says so and stops where it is absent): F1 of cells' neighbours, TEDS with spans.

Seeds 0 to 19 are for tuning, 100 and up are held out. ``--keep`` keeps the PDFs, and takes those already there;
``--list`` names the cases that are not perfect.
"""

from __future__ import annotations

import ctypes
import html
import importlib.util
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pypdfium2
from made_tables.cases import MAKERS, WITHOUT, make_case, tables_of
from making import run

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

HERE = Path(__file__).resolve().parent
BENCH = HERE.parents[1] / "shared" / "bench"
MOST_CELLS = 260  # tree edit distance over larger tables takes minutes

Case = dict[str, Any]


def scorer() -> Any:
    """Return the shared benches' scorer as a module."""
    spec = importlib.util.spec_from_file_location("score", BENCH / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["score"] = module
    spec.loader.exec_module(module)
    return module


def draw(producer: str, python: str, cases: list[Case], folder: Path) -> list[tuple[Case, Path]]:
    """Draw the cases that are not yet there; return those that the producer has the means for."""
    pairs = [(case, folder / f"{case['style'].replace(' ', '-')}-{case['seed']}.pdf") for case in cases]
    for case, path in run.draw("made_tables", producer, python, pairs):
        if case["landscape"] and case["seed"] % 2:
            turn(path)
    return [(case, path) for case, path in pairs if path.exists()]


def turn(path: Path) -> None:
    """Lay a landscape page down on an upright sheet that is shown turned: what scanners and office printing make."""
    document = pypdfium2.PdfDocument(path)
    for page in document:
        width, height = page.get_size()
        matrix = pypdfium2.raw.FS_MATRIX(0, 1, -1, 0, height, 0)
        pypdfium2.raw.FPDFPage_TransFormWithClip(page.raw, ctypes.byref(matrix), None)
        page.set_mediabox(0, 0, height, width)
        page.set_cropbox(0, 0, height, width)
        page.set_rotation(90)
        page.gen_content()
    document.save(str(path.with_suffix(".turned")))
    document.close()
    path.with_suffix(".turned").replace(path)


def markup(rows: list[list[Case]]) -> str:
    lines = ("".join(_cell(cell) for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _cell(cell: Case) -> str:
    spans = "".join(f' {name}="{cell[key]}"' for name, key in (("colspan", "cs"), ("rowspan", "rs")) if cell[key] > 1)
    return f"<td{spans}>{html.escape(cell['t'])}</td>"


def placed(rows: list[list[Case]]) -> list[tuple[int, int, int, int, str]]:
    """Return the cells as first row, first column, last row, last column, text."""
    taken: set[tuple[int, int]] = set()
    cells = []
    for r, row in enumerate(rows):
        c = 0
        for cell in row:
            while (r, c) in taken:
                c += 1
            end = r + cell["rs"] - 1, c + cell["cs"] - 1
            taken |= {(y, x) for y in range(r, end[0] + 1) for x in range(c, end[1] + 1)}
            cells.append((r, c, *end, cell["t"]))
            c = end[1] + 1
    return cells


def truth_of(case: Case, path: Path) -> list[tuple[int, list[list[Case]]]] | None:
    """Return page and rows of every table, the header repeated after a page break; None where a break fell unasked."""
    document = pypdfium2.PdfDocument(path)
    texts = [page.get_textpage().get_text_range() for page in document]
    document.close()
    tables = tables_of(case)
    if case["style"] != "over a page break":
        return [(1, table["rows"]) for table in tables] if len(texts) == 1 else None
    ((heads, body),) = [(table["rows"][: table["heads"]], table["rows"][table["heads"] :]) for table in tables]
    parts = [(number, [row for row in body if row[0]["t"] in text]) for number, text in enumerate(texts, start=1)]
    return [(number, [*heads, *rows]) for number, rows in parts if rows]


def read(path: Path) -> tuple[list[tuple[int, list[list[str]], str]], int]:
    """Return page, rows and HTML of the tables that the package finds, and the number of pages."""
    options = ExtractOptions(format="pdf", images=False, charts=False, infographics=False, table_format="html")
    pages = list(PdfExtractor().extract(path, options, Budget(Limits())))
    elements = [element for page in pages for element in page.elements if element.kind is Kind.TABLE]
    return [(element.page, element.table.rows(), element.text) for element in elements if element.table], len(pages)


def judge(score: Any, case: Case, path: Path) -> dict[str, Any] | None:
    """Return the counts of one case."""
    truth = truth_of(case, path)
    if truth is None:
        return None
    start = time.process_time()
    found, pages = read(path)
    seconds = time.process_time() - start
    tables = [score.TruthTable(page, placed(rows)) for page, rows in truth]
    counts, _ = score.score_document(tables, [(page, rows) for page, rows, _ in found])
    cells = max(sum(len(table.cells) for table in tables), sum(len(row) for _, rows, _ in found for row in rows))
    teds = None
    if tables and cells <= MOST_CELLS:
        both = ["\n".join(markup(rows) for _, rows in truth), "\n".join(text for *_, text in found)]
        teds, _ = score.table_scores(*both)
    missed, false = len(tables) - counts["tables_matched"], len(found) - counts["tables_matched"]
    return {**counts, "teds": teds, "missed": missed, "false": false, "pages": pages, "seconds": seconds}


def line(name: str, records: list[dict[str, Any]]) -> str:
    """Return one line of a report."""
    total: Counter[str] = Counter()
    for record in records:
        total.update({key: value for key, value in record.items() if isinstance(value, int)})
    true, predicted, matched = (total[f"relations_{key}"] for key in ("true", "predicted", "matched"))
    f1 = f"{2 * matched / max(1, true + predicted):.3f}" if true else "-"
    trees = [record["teds"] for record in records if record["teds"] is not None]
    teds = f"{fmean(trees):.3f}" if trees else "-"
    return f"{name:<22}{len(records):>6}{total['tables']:>7}{f1:>8}{teds:>8}{total['missed']:>8}{total['false']:>7}"


def report(records: list[dict[str, Any]]) -> None:
    print(f"{'':<22}{'cases':>6}{'tables':>7}{'F1':>8}{'TEDS':>8}{'missed':>8}{'false':>7}")
    for key in ("style", "look", "producer"):
        groups = defaultdict(list)
        for record in records:
            groups[record[key]].append(record)
        print(*(line(name, group) for name, group in groups.items() if name), sep="\n", end="\n\n")
    tables = [record for record in records if record["style"] in MAKERS]
    print(line("all with tables", tables))
    print(line("all without", [record for record in records if record["style"] in WITHOUT]))
    pages, seconds = (sum(record[key] for record in records) for key in ("pages", "seconds"))
    print(f"{pages} pages, {1000 * seconds / max(1, pages):.1f} ms of CPU time a page")


def main() -> None:
    options = run.arguments(__doc__, "typst, weasyprint, reportlab, fpdf2", "cases").parse_args()
    if not (BENCH / "score.py").is_file():
        sys.exit(f"skipped: no scorer at {BENCH}")
    score = scorer()
    cases = [make_case(style, seed) for style in [*MAKERS, *WITHOUT] for seed in run.seeds(options.seeds)]
    records, broken = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        for producer, python in run.producers(options.makers).items():
            if options.only in {None, producer}:
                for case, path in draw(producer, python, cases, (options.keep or Path(scratch)) / producer):
                    if (record := judge(score, case, path)) is None:
                        broken += 1
                        continue
                    look = next((table["look"] for table in tables_of(case)), "")
                    records.append({**record, "style": case["style"], "look": look, "producer": producer})
                    if options.list and (record["false"] or record["missed"] or (record["teds"] or 1) < 1):
                        wrong = f"missed {record['missed']} false {record['false']}"
                        print(f"{producer}/{path.name}: TEDS {record['teds']} {wrong}")
    report(records)
    print(f"left out: {broken} cases that a page break parted unasked")


if __name__ == "__main__":
    main()
