"""``render_as_pdf``: an Office document laid out by LibreOffice, then read as the PDF it becomes.

Each document has a LibreOffice profile and a folder of its own, both gone afterwards, so that conversions neither meet
nor leave a trace. The profile runs no macro and follows no link out of the document.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError, MissingDependencyError, ParserTimeoutError
from nemo_retriever_dagster.extract.archive import sanitized_copy
from nemo_retriever_dagster.extract.ooxml import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
    from nemo_retriever_dagster.limits import Budget

PROGRAMS = ("soffice", "libreoffice")
INSTALL = "apt-get install libreoffice-writer-nogui libreoffice-impress-nogui (or libreoffice from libreoffice.org)"
_SHARE_OF_IDLE = 0.9
"""Of the seconds without progress: the conversion gives up, with its own words, before the whole parser is stopped."""
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse">
<value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableMacrosExecution" oor:op="fuse">
<value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="BlockUntrustedRefererLinks"
 oor:op="fuse"><value>true</value></prop></item>
</oor:items>
"""


def rendered_pages(path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
    """Yield the pages of the document's rendering, as the PDF extractor reads them.

    Raises `MissingDependencyError` without LibreOffice, `ParserTimeoutError` where it makes no end.
    """
    from nemo_retriever_dagster.extract.pdf import PdfExtractor

    with Package(path, budget) as package:  # the native reader's refusals and words: no package, encrypted
        said = package.dates()  # the rendering is as new as can be
    with tempfile.TemporaryDirectory(prefix="render-") as folder, sanitized_copy(path, budget) as clean:
        seconds = budget.limits.idle_seconds * _SHARE_OF_IDLE
        pdf = convert(clean, Path(folder), options.format, seconds=seconds)
        as_pdf = replace(options, format="pdf", method=None, password=None)
        for page in PdfExtractor().extract(pdf, as_pdf, budget):
            yield replace(page, dates=said)


def convert(document: IO[bytes], folder: Path, document_type: str, *, seconds: float) -> Path:
    """Convert the document to a PDF below ``folder`` and return its path; ``seconds`` is the longest it may take."""
    source = folder / f"document.{document_type}"
    with source.open("wb") as target:
        shutil.copyfileobj(document, target)
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_SETTINGS, encoding="utf-8")
    output = _run(_command(source, profile, folder), folder, seconds)
    pdf = folder / "document.pdf"
    if not pdf.exists() or not pdf.stat().st_size:
        raise CorruptFileError(f"LibreOffice could not convert the document: {output or 'it gave no reason'}.")
    return pdf


def program() -> str:
    """Return the path of LibreOffice; raise `MissingDependencyError` where there is none."""
    found = next((place for name in PROGRAMS if (place := shutil.which(name))), None)
    if found is None:
        raise MissingDependencyError.of("extract_method='render_as_pdf'", INSTALL)
    return found


def _command(source: Path, profile: Path, folder: Path) -> list[str]:
    options = ["--headless", "--norestore", "--nologo", "--nolockcheck", "--nodefault", "--nofirststartwizard"]
    where = [f"-env:UserInstallation={profile.as_uri()}", "--convert-to", "pdf", "--outdir", str(folder), str(source)]
    return [program(), *options, *where]


def _run(command: list[str], folder: Path, seconds: float) -> str:
    """Run the command in this process group, which is killed as one if the parser is; return what it said."""
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    process = subprocess.Popen(  # noqa: S603 -- a program found on PATH, its arguments are our own file names
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ParserTimeoutError(f"LibreOffice did not convert the document in {seconds:.0f} seconds.") from error
    finally:
        if process.returncode is None:
            _kill_tree(process.pid)
            process.communicate()
    return " ".join(output.decode("utf-8", "replace").split())[-300:]


def _kill_tree(pid: int) -> None:
    """Kill a process and all its children; the launcher of LibreOffice starts the real program as its child."""
    for child in _children(pid):
        _kill_tree(child)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
