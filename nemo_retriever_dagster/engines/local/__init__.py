"""Engines that run on this machine: no GPU, no network, no key. `local_engines` makes the default set."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

from nemo_retriever_dagster.engines.local.captions import LocalCaptioner
from nemo_retriever_dagster.engines.local.minilm import MiniLmEmbedder
from nemo_retriever_dagster.engines.local.ocr import RapidOcr
from nemo_retriever_dagster.engines.local.speech import SphinxTranscriber
from nemo_retriever_dagster.engines.local.tesseract import TesseractOcr
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Ocr

__all__ = [
    "LocalCaptioner",
    "MiniLmEmbedder",
    "OcrChoice",
    "RapidOcr",
    "SphinxTranscriber",
    "TesseractOcr",
    "local_engines",
    "local_ocr",
]

# onnxruntime (from 1.29) tells its maker what machine, program and models it runs, unless this is set before it starts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

OcrChoice = Literal["rapidocr", "tesseract", "auto"]


def local_engines(
    *,
    models_dir: str | os.PathLike[str] | None = None,
    ocr: OcrChoice = "rapidocr",
) -> Engines:
    """Return the local engines; nothing is loaded before its first call.

    What an engine needs and is not installed shows in its ``check()`` and first call as a `MissingDependencyError` with
    the command that installs it. ``models_dir``: see `modelfiles.find_model_file`.
    """
    return Engines(
        embedder=MiniLmEmbedder(models_dir=models_dir),
        ocr=local_ocr(ocr),
        captioner=LocalCaptioner(),
        transcriber=SphinxTranscriber(),
    )


def local_ocr(choice: OcrChoice = "rapidocr", *, languages: str = "eng", threads: int = 0) -> Ocr:
    """Return the OCR engine of this name; ``auto`` is Tesseract where the program is installed, else RapidOCR.

    ``languages`` is for Tesseract; RapidOCR's model reads Latin script and Chinese as it is. Raises
    `InvalidOptionError` for another name.
    """
    if choice == "auto":
        choice = "tesseract" if shutil.which("tesseract") else "rapidocr"
    if choice == "tesseract":
        return TesseractOcr(languages=languages, parallel=threads)
    if choice == "rapidocr":
        return RapidOcr(threads=threads)
    raise InvalidOptionError(f"There is no OCR engine {choice!r}.", hint="Choose rapidocr, tesseract or auto.")
