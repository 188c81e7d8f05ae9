"""The ops of a corpus: ``plan``, one a stage, each taking many documents on and handing small references over."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg

from nemo_retriever_dagster.corpus.interim import Interim
from nemo_retriever_dagster.corpus.resources import ENGINES, IO_MANAGER, RESOURCES, STATE
from nemo_retriever_dagster.corpus.runs import materialized_by, standing
from nemo_retriever_dagster.corpus.session import Plant, ledger_of, settings_of, through
from nemo_retriever_dagster.errors import Category, Stage
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.work import Result, Work, result_from_json, result_to_json

PLAN = "plan"
MADE = "made"
_PASSING = {str(Category.TRANSIENT), str(Category.INFRASTRUCTURE)}


def plan_op(plant: Plant) -> dg.OpDefinition:
    """Return the op that says which documents a run takes on.

    They are all of its partitions but those that its parent got through and that are still as the parent left them.
    """

    @dg.op(
        name=f"{plant.name}__plan",
        description="Lists the documents that this run is to do.",
        required_resource_keys={STATE},
        out={MADE: dg.Out(list, io_manager_key=IO_MANAGER)},
    )
    def plan(context: dg.OpExecutionContext) -> list[dict[str, Any]]:
        parents = materialized_by(context.instance, context.run.parent_run_id, context.asset_key)
        with ledger_of(context) as ledger:
            done = standing(parents, ledger.versions(plant.name, list(parents)))
            todo = [partition for partition in context.partition_keys if partition not in done]
            begun = plant.begin(ledger, todo, context.run_id)
        context.log.info("%d documents to do, %d done by the parent run", len(todo), len(done))
        return [result_to_json(result) for result in begun]

    return plan


def stage_op(plant: Plant, stage: Stage, *, pool: str | None, policy: dg.RetryPolicy) -> dg.OpDefinition:
    """Return the op that takes documents through one stage.

    Documents that failed for a passing reason, and no others, are tried again by ``policy``. The op itself has none: of
    an interrupted op that has one, Dagster makes a retry, so that a run that is told to end goes on.
    """

    @dg.op(
        name=f"{plant.name}__{stage}",
        description=_DESCRIPTIONS[stage],
        required_resource_keys=set(RESOURCES) if stage is Stage.UPLOAD else {STATE, ENGINES},
        pool=pool,
        ins={"documents": dg.In(list)},
        out={MADE: dg.Out(list, io_manager_key=IO_MANAGER)},
    )
    def run_stage(context: dg.OpExecutionContext, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        before = [result_from_json(item) for item in documents]
        with _tried_again(context, policy):
            interim = Interim(settings_of(context), context.run_id, stage)
            after = _try(plant, context, stage, before, interim.load() if context.retry_number else None)
            if context.retry_number < policy.max_retries and any(_passing(result) for result in _fresh(before, after)):
                interim.keep(after)
                raise _again(context, policy)
            interim.drop()
        return [result_to_json(result) for result in after]

    return run_stage


@contextmanager
def _tried_again(context: dg.OpExecutionContext, policy: dg.RetryPolicy) -> Iterator[None]:
    """Have an error that is not one document's (the artifacts' store is down, say) tried again by ``policy``."""
    try:
        yield
    except dg.RetryRequested:
        raise
    except Exception as error:
        if context.retry_number >= policy.max_retries:
            raise
        raise _again(context, policy) from error


def _again(context: dg.OpExecutionContext, policy: dg.RetryPolicy) -> dg.RetryRequested:
    wait = policy.calculate_delay(context.retry_number + 1)
    return dg.RetryRequested(max_retries=policy.max_retries, seconds_to_wait=wait)


def _try(
    plant: Plant,
    context: dg.OpExecutionContext,
    stage: Stage,
    before: Sequence[Result],
    former: Sequence[Result] | None,
) -> list[Result]:
    """Take through ``stage`` what has not been, or what failed for a passing reason at the ``former`` try."""
    after = list(before if former is None else former)
    places = [
        i for i, result in enumerate(before) if isinstance(result, Work) and (former is None or _passing(former[i]))
    ]
    if not places:
        return after
    tried = through(plant, context, [before[i] for i in places], [stage])
    for i, result in zip(places, tried, strict=True):
        after[i] = replace(result, attempts=context.retry_number + 1) if isinstance(result, Failure) else result
    _report(context, stage, tried)
    return after


def _passing(result: Result) -> bool:
    return isinstance(result, Failure) and result.category in _PASSING


def _fresh(before: Sequence[Result], after: Sequence[Result]) -> list[Failure]:
    """Return the failures that this op made."""
    pairs = zip(before, after, strict=True)
    return [result for former, result in pairs if isinstance(result, Failure) and isinstance(former, Work)]


def _report(context: dg.OpExecutionContext, stage: Stage, tried: Sequence[Result]) -> None:
    passed = [result for result in tried if isinstance(result, Work)]
    failed = [result for result in tried if isinstance(result, Failure)]
    reused = sum(stage in work.reused for work in passed)
    context.log.info("%s: %d documents (%d found done), %d failed", stage, len(passed), reused, len(failed))
    for failure in failed:
        context.log.warning(failure.message)


_DESCRIPTIONS = {
    Stage.EXTRACT: "Reads the documents: text, tables, charts, pictures, speech.",
    Stage.SPLIT: "Cuts their text into chunks.",
    Stage.CAPTION: "Describes pictures in words.",
    Stage.STORE_IMAGES: "Stores the pictures where readers can fetch them.",
    Stage.EMBED: "Embeds the chunks: a vector each.",
    Stage.UPLOAD: "Writes the rows, counts them, deletes those of former versions, and notes a receipt.",
}
