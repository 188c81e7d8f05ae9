"""A circuit breaker: stops calls to a server that is down, and lets one through now and then to see if it is back."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Closed until ``after`` failures in a row; then open for ``pause`` seconds, then one probe at a time.

    Each failed probe doubles the pause, up to ``longest``. Every `admit` that returned a ticket must be followed by one
    of `succeeded`, `failed`, `withdrawn`. The ticket tells the probe from calls of before that end while it is under
    way: those say nothing of the server as it is now.
    """

    after: int = 5
    pause: float = 5.0
    longest: float = 30.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    openings: int = 0
    """How often it opened since the last success; 2 or more means that a probe failed too."""
    _open_until: float = 0.0
    _since: float = 0.0
    """When it opened first since the last success."""
    _tickets: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _probe: int = 0
    """The ticket of the probe that is under way, 0 for none."""

    @property
    def is_open(self) -> bool:
        """Whether calls are being held back."""
        return self.openings > 0

    def opens_in(self) -> float:
        """Return the seconds until a call may be admitted; 0 if one may be now."""
        if not self.is_open:
            return 0.0
        left = max(self._open_until - self.clock(), 0.0)
        # A probe on its way decides for everybody: look again soon.
        return left or (min(self.pause, 0.05) if self._probe else 0.0)

    def down_for(self) -> float:
        """Return the seconds since it opened first, once a probe has failed too; 0 before."""
        return self.clock() - self._since if self.openings > 1 else 0.0

    def admit(self) -> int:
        """Return the ticket of a call that may be made now, or 0; the first one after a pause is the probe."""
        if self.opens_in() > 0:
            return 0
        ticket = next(self._tickets)
        self._probe = ticket if self.is_open else 0
        return ticket

    def succeeded(self) -> None:
        """Close: whichever call it was, the server answers."""
        self.failures = self.openings = self._probe = 0

    def failed(self, ticket: int) -> None:
        """Count a failure; open at the limit, or at once if it was the probe."""
        self.failures += 1
        if ticket == self._probe or (not self.is_open and self.failures >= self.after):
            self.openings += 1
            now = self.clock()
            self._since = self._since if self.openings > 1 else now
            self._open_until = now + min(self.pause * 2 ** (self.openings - 1), self.longest)
        self.withdrawn(ticket)

    def withdrawn(self, ticket: int) -> None:
        """Forget a call that was cancelled before it told anything."""
        if ticket == self._probe:
            self._probe = 0
