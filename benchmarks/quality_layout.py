"""Reading order, tables and headings as Markdown, on 100 redrawn pages, beside other engines, in one run.

    python benchmarks/quality_layout.py [--peers VENV] [--keep DIR]

``--peers`` is a virtual environment of their own that holds the peers to compare with: any of
markitdown[pdf], kreuzberg, liteparse, pdf-inspector, pdf-oxide, opendataloader-pdf (needs Java); a peer that is missing
there is named and left out. Each engine converts every page in one process, the engines in turn; the benchmark's own
``score.py`` scores the predictions.

NID is the similarity of the whole text in order, TEDS that of the tables, MHS that of headings with their text;
``overall`` is the mean of the three. Compare seconds only inside one run. Needs the shared benchmark beside the
repository, and says so where it is absent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.page_markdown import to_markdown
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.limits import Budget, Limits

BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "bench"
FIGURES = ("overall_of_means", "overall_per_document", "nid", "teds", "teds_s", "mhs", "mhs_s")

_LOOP = """
import pathlib, sys, time
files, out = sorted(pathlib.Path(sys.argv[1]).glob("*.pdf")), pathlib.Path(sys.argv[2])
convert(files[0])
began = time.perf_counter()
for file in files:
    (out / (file.stem + ".md")).write_text(convert(file))
print((time.perf_counter() - began) / len(files))
"""
PEERS = {
    "markitdown": "from markitdown import MarkItDown\nengine = MarkItDown()\n"
    "def convert(file):\n    return engine.convert(str(file)).text_content\n" + _LOOP,
    "kreuzberg": "from kreuzberg import ExtractionConfig, extract_file_sync\n"
    "config = ExtractionConfig(output_format='markdown')\n"
    "def convert(file):\n    return extract_file_sync(str(file), config=config).content\n" + _LOOP,
    "liteparse": "from liteparse import LiteParse\n"
    "engine = LiteParse(ocr_enabled=False, output_format='markdown', image_mode='off', quiet=True)\n"
    "def convert(file):\n    return engine.parse(str(file)).text\n" + _LOOP,
    "pdf-inspector": "import pdf_inspector\n"
    "def convert(file):\n    return pdf_inspector.process_pdf(str(file)).markdown or ''\n" + _LOOP,
    "pdf-oxide": "from pdf_oxide import PdfDocument\n"
    "def convert(file):\n    document = PdfDocument(str(file))\n"
    "    return '\\n\\n'.join(document.to_markdown(n) for n in range(document.page_count))\n" + _LOOP,
    "opendataloader-pdf": "import opendataloader_pdf, pathlib, sys, time\n"
    "began = time.perf_counter()\n"
    "files = [str(file) for file in sorted(pathlib.Path(sys.argv[1]).glob('*.pdf'))]\n"
    "opendataloader_pdf.convert(input_path=files, output_dir=sys.argv[2], format='markdown', quiet=True)\n"
    "print((time.perf_counter() - began) / len(files))\n",
}


def ours(pdfs: Path, out: Path) -> float:
    """Write our predictions; return the seconds a page took."""
    files = sorted(pdfs.glob("*.pdf"))
    options = ExtractOptions(format="pdf", images=False)
    began = time.perf_counter()
    for file in files:
        pages = PdfExtractor().extract(file, options, Budget(Limits()))
        text = to_markdown(element for page in pages for element in page.elements)
        (out / f"{file.stem}.md").write_text(text, encoding="utf-8")
    return (time.perf_counter() - began) / len(files)


def theirs(venv: Path, script: str, pdfs: Path, out: Path) -> float | str:
    """Write a peer's predictions; return the seconds a page took, or why it did not run."""
    python = venv / "bin" / "python"
    done = subprocess.run([str(python), "-c", script, str(pdfs), str(out)], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return float(done.stdout.strip().splitlines()[-1])


def score(out: Path) -> dict[str, float]:
    report = out / "score.json"
    command = [sys.executable, str(BENCH / "score.py"), "layout-twin", str(out), "--json", str(report)]
    subprocess.run(command, capture_output=True, check=True)
    return dict(json.loads(report.read_text())["summary"])


def show(name: str, figures: dict[str, float], seconds: float) -> None:
    cells = "".join(f"{figures[name] or 0:>9.3f}" for name in FIGURES)
    print(f"{name:<22}{cells}{seconds:>9.3f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peers", type=Path, help="virtual environment that holds the peers")
    arguments.add_argument("--keep", type=Path, help="where to leave the predictions")
    options = arguments.parse_args()
    pdfs = BENCH / "layout-twin" / "pdfs"
    if not pdfs.is_dir():
        print("The shared benchmark is not beside the repository: nothing measured.")
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch)
        print(f"{'engine':<22}" + "".join(f"{name[:8]:>9}" for name in [*FIGURES, "s/page"]))
        for name in ["this package", *(PEERS if options.peers else ())]:
            out = root / name.replace(" ", "-")
            out.mkdir(parents=True, exist_ok=True)
            took = theirs(options.peers, PEERS[name], pdfs, out) if name in PEERS else ours(pdfs, out)
            if isinstance(took, str):
                print(f"{name:<22}did not run: {took}")
            else:
                show(name, score(out), took)


if __name__ == "__main__":
    main()
