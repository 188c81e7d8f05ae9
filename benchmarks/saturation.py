"""How much of a NIM's capacity do the clients use? Achieved requests a second over capacity / latency.

Starts a `NimServer` in a process of its own, with a fixed latency and capacity, and calls it with as many documents at
once as a run does. Run it: ``python benchmarks/saturation.py`` (options: ``--help``). The aim is 0.95.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import click
from PIL import Image

from nemo_retriever_dagster.engines.nim import NimCaptioner, NimEmbedder, NimEndpoint
from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput
from nemo_retriever_dagster.model import Picture
from nemo_retriever_dagster.testing.nim_server import STATS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_EXPORT = re.compile(r"export (\w+)=(\S+)")


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
            process.send_signal(signal.SIGINT)


def stats(url: str) -> dict[str, Any]:
    """Ask the server how many calls it got and how many were in flight at most."""
    root = url[: url.index("/v1")]
    with urllib.request.urlopen(root + STATS) as reply:
        return dict(json.load(reply))


def picture() -> Picture:
    """Return a page-sized picture as a caption stage sends it."""
    image = Image.effect_noise((640, 480), 20).convert("RGB")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return Picture(data=out.getvalue(), width=640, height=480, media_type="image/jpeg")


async def captions(url: str, capacity: int, count: int) -> float:
    """Caption ``count`` pictures, as many at once as there are; return the seconds it took."""
    captioner, shown = NimCaptioner(NimEndpoint(urls=url, concurrency=capacity)), picture()
    return await timed(lambda: captioner.caption(CaptionRequest(picture=shown)), count, captioner.aclose)


async def embeddings(url: str, capacity: int, count: int) -> float:
    """Embed ``count`` batches of passages, four batches a document; return the seconds it took."""
    embedder = NimEmbedder(NimEndpoint(urls=url, concurrency=capacity))
    document = [EmbedInput(text=f"Passage {i} of a document about animals and machines. " * 8) for i in range(4 * 32)]
    return await timed(lambda: embedder.embed(document), count // 4, embedder.aclose)


async def timed(call: Callable[[], Awaitable[Any]], count: int, close: Callable[[], Awaitable[None]]) -> float:
    """Make ``count`` calls at once, after one to warm up; return the seconds."""
    await call()
    begun = time.monotonic()
    await asyncio.gather(*(call() for _ in range(count)))
    seconds = time.monotonic() - begun
    await close()
    return seconds


@click.command()
@click.option("--latency", default=0.2, show_default=True, help="Seconds a request takes.")
@click.option("--capacity", default=8, show_default=True, help="Requests the NIM works on at a time.")
@click.option("--count", default=400, show_default=True, help="Requests a measurement.")
def main(*, latency: float, capacity: int, count: int) -> None:
    """Print the share of the capacity that was used, for captions and for embeddings."""
    ideal = capacity / latency
    for name, variable, measure in (
        ("caption", "VLM_CAPTION_ENDPOINT", captions),
        ("embed", "EMBEDDING_NIM_ENDPOINT", embeddings),
    ):
        with served(latency, capacity) as urls:
            seconds = asyncio.run(measure(urls[variable], capacity, count))
            peak = stats(urls[variable])["peak"]
        rate = count / seconds
        print(f"{name:8} {rate:7.1f} of {ideal:.1f} requests/s: {rate / ideal:.3f}; in flight {peak} of {capacity}")


if __name__ == "__main__":
    main()
