"""The package's event loop: where it runs, and where it does not yet."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


async def double(number: int) -> int:
    return 2 * number


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12: the process has threads
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    assert portal.run(double(1)) == 2
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # ends it if it hangs
        os._exit(portal.run(double(21)))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert portal.run(double(2)) == 4


def test_the_loop_does_not_wait_for_itself() -> None:
    async def call() -> int:
        return portal.run(double(1))

    with pytest.raises(MisuseError, match="event loop"):
        portal.run(call())

    async def elsewhere() -> int:
        return portal.run(double(1))

    assert asyncio.run(elsewhere()) == 2


class Lock:
    """Notes what happens to it, and in which thread; it lets no `KeyError` out."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = threading.Event()
        self.notes: list[str] = []
        self.threads: set[int] = set()

    def __enter__(self) -> str:
        self.asked.set()
        self.may.wait(20)
        self._note("taken")
        return "key"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is not None:
            self._note(kind.__name__)
        self._note("given back")
        return kind is KeyError

    def _note(self, what: str) -> None:
        self.notes.append(what)
        self.threads.add(threading.get_ident())


@pytest.mark.parametrize(
    ("error", "notes"),
    [
        (None, ["taken", "given back"]),
        (KeyError, ["taken", "KeyError", "given back"]),
        (ZeroDivisionError, ["taken", "ZeroDivisionError", "given back"]),
    ],
)
def test_a_context_is_entered_and_left_in_threads(error: type[Exception] | None, notes: list[str]) -> None:
    lock = Lock()
    lock.may.set()

    async def work() -> None:
        async with portal.entered(lock) as value:
            assert value == "key"
            if error is not None:
                raise error

    if error is ZeroDivisionError:
        with pytest.raises(error):
            asyncio.run(work())
    else:
        asyncio.run(work())
    assert lock.notes == notes
    assert threading.get_ident() not in lock.threads


def test_what_is_cancelled_while_it_enters_keeps_nothing() -> None:
    lock = Lock()

    async def hold() -> None:
        async with portal.entered(lock):
            pytest.fail("it was cancelled")

    async def work() -> None:
        task = asyncio.ensure_future(hold())
        await asyncio.to_thread(lock.asked.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        lock.may.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert lock.notes == ["taken", "given back"]


def test_what_is_cancelled_while_it_fails_to_enter_is_cancelled() -> None:
    may, asked = threading.Event(), threading.Event()

    @contextmanager
    def refused() -> Iterator[None]:
        asked.set()
        may.wait(20)
        raise ZeroDivisionError
        yield

    async def hold() -> None:
        async with portal.entered(refused()):
            pytest.fail("it cannot be entered")

    async def work() -> None:
        task = asyncio.ensure_future(hold())
        await asyncio.to_thread(asked.wait, 20)
        task.cancel()
        await asyncio.sleep(0)
        may.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
