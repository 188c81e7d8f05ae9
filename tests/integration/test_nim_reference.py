"""The reference's caption, embed and audio examples, as they are written there, with every engine behind a URL."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING

import pytest
from test_reference_blocks import BLOCKS, PDFS, REFERENCE, _finished, audio, folder, substituted

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.engines.ports import Engines, Region, Segment
from nemo_retriever_dagster.model import Box, Picture, Word
from nemo_retriever_dagster.testing import NimServer
from nemo_retriever_dagster.testing.nim_server import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nemo_retriever_dagster.engines.ports import MergeLevel

__all__ = ["folder"]  # a fixture
SMALL = "nv-embedqa-e5-v5"  # its vectors have 1,024 numbers
CALLED = {"captioner": ".caption(", "embedder": ".embed(", "transcriber": "audio_file.mp3"}
CASES = [(port, number) for port, word in CALLED.items() for number, block in enumerate(BLOCKS) if word in block]


class Senses:
    """Reads one word, hears one sentence, and takes everything on a page for one infographic."""

    name = "senses"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [[Word(text="Seen", box=Box(10, 10, 60, 30))] for _ in pictures]

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        return [Segment(text="Section one.", start_ms=0, end_ms=400)]

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        return [[Region(label="infographic", box=Box(0, 0, one.width, one.height))] for one in pictures]


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
