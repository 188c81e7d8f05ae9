"""Resident memory of processes, in MiB (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 2**20


def resident(process: int | str = "self") -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def resident_below() -> float:
    """Return the resident memory of all processes below this one in MiB."""
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = [int(number) for number in task.read_text().split()]
            total += sum(map(resident, children))
            waiting += children
    return total
