"""How much of a NIM's capacity does a run use? Requests a second over capacity / latency, call to result.

Starts a `NimServer` in a process of its own, with a fixed latency and capacity, and lets an `Ingestor` and a Dagster
run (one ranged run, an instance on disk) take documents through captions, or through embeddings. Run it:
``python benchmarks/saturation.py`` (options: ``--help``). The aims are 0.95 and 0.85 of the whole run.

Both shares of a line divide the NIM's requests by what it could have answered: in the whole run (with starting the
parser processes, extraction before the first request, and results or materializations after the last), and between its
first request and its last answer. Server, client and parsers share this machine's cores: at a short latency these are
the limit, not the clients. ``--latency 2`` asks for a few requests a second, which two idle cores bear easily.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import dagster as dg
from PIL import Image

from nemo_retriever_dagster import (
    DocumentCorpus,
    EnginesResource,
    Ingestor,
    NimResource,
    Settings,
    StateResource,
    materialize_documents,
)
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE
from nemo_retriever_dagster.engines.local import local_engines
from nemo_retriever_dagster.engines.nim import nim_engines
from nemo_retriever_dagster.testing.nim_server import STATS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EXPORT = re.compile(r"export (\w+)=(\S+)")
_BATCH, _DIMENSIONS = 32, 384
_WAYS = ("ingestor", "dagster")
_PORTS = {"caption": "captioner", "embed": "embedder"}


@contextlib.contextmanager
def served(latency: float, capacity: int) -> Iterator[dict[str, str]]:
    """Run a server; yield its URLs by environment variable."""
    command = [sys.executable, "-m", "nemo_retriever_dagster.testing.nim_server", "--simple", "--first-port", "0"]
    command += ["--latency", str(latency), "--capacity", str(capacity)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            urls: dict[str, str] = {}
            while "RERANKER_NIM_ENDPOINT" not in urls and (match := _EXPORT.match(process.stdout.readline())):
                urls[match[1]] = match[2]
            yield urls
        finally:
            process.kill()  # it holds nothing, and Dagster passes an ignored interrupt on as an ignored SIGTERM


def stats(url: str) -> dict[str, Any]:
    """Ask the server how many calls it got, how many were in flight at most, and over how many seconds."""
    root = url[: url.index("/v1")]
    with urllib.request.urlopen(root + STATS) as reply:
        return dict(json.load(reply))


def page(number: int, pictures: int) -> str:
    """Return a web page with ``pictures`` embedded pictures, each of its own."""
    parts = [f"<h1>Document {number}</h1>"]
    for i in range(pictures):
        image = Image.effect_noise((480, 360), 20 + i).convert("RGB")
        out = io.BytesIO()
        image.save(out, "JPEG", quality=60)
        parts.append(f'<p>Figure {i}</p><img src="data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}">')
    return f"<html><body>{''.join(parts)}</body></html>"


def text(number: int, passages: int) -> str:
    """Return paragraphs of about a chunk each."""
    words = "of a document about animals and machines that live and work together in towns by the sea or in the hills"
    return "\n\n".join(f"Passage {i} of document {number} {words}, say {number * i} of them." for i in range(passages))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is measured, on which documents, against which address."""

    task: str
    folder: Path
    url: str
    capacity: int

    def pipeline(self, **options: Any) -> Ingestor:
        """Return the ingestor of the task, without an upload: only the NIM is waited for."""
        if self.task == "caption":
            return Ingestor(**options).extract().caption()
        return Ingestor(**options).extract().split(chunk_size=40, chunk_overlap=0).embed()

    def nim(self) -> NimResource:
        """Return the NIM's resource, with as many requests in flight as the NIM works on."""
        dimensions = _DIMENSIONS if self.task == "embed" else 0
        return NimResource(urls=self.url, concurrency=self.capacity, timeout=600, deadline=1200, dimensions=dimensions)

    def with_ingestor(self) -> int:
        """Take the documents through an `Ingestor`; return how many there are in the end."""
        engines = nim_engines({_PORTS[self.task]: self.nim().endpoint()}, local_engines())
        settings = Settings(state_dir=self.folder / "ingestor")
        ingestor = self.pipeline(engines=engines, settings=settings).files(str(self.folder / "documents" / "*"))
        return len(ingestor.ingest())

    def with_dagster(self) -> int:
        """Take the documents through one ranged run; return how many were materialized."""
        pipeline, source = self.pipeline(), self.folder / "documents"
        corpus = DocumentCorpus(name="saturation", source=source, pipeline=pipeline, batch_size=10_000)
        nim = self.nim()
        engines = EnginesResource(captioner=nim) if self.task == "caption" else EnginesResource(embedder=nim)
        resources = {STATE: StateResource(state_dir=str(self.folder / "dagster")), ENGINES: engines}
        (self.folder / "home").mkdir(exist_ok=True)
        with dg.DagsterInstance.local_temp(str(self.folder / "home")) as instance:
            found = materialize_documents(corpus, instance=instance, resources=resources, log_level="ERROR")
        return sum(outcome.succeeded for outcome in found.values())


def written(folder: Path, task: str, documents: int, requests: int) -> None:
    """Write the documents, each with pictures or passages for ``requests`` requests (0: three passages)."""
    (folder / "documents").mkdir()
    for number in range(documents):
        if task == "caption":
            (folder / "documents" / f"{number:05}.html").write_text(page(number, requests))
        else:
            (folder / "documents" / f"{number:05}.txt").write_text(text(number, _BATCH * requests or 3))


def measured(name: str, run: Callable[[], int], url: str, ideal: float, documents: int) -> None:
    """Run once and print the line."""
    begun = time.monotonic()
    done = run()
    seconds = time.monotonic() - begun
    told = stats(url)
    assert done == documents, f"{done} of {documents} documents got through"
    calls, window = told["calls"], told["seconds"]
    before = told["began"] - begun
    after = seconds - before - window
    click.echo(
        f"{name:17} {calls / seconds / ideal:.3f} of {ideal:g}/s in the whole run of {seconds:.1f} s, "
        f"{calls / window / ideal:.3f} while called; {calls} requests of {told['items'] / calls:.1f} items, "
        f"in flight at most {told['peak']}; {before:.1f} s before the first, {after:.1f} s after the last"
    )


@click.command()
@click.option("--latency", default=2.0, show_default=True, help="Seconds a request takes.")
@click.option("--capacity", default=8, show_default=True, help="Requests the NIM works on, and that are in flight.")
@click.option("--documents", default=200, show_default=True, help="Documents of a run.")
@click.option("--requests", default=6, show_default=True, help="Requests a document, about; 0: three passages each.")
@click.option("--task", "tasks", multiple=True, type=click.Choice(list(_PORTS)), default=list(_PORTS))
@click.option(
    "--way", "ways", multiple=True, type=click.Choice(["ingestor", "dagster"]), default=["ingestor", "dagster"]
)
def main(
    *, latency: float, capacity: int, documents: int, requests: int, tasks: tuple[str, ...], ways: tuple[str, ...]
) -> None:
    """Print the share of the capacity that was used, for captions and for embeddings."""
    ideal = capacity / latency
    for task in tasks:
        with tempfile.TemporaryDirectory() as place:
            written(Path(place), task, documents, requests)
            for way in ways:
                with served(latency, capacity) as urls:
                    url = urls[VARIABLES[_PORTS[task]]]
                    scene = Scene(task=task, folder=Path(place), url=url, capacity=capacity)
                    run = scene.with_ingestor if way == "ingestor" else scene.with_dagster
                    measured(f"{task} {way}", run, url, ideal, documents)


if __name__ == "__main__":
    main()
