"""Gathers the token lists of concurrent callers into batches of like length for one session on one thread."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Tokens = list[int]

_WINDOW = 128  # inputs sorted together: enough to fill batches, few enough that a new caller soon has its turn
_FULL = 2048  # padded tokens of a batch: more brings no speed
_ENOUGH = 128  # padded tokens from which the session is as fast as with a full batch (measured)
_STRETCH = 1.1  # such a batch takes no input longer than this times its shortest: padding costs as much as text


@dataclass(slots=True, kw_only=True)
class _Job:
    """One caller's inputs; the future is done when the last of them is."""

    future: Future[np.ndarray]
    rows: list[np.ndarray | None]
    missing: int

    def put(self, position: int, vector: np.ndarray) -> None:
        self.rows[position] = vector
        self.missing -= 1
        if not self.missing:
            with contextlib.suppress(InvalidStateError):  # the caller was cancelled meanwhile
                self.future.set_result(np.stack([row for row in self.rows if row is not None]))

    def fail(self, error: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    job: _Job
    position: int
    tokens: Tokens


class BatchQueue:
    """Feeds ``encode`` (token lists of one batch -> one vector each) from any number of threads and event loops."""

    def __init__(self, encode: Callable[[Sequence[Tokens]], np.ndarray]) -> None:
        """Start nothing yet; the thread comes with the first input."""
        self._encode = encode
        self._pending: deque[_Item] = deque()
        self._urgent: deque[_Item] = deque()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")

    def submit(self, inputs: Sequence[Tokens], *, first: bool = False) -> Future[np.ndarray]:
        """Queue at least one input; the future gives float32 of (inputs, width). ``first`` goes before what waits."""
        job = _Job(future=Future(), rows=[None] * len(inputs), missing=len(inputs))
        order = sorted(range(len(inputs)), key=lambda position: len(inputs[position]))
        items = [_Item(job=job, position=position, tokens=inputs[position]) for position in order]
        with self._lock:
            (self._urgent if first else self._pending).extend(items)
        self._thread.submit(self._drain)
        return job.future

    def call(self, function: Callable[[], None]) -> Future[None]:
        """Run ``function`` on the queue's thread, after what was queued before."""
        return self._thread.submit(function)

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        self._thread.shutdown(wait=True)

    def _drain(self) -> None:
        self._drain_urgent()
        while window := self._take(self._pending):
            for batch in batches(window):
                self._run(batch)
                self._drain_urgent()

    def _drain_urgent(self) -> None:
        while window := self._take(self._urgent):
            for batch in batches(window):
                self._run(batch)

    def _take(self, source: deque[_Item]) -> list[_Item]:
        """Remove the oldest inputs of ``source``."""
        with self._lock:
            return [source.popleft() for _ in range(min(len(source), _WINDOW))]

    def _run(self, batch: list[_Item]) -> None:
        """Encode what somebody still waits for."""
        batch = [item for item in batch if not item.job.future.done()]
        if not batch:
            return
        try:
            vectors = self._encode([item.tokens for item in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers wait for it
            for item in batch:
                item.job.fail(error)
            return
        for item, vector in zip(batch, vectors, strict=True):
            item.job.put(item.position, vector)


def batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Cut ``items``, shortest first, into batches with little padding that are large enough to be worth a run."""
    batch: list[_Item] = []
    for item in sorted(items, key=lambda item: len(item.tokens)):
        if batch and _complete([len(one.tokens) for one in batch], len(item.tokens)):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _complete(lengths: Sequence[int], following: int) -> bool:
    """Whether a batch is better run than given an input of length ``following``; ``lengths`` are sorted."""
    if (len(lengths) + 1) * following > _FULL:
        return True
    return len(lengths) * lengths[-1] >= _ENOUGH and following > lengths[0] * _STRETCH
