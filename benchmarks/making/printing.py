"""The writers' side, run in the producers' environment: from sources of pages to PDFs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Pages = Iterable[tuple[str, Path]]


def write(package: str, modules: dict[str, str]) -> None:
    """Write the cases of a listing with one producer, both named on the command line: PRODUCER CASES.json."""
    producer, listing = sys.argv[1:]
    cases = [(case, Path(path)) for case, path in json.loads(Path(listing).read_text(encoding="utf-8"))]
    getattr(import_module(f"{package}.{modules[producer]}"), producer)(cases)


def by_weasyprint(pages: Pages) -> None:
    """Print pages of HTML."""
    from weasyprint import HTML

    for page, out in pages:
        HTML(string=page).write_pdf(out)


def by_chromium(pages: Pages) -> None:
    """Print pages of HTML; one that fails is reported and left out."""
    with tempfile.TemporaryDirectory() as scratch:
        for page, out in pages:
            source = Path(scratch) / "case.html"
            source.write_text(page, encoding="utf-8")
            command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}/profile"]
            command += ["--no-pdf-header-footer", f"--print-to-pdf={out}", source.as_uri()]
            done = subprocess.run(command, check=False, capture_output=True, timeout=120)
            if not out.exists():
                print(done.stderr.decode()[-300:], file=sys.stderr)


def by_libreoffice(pages: Pages, suffix: str, target: str = "pdf") -> None:
    """Convert sources whose files end in ``suffix``, all in one run."""
    with tempfile.TemporaryDirectory() as scratch:
        made = []
        for number, (page, out) in enumerate(pages):
            source = Path(scratch) / f"{number}{suffix}"
            source.write_text(page, encoding="utf-8")
            made.append((source, out))
        if not made:  # without a file to convert it would wait for one
            return
        command = ["soffice", f"-env:UserInstallation=file://{scratch}/profile", "--headless", "--convert-to", target]
        command += ["--outdir", scratch, *(str(source) for source, _ in made)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        for source, out in made:
            source.with_suffix(".pdf").replace(out)
