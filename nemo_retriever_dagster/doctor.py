"""What works here and what does not, each with the step that mends it."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.equip import engines_for
from nemo_retriever_dagster.errors import RetrieverError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.parser_process import DiedIdleError, ParserProcess
from nemo_retriever_dagster.extract.registry import EXTRACTORS
from nemo_retriever_dagster.extract.wire import Job, Patience
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source_names import shown
from nemo_retriever_dagster.storage import Storage
from nemo_retriever_dagster.tasks import CaptionTask, EmbedTask, UploadTask
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Engine

_PROGRAMS = {
    "soffice": ("render_as_pdf", "apt-get install libreoffice-writer-nogui libreoffice-impress-nogui"),
    "tesseract": ("the Tesseract OCR engine", "apt-get install tesseract-ocr"),
}
"""Program -> what it is for, and what installs it."""
_CONFINED = "cut off from the network"
_FREE = "not cut off from the network, this system has no seccomp: read only documents you trust, or run in a container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The state of one part; ``optional`` parts may be missing."""

    part: str
    ok: bool
    note: str = ""
    optional: bool = False


def examine() -> list[Finding]:
    """Look at the engines, the ledger, the artifacts, the vector store, the parser and the optional parts."""
    settings = Settings()
    needed = [*_engines(settings), _ledger(settings), _artifacts(settings), _store(settings), _parser()]
    return [*needed, _films(), *(_program(name) for name in _PROGRAMS)]


def _engines(settings: Settings) -> list[Finding]:
    pipeline = Pipeline(caption=CaptionTask(), embed=EmbedTask(), upload=UploadTask())
    try:
        engines = engines_for(pipeline, settings)
    except RetrieverError as error:
        return [Finding(part="engines", ok=False, note=str(error))]
    found = [_engine(port, engine) for port, engine in engines.all().items()]
    portal.run(engines.aclose())
    return found


def _films() -> Finding:
    ok = importlib.util.find_spec("av") is not None
    return _optional("av", "the sound of films and of m4a", "pip install 'nemo-retriever-dagster[media]'", ok=ok)


def _program(name: str) -> Finding:
    use, install = _PROGRAMS[name]
    return _optional(name, use, install, ok=shutil.which(name) is not None)


def _optional(part: str, use: str, install: str, *, ok: bool) -> Finding:
    return Finding(part=part, ok=ok, note=use if ok else f"optional, for {use}: {install}", optional=True)


def _engine(port: str, engine: Engine) -> Finding:
    needed = port == "embedder"
    try:
        portal.run(engine.check())
    except RetrieverError as error:
        return Finding(part=f"{port}: {engine.name}", ok=False, note=str(error), optional=not needed)
    return Finding(part=f"{port}: {engine.name}", ok=True)


def _ledger(settings: Settings) -> Finding:
    try:
        with Ledger(settings.ledger) as ledger:
            return Finding(part=f"ledger: {ledger.url}", ok=True)
    except RetrieverError as error:
        return Finding(part="ledger", ok=False, note=str(error))


def _artifacts(settings: Settings) -> Finding:
    """Look for a result that is not there: that tells whether the place can be reached, and writes nothing."""
    part = f"artifacts: {shown(settings.artifacts)}"
    try:
        Storage(settings.artifacts, settings.artifacts_options).size("none")
    except RetrieverError as error:
        return Finding(part=part, ok=False, note=str(error))
    return Finding(part=part, ok=True)


def _store(settings: Settings) -> Finding:
    part = f"milvus: {shown(settings.milvus_uri)}"
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
    try:
        with MilvusStore(settings.milvus_uri, token=token, what="nrd doctor", wait=1.0) as store:
            capabilities = store.capabilities
    except RetrieverError as error:
        return Finding(part=part, ok=False, note=str(error))
    return Finding(part=part, ok=True, note="full-text search" if capabilities.sparse else "no full-text search")


def _parser() -> Finding:
    """Have a parser process read a line of text."""
    import pypdfium2

    part = f"parser processes, pdfium {pypdfium2.PDFIUM_INFO}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "line.txt"
            path.write_text("A line of text.", encoding="utf-8")
            confined = _read_apart(path)
    except (RetrieverError, DiedIdleError, OSError) as error:
        return Finding(part=part, ok=False, note=str(error))
    return Finding(part=part, ok=True, note=_CONFINED if confined else _FREE)


def _read_apart(path: Path) -> bool:
    """Read a text in a process of its own; tell whether the process is cut off from the network."""
    job = Job(path=str(path), options=ExtractOptions(format="txt"), extractor=EXTRACTORS["txt"], limits=Limits())
    with contextlib.closing(ParserProcess.start()) as parser:
        parser.offer(job)
        list(parser.pages(job, Patience(idle=job.limits.idle_seconds, total=job.limits.total_seconds)))
        return parser.confined
