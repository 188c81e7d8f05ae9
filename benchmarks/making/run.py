"""The benchmarks' side: their common options, the producers that are there, and having them draw what is not yet drawn.

A producer's writers live in a package of the benchmark's own, whose module ``draw`` runs in the producers' environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parents[1]
NEEDS = {"chromium": "chromium", "libreoffice": "soffice"}  # programs; the others are modules
MODULES = {"typst": "typst", "weasyprint": "weasyprint", "reportlab": "reportlab", "fpdf2": "fpdf"}

Case = dict[str, Any]
Drawing = tuple[Case, Path]


def arguments(description: str | None, modules: str, noun: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all have; ``modules`` names what the makers' environment should hold."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=formatter)
    parser.add_argument("--makers", type=_folder, help=f"virtual environment with {modules}")
    parser.add_argument("--seeds", default="100-103", help="first and last seed")
    parser.add_argument("--keep", type=_folder, help="folder for the PDFs")
    parser.add_argument("--only", help="one producer")
    parser.add_argument("--list", action="store_true", help=f"name the {noun} that are not perfect")
    return parser


def _folder(text: str) -> Path:
    """Return a folder as the writers can find it, who work in another one."""
    return Path(text).absolute()


def seeds(text: str) -> range:
    """Return the seeds of an option as ``100-103``."""
    first, last = map(int, text.split("-"))
    return range(first, last + 1)


def producers(makers: Path | None, names: Iterable[str] = (*NEEDS, *MODULES)) -> dict[str, str]:
    """Return those of the producers that are there, each with the interpreter to run its writer with."""
    python = str(makers / "bin" / "python") if makers else sys.executable
    found = {}
    for name in names:
        if lacks := _lacks(name, python):
            print(f"left out: {name} ({lacks})")
        else:
            found[name] = python
    return found


def _lacks(name: str, python: str) -> str:
    """Return what a producer lacks to run, "" where nothing."""
    if name in NEEDS:
        return "" if shutil.which(NEEDS[name]) else f"no program {NEEDS[name]}"
    module = MODULES[name]
    has = subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True)
    return f"no module {module} in {python}; give an environment that has it by --makers" if has.returncode else ""


def draw(package: str, producer: str, python: str, drawings: list[Drawing]) -> list[Drawing]:
    """Draw the cases that are not yet there, all into one folder; return those that were drawn now."""
    missing = [(case, path) for case, path in drawings if not path.exists()]
    if missing:
        folder = missing[0][1].parent
        folder.mkdir(parents=True, exist_ok=True)
        listing = folder / "cases.json"
        listing.write_text(json.dumps([(case, str(path)) for case, path in missing]), encoding="utf-8")
        done = subprocess.run([python, "-m", f"{package}.draw", producer, str(listing)], cwd=HERE, check=False)
        if done.returncode:
            print(f"{producer} stopped early")
    return [(case, path) for case, path in missing if path.exists()]
