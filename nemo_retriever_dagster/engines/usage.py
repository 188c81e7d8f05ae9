"""Counts what engines consume, without passing a counter through every call."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator


class Meter:
    """Sums usage by engine name."""

    def __init__(self) -> None:
        """Start at zero."""
        self.totals: dict[str, Usage] = {}

    def add(self, engine: str, usage: Usage) -> None:
        """Add ``usage`` to the engine's total."""
        self.totals[engine] = self.totals.get(engine, Usage()) + usage


_meter: ContextVar[Meter | None] = ContextVar("usage_meter", default=None)


@contextlib.contextmanager
def metered() -> Iterator[Meter]:
    """Collect the usage of every engine call made inside, in this task and the tasks it starts."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def record(engine: str, usage: Usage) -> None:
    """Report usage to the innermost `metered` block, if there is one."""
    meter = _meter.get()
    if meter is not None:
        meter.add(engine, usage)
