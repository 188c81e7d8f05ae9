"""Progress of a batch: a bar on a terminal, a line every ten seconds elsewhere, silence when asked."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from nemo_retriever_dagster.work import Result

_LINE_SECONDS = 10.0


@contextmanager
def progress(total: int, *, shown: bool, console: Console | None = None) -> Iterator[Callable[[Result], None] | None]:
    """Hand out a function to call with each finished document; None when nothing is to be shown."""
    if not shown or not total:
        yield None
        return
    from rich.console import Console

    console = console or Console(file=sys.stderr)
    with _bar(total, console) if console.is_terminal else _lines(total, console) as observe:
        yield observe


@contextmanager
def _bar(total: int, console: Console) -> Iterator[Callable[[Result], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("[bold]documents"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pages]} pages, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=300) as bar:
        task = bar.add_task("ingest", total=total, pages=0, failed=0)
        count = _Count()

        def observe(result: Result) -> None:
            count.add(result)
            bar.update(task, advance=1, pages=count.pages, failed=count.failed)

        yield observe


@contextmanager
def _lines(total: int, console: Console) -> Iterator[Callable[[Result], None]]:
    count = _Count()
    started = last = time.monotonic()

    def observe(result: Result) -> None:
        nonlocal last
        count.add(result)
        now = time.monotonic()
        if now - last < _LINE_SECONDS and count.done < total:
            return
        last = now
        left = (now - started) / count.done * (total - count.done)
        console.print(
            f"{count.done}/{total} documents, {count.pages} pages, {count.failed} failed, about {left:.0f} s left",
            highlight=False,
        )

    yield observe


class _Count:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.done = self.pages = self.failed = 0

    def add(self, result: Result) -> None:
        self.done += 1
        if isinstance(result, Failure):
            self.failed += 1
        else:
            self.pages += result.counts.get("pages", 0)
