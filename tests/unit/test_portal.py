"""The package's event loop: where it runs, and where it does not yet."""

from __future__ import annotations

import os
import signal

import pytest

from nemo_retriever_dagster import portal


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
