"""Local OCR against the bare engines: words found, their order, and time, on the same pages in one run.

    python benchmarks/ocr.py [--pages 8] [--scan]

Truth is the native text of born-digital PDF pages, rendered at 200 dpi (``--scan``: 150 dpi grey, tilted by 0.7
degrees, JPEG quality 40). Word recall and precision count words whatever their order; ``order`` is 1 minus the
character error rate, which punishes columns that were read across. Seconds are the mean over pages; compare them only
inside one run. Needs the shared benchmark files beside the repository and says so where they are absent.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2
from PIL import Image
from rapidfuzz.distance import Levenshtein

from nemo_retriever_dagster.engines.local import RapidOcr, TesseractOcr
from nemo_retriever_dagster.model import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).resolve().parents[1].parent / "shared" / "corpora" / "dev" / "files"
PAGES = [
    ("test-page-form.pdf", 0),
    ("eu-001.pdf", 0),
    ("multimodal_test.pdf", 0),
    ("multi-column.pdf", 1),
    ("code_and_formula.pdf", 0),
    ("normal_4pages.pdf", 0),
    ("eu-004.pdf", 0),
    ("functional_validation.pdf", 0),
]


@dataclass
class Scores:
    """One engine's figures, a page each."""

    recall: list[float] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    order: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, truth: str, found: str, seconds: float) -> None:
        """Compare a page's texts."""
        wanted, got = Counter(words(truth)), Counter(words(found))
        common = sum((wanted & got).values())
        self.recall.append(common / max(sum(wanted.values()), 1))
        self.precision.append(common / max(sum(got.values()), 1))
        self.order.append(1 - Levenshtein.normalized_distance(" ".join(words(truth)), " ".join(words(found))))
        self.seconds.append(seconds)

    def means(self) -> list[float]:
        """Return recall, precision, order and seconds."""
        return [float(np.mean(values)) for values in (self.recall, self.precision, self.order, self.seconds)]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def rendered(path: Path, page: int, *, scan: bool) -> tuple[str, Image.Image]:
    """Return a page's native text and its picture."""
    document = pypdfium2.PdfDocument(path)
    text = document[page].get_textpage().get_text_bounded().replace("\ufffe\r\n", "").replace("\ufffe", "")
    image = document[page].render(scale=(150 if scan else 200) / 72).to_pil().convert("RGB")
    document.close()
    if scan:
        image = image.convert("L").rotate(0.7, fillcolor=255, resample=Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=40)
        image = Image.open(stream).convert("RGB")
    return text, image


def encoded(image: Image.Image) -> Picture:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return Picture(data=stream.getvalue(), width=image.width, height=image.height)


def ours(engine: RapidOcr | TesseractOcr) -> Callable[[Image.Image], str]:
    def read(image: Image.Image) -> str:
        (found,) = asyncio.run(engine.read([encoded(image)]))
        return " ".join(word.text for word in found)

    return read


def bare_rapidocr() -> Callable[[Image.Image], str]:
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "error"})
    return lambda image: " ".join(engine(np.asarray(image)[:, :, ::-1]).txts or ())


def bare_tesseract(image: Image.Image) -> str:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        image.save(file.name)
        environment = {name: value for name, value in os.environ.items() if name != "OMP_THREAD_LIMIT"}
        command = ["tesseract", file.name, "stdout"]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def contestants() -> dict[str, Callable[[Image.Image], str]]:
    engines = {"rapidocr, bare": bare_rapidocr(), "rapidocr, ours": ours(RapidOcr())}
    if shutil.which("tesseract"):
        engines |= {"tesseract, bare": bare_tesseract, "tesseract, ours": ours(TesseractOcr())}
    return engines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=len(PAGES), help="how many of the pages to read")
    parser.add_argument("--scan", action="store_true", help="make the pages look like bad scans")
    arguments = parser.parse_args()
    if not FILES.is_dir():
        print("Skipped: the shared corpora are not beside this repository.")
        return 0
    engines = contestants()
    scores = {name: Scores() for name in engines}
    warm = Image.new("RGB", (400, 400), "white")
    for read in engines.values():
        read(warm)
    for name, number in PAGES[: arguments.pages]:
        text, image = rendered(FILES / name, number, scan=arguments.scan)
        for engine, read in engines.items():  # in turn on each page: the machine's other load hits all alike
            started = time.perf_counter()
            found = read(image)
            scores[engine].add(text, found, time.perf_counter() - started)
        print(name, {engine: round(score.order[-1], 3) for engine, score in scores.items()}, flush=True)
    print(f"\n{'engine':18} recall  precision  order  s/page")
    for engine, score in scores.items():
        recall, precision, order, seconds = score.means()
        print(f"{engine:18} {recall:6.3f} {precision:10.3f} {order:6.3f} {seconds:7.2f}")
    for kind in ("rapidocr", "tesseract"):
        if f"{kind}, ours" in scores:
            own, bare = scores[f"{kind}, ours"].means(), scores[f"{kind}, bare"].means()
            ratios = ", ".join(
                f"{label} {o / b:.2f}"
                for label, o, b in zip(("recall", "precision", "order", "seconds"), own, bare, strict=True)
            )
            print(f"{kind}, ours / bare: {ratios}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
