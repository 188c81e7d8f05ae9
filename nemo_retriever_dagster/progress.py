"""Progress of a batch: a bar on a terminal, a line every ten seconds elsewhere, silence when asked."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from nemo_retriever_dagster.work import Result

_LINE_SECONDS = 10.0
_WIDEST = max(map(len, Stage))


@contextmanager
def progress(
    total: int,
    *,
    shown: bool,
    stage: str = "",
    busy: Mapping[str, int] | None = None,
    console: Console | None = None,
    every: float = _LINE_SECONDS,
) -> Iterator[Callable[[Result], None] | None]:
    """Hand out a function to call with each finished document; None when nothing is to be shown.

    ``stage`` is the one that all are at; else ``busy`` is looked at whenever something is shown: how many documents are
    at which stage. ``every`` is in seconds.
    """
    if not shown or not total:
        yield None
        return
    from rich.console import Console

    console = console or Console(file=sys.stderr)
    count = _Count(total, busy or {}, stage)
    with _bar(count, console) if console.is_terminal else _lines(count, console, every) as observe:
        yield observe


@contextmanager
def _bar(count: _Count, console: Console) -> Iterator[Callable[[Result], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(f"[bold]{count.stage or 'documents':<{_WIDEST}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=300) as bar:
        task = bar.add_task("ingest", total=count.total, count=count)

        def observe(result: Result) -> None:
            count.add(result)
            bar.advance(task)

        yield observe


@contextmanager
def _lines(count: _Count, console: Console, every: float) -> Iterator[Callable[[Result], None]]:
    started, ended = time.monotonic(), threading.Event()

    def say() -> None:
        left = ""
        if count.done:
            left = f", about {(time.monotonic() - started) / count.done * (count.total - count.done):.0f} s left"
        stage = f"{count.stage}: " if count.stage else ""
        console.print(f"{stage}{count.done}/{count.total} documents, {count}{left}", highlight=False)

    def keep_saying() -> None:
        while not ended.wait(every):
            say()

    thread = threading.Thread(target=keep_saying, name="nemo-retriever-progress", daemon=True)
    thread.start()
    try:
        yield count.add
    finally:
        ended.set()
        thread.join()
        say()


class _Count:
    """What has been seen so far; as text: pages, failures, and how many documents are at which stage."""

    def __init__(self, total: int, busy: Mapping[str, int], stage: str) -> None:
        self.total, self.busy, self.stage = total, busy, stage
        self.done = self.pages = self.failed = 0

    def add(self, result: Result) -> None:
        self.done += 1
        if isinstance(result, Failure):
            self.failed += 1
        else:
            self.pages += result.counts.get("pages", 0)

    def __str__(self) -> str:
        at = ", ".join(f"{number} at {stage}" for stage, number in dict(self.busy).items() if number)
        return f"{self.pages} pages, {self.failed} failed" + (f" ({at})" if at else "")
