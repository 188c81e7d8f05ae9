"""Every Python block of the API reference runs as it is written there: only paths and endpoints are substituted."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import pytest

from nemo_retriever_dagster import Ingestor, LazyLoadedList
from nemo_retriever_dagster.modelfiles import find_model_file
from nemo_retriever_dagster.testing import NimServer

HERE = Path(__file__).resolve()
REFERENCE = HERE.parents[2].parent / "shared/mission/python-api-reference.md"
SAMPLE = HERE.parents[2] / "assets/sample"

if not REFERENCE.is_file():
    pytest.skip("the API reference is not beside the repository", allow_module_level=True)

BLOCKS = re.findall(r"^```python\n(.*?)^```", REFERENCE.read_text(), re.DOTALL | re.MULTILINE)
PDFS = (
    "document.pdf",
    "doc1.pdf",
    "doc2.pdf",
    "doc-with-images.pdf",
    "document_with_infographics.pdf",
    "mixed_content.pdf",
)


@pytest.fixture(scope="module")
def nims():
    with NimServer() as server:
        yield server


@pytest.fixture(scope="module")
def small_nims():
    """The NIM of nv-embedqa-e5-v5, whose vectors have 1,024 numbers."""
    with NimServer(dimension=1024) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds what the reference's blocks name."""
    for name in PDFS:
        shutil.copy(SAMPLE / ("travel-policy.pdf" if "2" in name else "bearings.pdf"), tmp_path / name)
    (tmp_path / "large").mkdir()
    for name in ("bearings.pdf", "travel-policy.pdf"):
        shutil.copy(SAMPLE / name, tmp_path / "large" / name)
    shutil.copy(SAMPLE / "about-this-folder.md", tmp_path / "doc1.md")
    shutil.copy(SAMPLE / "expenses.html", tmp_path / "doc2.html")
    shutil.copy(SAMPLE / "warranty.docx", tmp_path / "report.docx")
    shutil.copy(SAMPLE / "launch-plan.pptx", tmp_path / "presentation.pptx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NRD_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def substituted(block: str, folder: Path, nims: NimServer) -> str:
    """Put this machine's paths and endpoints where the reference has its own."""
    code = re.sub(r"from nemo_retriever\.client(\.interface)? import", "from nemo_retriever_dagster import", block)
    code = re.sub(r'"/?path/(?:to/)?(?:large_dataset/)?([^"]+)"', rf'"{folder}/\1"', code)
    code = code.replace(f"{folder}/*.pdf", f"{folder}/large/*.pdf").replace("large_dataset/", f"{folder}/large/")
    code = code.replace("file:///workspace/data", f"file://{folder}/workspace/data")
    code = code.replace("https://integrate.api.nvidia.com/v1/chat/completions", nims.url("captioner"))
    code = code.replace("https://integrate.api.nvidia.com/v1", nims.url("embedder").removesuffix("/embeddings"))
    return code.replace('"meta-llama/Llama-3.2-1B"', f'"{tokenizer()}"')


def tokenizer() -> Path:
    """A tokenizer on this disk in the place of one behind a key on a hub."""
    return find_model_file("tokenizer.json")


def audio(folder: Path) -> None:
    found = HERE.parents[2].parent / "shared/corpora/dev/files/sample_10s.mp3"
    shutil.copy(found, folder / "audio_file.mp3")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number: int, folder: Path, nims: NimServer, small_nims: NimServer) -> None:
    block = BLOCKS[number]
    nims = small_nims if "nv-embedqa-e5-v5" in block else nims
    if "render_as_pdf" in block and shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed: apt-get install libreoffice-writer-nogui libreoffice-impress-nogui")
    if "audio_file.mp3" in block:
        audio(folder)
    world = {"Ingestor": Ingestor, "client": object(), "ingestor": Ingestor().files(str(folder / "bearings.pdf"))}
    shutil.copy(SAMPLE / "bearings.pdf", folder / "bearings.pdf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(substituted(block, folder, nims), f"block {number}", "exec"), world)
    _finished(block, world)


def _finished(block: str, world: dict) -> None:
    """A block that only prepares is taken to its end; what it left must be the reference's kind of thing."""
    results = world.get("results", world.get("result"))
    left = world["ingestor"]
    if results is None:
        results = left.ingest() if isinstance(left, Ingestor) else left
    assert isinstance(results, list)
    assert results
    for document in results:
        assert isinstance(document, LazyLoadedList if "save_to_disk" in block else list)
        if isinstance(document, list):
            assert all({"document_type", "metadata"} == set(element) for element in document)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) > 20
