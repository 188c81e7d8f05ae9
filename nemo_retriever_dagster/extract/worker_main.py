"""The inside of a parser process: read a job, run its extractor, send its pages."""

from __future__ import annotations

import errno
import faulthandler
import gc
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    InfrastructureError,
    LimitExceededError,
    MissingDependencyError,
    RetrieverError,
    SourceUnavailableError,
)
from nemo_retriever_dagster.extract import registry, sandbox, wire
from nemo_retriever_dagster.extract.contract import check_page
from nemo_retriever_dagster.extract.invisible import without_invisible
from nemo_retriever_dagster.limits import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.extract.contract import Extractor, Page

_MACHINE_FAULTS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ESTALE,
}
_JOINS_WORDS = {"pdf"}
"""Document types whose extractor needs such signs as soft hyphens to join words, and leaves none behind."""
_PARENT_CHECK_SECONDS = 5.0
_GARBAGE = 20_000  # objects made before garbage is looked for: a page makes thousands, and hardly any garbage


def main(work: int, lifeline: int) -> None:
    """Serve jobs from the socket ``work`` until the owner hangs up on it or on ``lifeline`` (file descriptors)."""
    sandbox.die_with(lifeline)
    sandbox.forbid_core_dumps()
    confined = sandbox.forbid_network()
    sandbox.quieten()
    faulthandler.enable(2)
    owner = os.getppid()
    settled = False
    with socket.socket(fileno=work) as sock:
        while _job_waits(sock, owner) and (job := wire.receive_job(sock)):
            wire.send(sock, wire.Accepted(confined=confined))
            finished = _serve(sock, job)
            _deliver(sock, finished)
            if not finished.reusable:
                return
            if not settled:
                settled = True
                gc.collect()
                gc.set_threshold(_GARBAGE)
                gc.freeze()  # what was imported for the first document is never garbage: not looked through again


def _job_waits(sock: socket.socket, owner: int) -> bool:
    """Wait for a job; False when the owner is gone though some other process still holds its sockets."""
    sock.settimeout(_PARENT_CHECK_SECONDS)
    while os.getppid() == owner:
        try:
            sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        sock.settimeout(None)
        return True
    return False


def _serve(sock: socket.socket, job: wire.Job) -> wire.Finished:
    sandbox.limit_memory(job.limits.worker_bytes)
    try:
        for page in _pages(job):
            _deliver(sock, page)
    except RetrieverError as error:
        return wire.Finished(error=error)
    except Exception as error:  # noqa: BLE001 -- whatever a parser raises is a fact about the document
        return wire.Finished(error=_as_ours(job, error), reusable=False)
    return wire.Finished()


def _deliver(sock: socket.socket, message: Page | wire.Finished) -> None:
    try:
        wire.send(sock, message)
    except ConnectionError:
        os._exit(0)  # the owner is gone or has given this document up


def _pages(job: wire.Job) -> Iterator[Page]:
    budget = Budget(job.limits)
    for page in _extractor(job).extract(Path(job.path), job.options, budget):
        check_page(page, budget)
        yield page if job.options.format in _JOINS_WORDS else without_invisible(page)


def _extractor(job: wire.Job) -> Extractor:
    name = job.options.format
    if registry.EXTRACTORS.get(name) != job.extractor:
        registry.EXTRACTORS[name] = job.extractor
        registry.extractor_for.cache_clear()
    return registry.extractor_for(name)


def _as_ours(job: wire.Job, error: Exception) -> RetrieverError:
    parser = f"The {job.options.format} parser"
    if isinstance(error, MemoryError):
        return LimitExceededError(f"{parser} needs more memory than worker_bytes = {job.limits.worker_bytes:,} allows.")
    if isinstance(error, RecursionError):
        return LimitExceededError(f"{parser} gave up: the document is nested too deeply.")
    if isinstance(error, ImportError):
        hint = "Install the module that is named (an optional extra of this package may bring it)."
        return MissingDependencyError(f"{parser} cannot be loaded: {error}.", hint=hint)
    if isinstance(error, OSError) and error.errno in _MACHINE_FAULTS:
        hint = "Free disk space or file handles, then retry."
        return InfrastructureError(f"{parser} was stopped by the machine: {error}.", hint=hint)
    if not Path(job.path).exists():
        return SourceUnavailableError("The file vanished while it was read.", hint="Put it back and retry.")
    return CorruptFileError(f"{parser} cannot read the file: {type(error).__name__}: {_short(str(error))}")


def _short(text: str, most: int = 500) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}..."
