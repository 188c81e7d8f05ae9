"""The reference's caption, embed and audio examples, with NIMs behind them."""

from __future__ import annotations

import math
import wave
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from senses import Senses

from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.ingestor import Ingestor
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "nvapi-canary-of-this-test"
E5 = "nvidia/nv-embedqa-e5-v5"
VLM = "nvidia/llama-3.1-nemotron-nano-vl-8b-v1"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NimServer]:
    monkeypatch.chdir(tmp_path)
    senses = Senses("Section one.", "The end.")
    with NimServer(
        Engines(ocr=senses, transcriber=senses), api_key=KEY, models={"embedder": E5, "captioner": VLM}, dimension=1024
    ) as running:
        monkeypatch.setenv("NVIDIA_API_KEY", KEY)
        monkeypatch.setenv("OCR_HTTP_ENDPOINT", running.url("ocr"))
        monkeypatch.setenv("AUDIO_GRPC_ENDPOINT", running.url("transcriber"))
        yield running


def picture(path: Path) -> str:
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).rectangle((50, 50, 300, 200), fill="red")
    image.save(path)
    return str(path)


def speech(path: Path) -> str:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        tone = (int(9000 * math.sin(i / 7)) for i in range(16000))
        sound.writeframes(b"".join(value.to_bytes(2, "little", signed=True) for value in tone))
    return str(path)


def captioned(server: NimServer, path: Path, **options: Any) -> list[dict[str, Any]]:
    ingestor = (
        Ingestor()
        .files(picture(path / "a.png"))
        .extract(extract_images=True)
        .caption(endpoint_url=server.url("captioner"), model_name=VLM, api_key=KEY, **options)
    )
    (document,) = ingestor.ingest()
    return [element["metadata"] for element in document if element["document_type"] == "image"]


def test_caption_example(server: NimServer, tmp_path: Path) -> None:
    (image,) = captioned(server, tmp_path, prompt="Caption the content of this image:", reasoning=True)
    assert image["image_metadata"]["caption"].startswith("A picture of 400 by 300 pixels")
    assert "think" not in image["image_metadata"]["caption"]


def test_embed_example(server: NimServer, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("The quick brown fox. " * 40)
    base = server.url("embedder").removesuffix("/embeddings")
    ingestor = Ingestor().files(str(tmp_path / "b.txt")).extract().embed(endpoint_url=base, model_name=E5, api_key=KEY)
    (document,) = ingestor.ingest()
    assert {len(element["metadata"]["embedding"]) for element in document} == {1024}


def test_audio_example(server: NimServer, tmp_path: Path) -> None:
    ingestor = Ingestor().files(speech(tmp_path / "c.wav"))
    ingestor = ingestor.extract(
        document_type="wav",
        extract_text=True,
        extract_tables=False,
        extract_charts=False,
        extract_images=False,
        extract_infographics=False,
    )
    (document,) = ingestor.ingest()
    (element,) = document
    assert element["metadata"]["audio_metadata"]["audio_transcript"] == "Section one. The end."
    assert server.count("transcriber") == 1


def test_audio_goes_where_its_parameters_say(server: NimServer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("AUDIO_GRPC_ENDPOINT")
    monkeypatch.delenv("NVIDIA_API_KEY")
    params = {"http_endpoint": server.url("transcriber"), "auth_token": KEY, "segment_audio": False}
    ingestor = Ingestor().files(speech(tmp_path / "c.wav")).extract(extract_audio_params=params)
    ((element,),) = ingestor.ingest()
    assert element["metadata"]["audio_metadata"]["audio_transcript"] == "Section one. The end."
    assert server.count("transcriber") == 1


def test_picture_that_is_refused_is_one_failure_in_the_servers_words(server: NimServer, tmp_path: Path) -> None:
    server.inject(Fault(kind=FaultKind.REJECTED, port="captioner", times=0))
    ingestor = (
        Ingestor()
        .files(picture(tmp_path / "a.png"))
        .extract(extract_images=True)
        .caption(endpoint_url=server.url("captioner"), model_name=VLM, api_key=KEY)
    )
    results, failures = ingestor.ingest(return_failures=True)
    assert list(results) == []
    (failure,) = failures
    assert "The image cannot be decoded." in str(failure)
    assert KEY not in repr(failure)
