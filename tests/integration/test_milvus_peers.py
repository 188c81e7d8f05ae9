"""Other people's search code reads our rows: the snippets of docs/retrieval.md, run as written in environments of their own.

The environments (each needs another pymilvus) are made in the cache folder at the first run, or named by
``NRD_LANGCHAIN_VENV``, ``NRD_LLAMA_INDEX_VENV`` and ``NRD_NV_INGEST_VENV``.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nemo_retriever_dagster.testing.store_suite import records
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

pytestmark = pytest.mark.slow
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "retrieval.md"
LANGCHAIN = ["langchain-milvus==0.4.0", "milvus-lite"]
LLAMA_INDEX = ["llama-index-vector-stores-milvus==1.2.0", "pymilvus==2.6.17", "milvus-lite"]
NV_INGEST = [
    "nv-ingest-client[milvus]==26.3.0",
    "nv-ingest-api==26.3.0",
    "tritonclient<2.58",
    "setuptools<81",
    "milvus-lite",
    "minio",  # and the next two: older pip does not know pymilvus[bulk_writer] by this name
    "azure-storage-blob",
    "pyarrow",
]


def environment(variable: str, packages: list[str]) -> str:
    """Return the Python of an environment that has ``packages``; skip where they do not install."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nemo_retriever_dagster"
    folder = Path(os.environ.get(variable) or cache / variable.lower())
    python = folder / "bin" / "python"
    if os.environ.get(variable) or (folder / ".complete").exists():
        return str(python)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *packages], check=True, capture_output=True, timeout=1200
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"cannot install {packages[0]}: {error}")
    (folder / ".complete").touch()
    return str(python)


def snippet(word: str) -> str:
    """Return the first Python block of the document that mentions ``word``."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return next(block for block in blocks if word in block)


def run(python: str, path: Path, *code: str) -> list[str]:
    source = "\n".join(code).replace('"milvus.db"', repr(str(path))).replace("dim=384", "dim=4")
    done = subprocess.run([python, "-c", source], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "milvus.db"
    with MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="handbook", dimension=4))
        store.upsert("handbook", records(6))
        store.flush("handbook")
    return path


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An embedding service that answers [3, 0, 0, 1] to everything: our row 3."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            data = [{"object": "embedding", "index": at, "embedding": [3.0, 0, 0, 1]} for at in range(len(asked))]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            body = json.dumps({"object": "list", "model": "m", "data": data, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_original_search_finds_our_rows(ours: Path, endpoint: str) -> None:
    python = environment("NRD_NV_INGEST_VENV", NV_INGEST)
    told = (
        "import json; print(json.dumps([[hit['entity']['text'], hit['entity']['source'], "
        "hit['entity']['content_metadata'], hit['distance']] for hit in hits[0]]))"
    )
    found = run(python, ours, f"endpoint, model = {endpoint!r}, 'm'", snippet("nvingest_retrieval"), told)
    assert found[0] == ["row number 3", {"source_name": "doc"}, {"page_number": 3}, 0.0]
    assert len(found) == 5


def test_langchain_finds_our_rows(ours: Path) -> None:
    python = environment("NRD_LANGCHAIN_VENV", LANGCHAIN)
    given = (
        "from langchain_core.embeddings import Embeddings\n"
        "class Fixed(Embeddings):\n"
        "    def embed_query(self, text): return [3.0, 0, 0, 1]\n"
        "    def embed_documents(self, texts): return [[3.0, 0, 0, 1] for _ in texts]\n"
        "embeddings = Fixed()"
    )
    told = "import json; print(json.dumps([[one.page_content, one.metadata] for one in documents]))"
    found = run(python, ours, given, snippet("langchain_milvus"), told)
    assert len(found) == 5
    text, metadata = found[0]
    assert text == "row number 3"
    assert (metadata["pk"], metadata["source"], metadata["document"]) == ("doc-0003", {"source_name": "doc"}, "doc")


def test_llama_index_finds_our_rows(ours: Path) -> None:
    python = environment("NRD_LLAMA_INDEX_VENV", LLAMA_INDEX)
    given = (
        "from llama_index.core.base.embeddings.base import BaseEmbedding\n"
        "class Fixed(BaseEmbedding):\n"
        "    def _get_query_embedding(self, query): return [3.0, 0, 0, 1]\n"
        "    async def _aget_query_embedding(self, query): return [3.0, 0, 0, 1]\n"
        "    def _get_text_embedding(self, text): return [3.0, 0, 0, 1]\n"
        "embed_model = Fixed()"
    )
    told = "import json; print(json.dumps([[one.node.text, one.node.metadata] for one in nodes]))"
    found = run(python, ours, given, snippet("llama_index"), told)
    text, metadata = found[0]
    assert text == "row number 3"
    assert metadata["content_metadata"] == {"page_number": 3}
