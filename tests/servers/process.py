"""Start a server as a process of its own group, wait until its port answers, and stop all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    port: int,
    log: Path,
    *,
    user: str | None = None,
    gentle: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    patience: int = 30,
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            env={**os.environ, **(environment or {})},
        )
    try:
        _await(process, port, log, patience)
        yield
    finally:
        _stop(process, gentle)


def _await(process: subprocess.Popen[bytes], port: int, log: Path, patience: int) -> None:
    for _ in range(20 * patience):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not serve:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes], gentle: signal.Signals) -> None:
    for word in (gentle, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, word)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return
