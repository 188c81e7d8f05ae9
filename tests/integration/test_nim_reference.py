"""The reference's caption, embed and audio examples, as they are written there, with every engine behind a URL."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING

import pytest
from senses import Senses
from test_reference_blocks import BLOCKS, PDFS, REFERENCE, _finished, audio, folder, substituted

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.testing import NimServer
from nemo_retriever_dagster.testing.nim_server import VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folder"]  # a fixture
SMALL = "nv-embedqa-e5-v5"  # its vectors have 1,024 numbers
CALLED = {"captioner": ".caption(", "embedder": ".embed(", "transcriber": "audio_file.mp3"}
CASES = [(port, number) for port, word in CALLED.items() for number, block in enumerate(BLOCKS) if word in block]


def test_there_are_examples_of_each() -> None:
    assert {port for port, _ in CASES} == set(CALLED)


@pytest.mark.parametrize(("port", "number"), CASES)
def test_example(port: str, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = BLOCKS[number]
    if "audio_file.mp3" in block:
        audio(folder)
    for name in PDFS if port == "captioner" else ():  # a document with pictures
        shutil.copy(REFERENCE.parents[1] / "corpora/dev/files/multimodal_test.pdf", folder / name)
    senses = Senses()
    engines = Engines(transcriber=senses, ocr=senses, page_elements=senses)
    with NimServer(engines, dimension=1024 if SMALL in block else 2048) as server:
        for named in (*CALLED, "ocr", *(["page_elements"] if "infographics=True" in block else [])):
            monkeypatch.setenv(VARIABLES[named], server.url(named))
        world = {"Ingestor": Ingestor, "client": object(), "ingestor": Ingestor().files(str(folder / PDFS[0]))}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(substituted(block, folder, server), f"block {number}", "exec"), world)
        _finished(block, world)
        assert server.count(port) > 0
        assert {call.status for call in server.calls} == {200}
