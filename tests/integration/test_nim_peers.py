"""NVIDIA's own clients against the `NimServer`: it takes what they send, and they understand what it answers.

They need packages of their own (nv-ingest-api, tritonclient[grpc], opencv-python-headless, scikit-learn ...), so they
run in another Python: this one if it has them, or the one that NV_INGEST_PYTHON names.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.ports import Engines, ParsedBlock
from nemo_retriever_dagster.model import Box, Picture, Word
from nemo_retriever_dagster.testing import NimServer
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

PEER = Path(__file__).with_name("nim_peer.py")
WHOLE = "from nv_ingest_api.internal.primitives.nim.model_interface import ocr, vlm, yolox"


class Reader:
    name = "reader"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [[Word(text="Hammer 3.00", box=Box(10, 20, 60, 40), confidence=0.9)] for _ in pictures]

    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        return [ParsedBlock(label="Title", text="# Title", box=Box(0, 0, picture.width / 2, picture.height / 2))]


def python_with_clients() -> str:
    for python in (os.environ.get("NV_INGEST_PYTHON", ""), sys.executable):
        if python and subprocess.run([python, "-c", WHOLE], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("nv-ingest-api is not installed (NV_INGEST_PYTHON names a Python that has it)")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    python = python_with_clients()
    image = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(image).rectangle((20, 30, 179, 69), fill="navy")
    png = io.BytesIO()
    image.save(png, "PNG")
    reader = Reader()
    with NimServer(Engines(ocr=reader, page_parser=reader)) as server:
        urls = {port: endpoint.targets[0] for port, endpoint in server.endpoints().items()}
        command = [python, str(PEER), json.dumps(urls)]
        run = subprocess.run(command, input=png.getvalue(), capture_output=True, check=False, timeout=240)
        assert run.returncode == 0, run.stderr.decode()[-2000:]
        assert {call.status for call in server.calls} == {200}
    line = next(line for line in run.stdout.decode().splitlines() if line.startswith("FOUND "))
    answer: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    return answer


INK = [20, 30, 180, 70]


@pytest.mark.parametrize(
    ("port", "label"),
    [("page_elements", "paragraph"), ("graphic_elements", "chart_title"), ("table_structure", "cell")],
)
def test_detectors(found: dict[str, Any], port: str, label: str) -> None:
    assert len(found[port]) == 2
    for picture in found[port]:
        (box,) = picture.pop(label)
        assert box[:4] == pytest.approx(INK, abs=0.01)
        assert not any(picture.values())


def test_ocr(found: dict[str, Any]) -> None:
    ((boxes, texts, scores),) = found["ocr"]
    assert (texts, scores) == (["Hammer 3.00"], [0.9])
    assert boxes == [[[10, 20], [60, 20], [60, 40], [10, 40]]]


def test_captions(found: dict[str, Any]) -> None:
    assert found["captioner"][0].startswith("A picture of 200 by 100 pixels")


def test_page_parser(found: dict[str, Any]) -> None:
    ((block,),) = found["page_parser"]
    assert (block["type"], block["text"]) == ("Title", "# Title")
    assert block["bbox"] == pytest.approx({"xmin": 0, "ymin": 0, "xmax": 0.5, "ymax": 0.5})


@pytest.mark.parametrize("key", ["embedder", "embedder_client"])
def test_embeddings(found: dict[str, Any], key: str) -> None:
    import asyncio

    from nemo_retriever_dagster.engines.ports import EmbedInput

    expected = asyncio.run(HashEmbedder().embed([EmbedInput(text="a quick fox"), EmbedInput(text="a dog")]))
    assert np.allclose(np.array(found[key]), expected)
