"""The default set: light to make, complete, and honest about what is missing."""

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_retriever_dagster.engines.local import RapidOcr, TesseractOcr, local_engines, local_ocr
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.equip import engines_for
from nemo_retriever_dagster.errors import InvalidOptionError, MissingDependencyError, SourceNotFoundError
from nemo_retriever_dagster.modelfiles import cache_folder, find_model_file
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.settings import Settings


def test_the_default_set():
    engines = local_engines()
    assert {port: engine.name for port, engine in engines.all().items()} == {
        "embedder": "local/all-MiniLM-L6-v2",
        "ocr": "local/rapidocr-PP-OCRv6-small",
        "captioner": "local/captions",
        "transcriber": "local/pocketsphinx-en-us",
    }
    asyncio.run(engines.aclose())


def test_making_them_imports_nothing_heavy():
    code = (
        "import sys; from nemo_retriever_dagster.engines.local import local_engines; local_engines(ocr='auto')\n"
        "heavy = ('torch', 'onnx', 'onnxruntime', 'rapidocr', 'cv2', 'pocketsphinx', 'PIL', 'tokenizers')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_ocr_engine_is_chosen_by_name(monkeypatch):
    assert local_ocr("tesseract", languages="eng+deu").name == "local/tesseract-eng+deu"
    with pytest.raises(InvalidOptionError, match="rapidocr, tesseract or auto"):
        local_ocr("easyocr")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/tesseract")
    assert local_ocr("auto").name.startswith("local/tesseract")
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert local_ocr("auto").name.startswith("local/rapidocr")


@pytest.mark.parametrize("port", ["ocr", "transcriber"])
def test_a_missing_extra_says_how_to_install_it(port, monkeypatch):
    find = importlib.util.find_spec
    absent = {"rapidocr", "pocketsphinx"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in absent else find(name, *rest))
    engine = local_engines().all()[port]
    with pytest.raises(MissingDependencyError, match="pip install"):
        asyncio.run(engine.check())


@pytest.mark.parametrize("module", ["onnxruntime", "onnx", "safetensors.numpy"])
def test_the_embedder_without_its_extra_says_how_to_install_it(module, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)
    engine = local_engines().embedder
    with pytest.raises(MissingDependencyError, match=r"nemo-retriever-dagster\[local\]"):
        asyncio.run(engine.embed([EmbedInput(text="x")]))


def test_the_surroundings_choose_the_ocr_engine_and_where_models_lie(tmp_path):
    engines = engines_for(Pipeline(), Settings(ocr_engine="tesseract", models_dir=tmp_path))
    assert isinstance(engines.ocr, TesseractOcr)
    with pytest.raises(SourceNotFoundError, match=re.escape(str(tmp_path))):
        asyncio.run(engines.embedder.check())
    assert isinstance(engines_for(Pipeline(), Settings(ocr_engine="rapidocr")).ocr, RapidOcr)


def test_an_engine_tells_nobody_what_it_runs_on(tmp_path):
    """onnxruntime keeps what it would send to its maker in the cache folder, beside the number it gave this machine."""
    code = (
        "import asyncio; from nemo_retriever_dagster.engines.local import MiniLmEmbedder as E\n"
        "from nemo_retriever_dagster.engines.ports import EmbedInput\n"
        "asyncio.run(E().embed([EmbedInput(text='a word')]))"
    )
    # Not the environment of these tests: that of a CI service keeps it still.
    surroundings = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=surroundings, check=True)
    assert [path.name for path in (tmp_path / ".cache").iterdir()] == ["nemo-retriever-dagster"]


def test_an_account_without_a_home_finds_the_model(monkeypatch):
    """A container runs under whatever number it is given; nothing says where the home of that is."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert find_model_file("tokenizer.json").is_file()
    assert cache_folder() == Path("/.cache/nemo-retriever-dagster")
