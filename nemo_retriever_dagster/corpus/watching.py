"""How far the stages of a run are, for who waits at a terminal; a run of Dagster's own has its log and stays silent."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.progress import progress
from nemo_retriever_dagster.work import Result, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nemo_retriever_dagster.errors import Stage
    from nemo_retriever_dagster.runner import Runner

_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)


@contextmanager
def watched(*, shown: bool = True) -> Iterator[None]:
    """Have runs that are executed in this process, within the block, show their progress, or not."""
    token = _WATCHED.set(shown)
    try:
        yield
    finally:
        _WATCHED.reset(token)


def all_through(runner: Runner, begun: Sequence[Result], stages: Sequence[Stage]) -> list[Result]:
    """Take results through ``stages`` and wait, showing how many are, where somebody watches."""
    going = [isinstance(result, Work) for result in begun]
    one = len(stages) == 1
    busy = None if one else runner.busy
    with progress(sum(going), shown=_WATCHED.get(), stage=stages[0] if one else "", busy=busy) as observe:

        async def see(position: int, result: Result) -> None:
            if observe is not None and going[position]:
                observe(result)

        return portal.run(runner.all_through(begun, stages, see))
