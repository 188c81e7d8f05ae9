"""What a NIM's fault means for documents: one Failure for each that needed it, the others whole, nothing wrong kept."""

from __future__ import annotations

import io
import math
import wave
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from senses import Senses

from nemo_retriever_dagster import Settings, portal
from nemo_retriever_dagster.engines.nim import nim_engines
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.ingestor import Ingestor
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.testing import Fault, FaultKind, HashEmbedder, NimServer
from nemo_retriever_dagster.testing.nim_faults import CONCERNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HARMLESS = {FaultKind.SHUFFLED, FaultKind.UNKNOWN_LABEL, FaultKind.MISSING_LABEL, FaultKind.NAN_TEXT}
SLOW = {FaultKind.HANG, FaultKind.DRIP}
NEEDED_BY = {"captioner": "page", "embedder": "words", "ocr": "picture", "transcriber": "speech"}
"""The document that needs each NIM."""
FEW = {FaultKind.BUSY, FaultKind.RESET, FaultKind.UNAUTHORIZED, FaultKind.REJECTED, FaultKind.NOT_JSON}
FEW |= {FaultKind.COUNT, FaultKind.NAN_TEXT, FaultKind.NAN_NUMBER}
CELLS = [
    (kind, port)
    for kind in FaultKind
    for port in NEEDED_BY
    if port in CONCERNS[kind] and (kind in FEW or port in {"captioner", "embedder"})
]
"""All faults at the two NIMs that have a stage of their own, a few at those that extraction calls."""


def image() -> bytes:
    found = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(found).rectangle((50, 50, 200, 150), fill="red")
    out = io.BytesIO()
    found.save(out, "PNG")
    return out.getvalue()


def speech() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        tone = (int(9000 * math.sin(i / 7)) for i in range(8000))
        sound.writeframes(b"".join(value.to_bytes(2, "little", signed=True) for value in tone))
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of which each needs one NIM, and one that needs none of them but for its vectors."""
    from base64 import b64encode

    root = tmp_path_factory.mktemp("documents")
    (root / "picture.png").write_bytes(image())
    (root / "speech.wav").write_bytes(speech())
    page = f'<p>Before.</p><img src="data:image/png;base64,{b64encode(image()).decode()}"><p>After.</p>'
    (root / "page.html").write_text(f"<html><body>{page}</body></html>")
    (root / "words.txt").write_text("The quick brown fox. " * 20)
    return root


@pytest.fixture(scope="module")
def server() -> Iterator[NimServer]:
    senses = Senses()
    with NimServer(Engines(ocr=senses, transcriber=senses)) as running:
        yield running


def ingested(server: NimServer, folder: Path, state: Path, port: str, *, slow: bool = False) -> tuple[Any, Any]:
    """Take the document that needs ``port``, and the plain one, through the pipeline; return results and failures."""
    timeout = 0.2 if slow else 20.0
    endpoints = server.endpoints(attempts=2, backoff=0.002, backoff_cap=0.01, breaker_pause=0.002, timeout=timeout)
    engines = nim_engines({port: endpoints[port]}, Engines(embedder=HashEmbedder(), ocr=Senses()))
    names = {next(folder.glob(f"{NEEDED_BY[port]}.*")), folder / "words.txt"}
    ingestor = Ingestor(engines=engines, settings=Settings(state_dir=state), workers=1)
    ingestor = ingestor.files([str(name) for name in sorted(names)]).extract()
    if port == "captioner":
        ingestor = ingestor.caption()
    if port == "embedder":
        ingestor = ingestor.embed()
    try:
        return ingestor.ingest(return_failures=True)
    finally:
        portal.run(engines.aclose())


@pytest.fixture(scope="module")
def right(server: NimServer, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {port: ingested(server, folder, tmp_path_factory.mktemp("right"), port)[0] for port in NEEDED_BY}


def plain(results: Any) -> list[Any]:
    """Return what does not differ from run to run."""
    return [
        [(one["document_type"], one["metadata"]["content"], one["metadata"].get("embedding")) for one in document]
        for document in results
    ]


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_a_fault_at_every_request_is_one_failure_of_each_document_that_needs_the_nim(
    server: NimServer, folder: Path, tmp_path: Path, right: dict[str, Any], cell: tuple[FaultKind, str]
) -> None:
    kind, port = cell
    server.inject(Fault(kind=kind, port=port, times=0))
    try:
        results, failures = ingested(server, folder, tmp_path / "state", port, slow=kind in SLOW)
    finally:
        server.mend()
    if kind in HARMLESS:
        assert failures == []
        assert plain(results) == plain(right[port])
        return
    (failure,) = failures
    assert isinstance(failure, Failure)
    assert NEEDED_BY[port] in failure.uri
    assert failure.cause
    stage = {"captioner": "caption", "embedder": "embed"}.get(port, "extract")
    assert failure.stage == stage
    assert len(results) == (0 if port == "embedder" else 1)  # the plain document, where it does not need the NIM
    # What failed was not kept: without the fault the same state gives the right answer.
    results, failures = ingested(server, folder, tmp_path / "state", port)
    assert failures == []
    assert plain(results) == plain(right[port])
