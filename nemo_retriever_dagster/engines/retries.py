"""When to try again: one decision, made from numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nemo_retriever_dagster.errors import RetrieverError


class AttemptFailedError(Exception):
    """One attempt failed: what that means, and whether another may do better."""

    def __init__(self, error: RetrieverError, *, again: bool, down: bool = False, wait: float | None = None) -> None:
        """Keep the ``error`` to raise in the end; ``down`` counts against the server, ``wait`` is what it asked for."""
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.down = down
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often, how long, with what waits; seconds."""

    attempts: int = 5
    deadline: float = 300.0
    backoff: float = 0.5
    backoff_cap: float = 30.0
    draw: Callable[[], float] = field(default=random.random, repr=False)
    """A number in [0, 1): the jitter."""

    def wait(self, attempt: int, elapsed: float, asked: float | None = None) -> float | None:
        """Return the seconds to wait after failed attempt number ``attempt`` (from 1), or None to give up.

        The wait is random between 0 and a bound that doubles (so that many clients do not come back at once); where the
        server ``asked`` for a time, it is that time and up to a tenth more.
        """
        if attempt >= self.attempts:
            return None
        wait = self.backoff_cap if asked is None else min(asked, self.backoff_cap)
        wait = wait * (1 + self.draw() / 10) if asked is not None else self._jittered(attempt)
        return wait if elapsed + wait < self.deadline else None

    def _jittered(self, attempt: int) -> float:
        # 2.0 ** 1000 is a float, 2 ** 1100 times a float is an overflow.
        return self.draw() * min(self.backoff * 2.0 ** min(attempt - 1, 60), self.backoff_cap)


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for (a number, or an HTTP date); None if it says nothing."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)
