"""Limits that bound what one document may cost; nothing a document declares about itself is believed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields

from nemo_retriever_dagster.errors import InvalidOptionError, LimitExceededError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds for one document. Sizes in bytes, times in seconds.

    The defaults admit every ordinary document and keep a parser process below 512 MB.
    """

    file_bytes: int = 512 * 2**20
    pages: int = 20_000
    page_pixels: int = 40_000_000
    archive_members: int = 10_000
    archive_bytes: int = 512 * 2**20
    member_bytes: int = 128 * 2**20
    xml_nodes: int = 1_000_000
    depth: int = 500
    text_chars: int = 50_000_000
    elements: int = 200_000
    idle_seconds: float = 60.0
    total_seconds: float = 3600.0
    worker_bytes: int = 2 * 2**30

    def __post_init__(self) -> None:
        """Raise `InvalidOptionError` for a limit that is no number above 0: every document would fail by it."""
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not isinstance(value, (int, float)) or not value > 0:
                raise InvalidOptionError(f"The limit {limit.name} is {value!r}.", hint="Give a number above 0.")


@dataclass(slots=True)
class Budget:
    """Counts what one document has used; the first overdraft raises `LimitExceededError`."""

    limits: Limits
    spent: dict[str, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def spend(self, limit: str, amount: int = 1, *, page: int = 0) -> None:
        """Add ``amount`` to what was used of the field ``limit`` of `Limits`."""
        used = self.spent.get(limit, 0) + amount
        self.spent[limit] = used
        self.check(limit, used, page=page)

    def check(self, limit: str, value: float, *, page: int = 0) -> None:
        """Raise if ``value`` is above the field ``limit`` of `Limits`."""
        allowed = getattr(self.limits, limit)
        if value > allowed:
            message = f"The document needs {limit} of at least {value:,}; the limit is {allowed:,}."
            raise LimitExceededError(message, page=page)
