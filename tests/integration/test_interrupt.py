"""Ctrl-C in the middle of an ingest: it stops, leaves no process and no lease, and the next run goes on from there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

COUNT = 30
SCRIPT = """
import asyncio, json, os, signal, sys
from pathlib import Path
from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.testing import HashEmbedder

signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal: what runs behind a shell ignores it
root, slow = Path(sys.argv[1]), float(sys.argv[2])

class Slow(HashEmbedder):
    calls = 0

    async def embed(self, inputs, **options):
        Slow.calls += 1
        if Slow.calls == 3:
            of_threads = Path(f"/proc/{os.getpid()}/task").glob("*/children")
            children = [child for one in of_threads for child in one.read_text().split()]
            (root / "in the middle").write_text(json.dumps(children))
        await asyncio.sleep(slow if Slow.calls > 3 else 0)
        return await super().embed(inputs, **options)

chain = Ingestor(engines=Engines(embedder=Slow(64)), settings=Settings(state_dir=root / "state"), workers=1)
chain.files(str(root / "documents")).extract().embed()
chain.vdb_upload(collection_name="c", milvus_uri=str(root / "milvus.db"))
results = chain.ingest(concurrency_limit=2)
print(json.dumps([len(results), Slow.calls]))
"""


def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    for n in range(COUNT):
        (tmp_path / f"documents/{n:02}.txt").write_text(f"Document {n}.")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    sign = tmp_path / "in the middle"
    with subprocess.Popen([*command, "600"], stderr=subprocess.PIPE, text=True) as running, ExitStack() as stack:
        stack.callback(running.kill)  # does nothing once it has ended
        while not (sign.exists() and sign.stat().st_size):
            assert running.poll() is None
            time.sleep(0.05)
        children = json.loads(sign.read_text())
        assert children
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "never retrieved" not in errors
    assert not [child for child in children if Path(f"/proc/{child}").exists()], "the parser processes are gone"

    again = subprocess.run([*command, "0"], capture_output=True, text=True, check=True, timeout=200)
    done, calls = json.loads(again.stdout)
    assert done == COUNT
    assert calls <= COUNT - 2, "what was embedded before is not embedded again"
