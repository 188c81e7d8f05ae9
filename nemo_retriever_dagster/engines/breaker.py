"""A circuit breaker: stops calls to a server that is down, and lets one through now and then to see if it is back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Closed until ``after`` failures in a row; then open for ``pause`` seconds, then one probe at a time.

    Each failed probe doubles the pause, up to ``longest``. Every `admit` that returned True must be followed by one of
    `succeeded`, `failed`, `withdrawn`.
    """

    after: int = 5
    pause: float = 5.0
    longest: float = 30.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    openings: int = 0
    """How often it opened since the last success; 2 or more means that a probe failed too."""
    _open_until: float = 0.0
    _probing: bool = field(default=False)

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
        return left or (min(self.pause, 0.05) if self._probing else 0.0)

    def admit(self) -> bool:
        """Whether a call may be made now; the first one after a pause is the probe."""
        if self.opens_in() > 0:
            return False
        self._probing = self.is_open
        return True

    def succeeded(self) -> None:
        """Close."""
        self.failures = self.openings = 0
        self._probing = False

    def failed(self) -> None:
        """Count a failure; open at the limit, or at once if it was the probe."""
        self.failures += 1
        if self._probing or (not self.is_open and self.failures >= self.after):
            self.openings += 1
            self._open_until = self.clock() + min(self.pause * 2 ** (self.openings - 1), self.longest)
        self._probing = False

    def withdrawn(self) -> None:
        """Forget a call that was cancelled before it told anything."""
        self._probing = False
