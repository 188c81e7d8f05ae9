"""The ops of a corpus: ``plan``, one a stage, each taking many documents on and handing small references over."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from nemo_retriever_dagster.corpus.resources import ENGINES, RESOURCES, STATE
from nemo_retriever_dagster.corpus.runs import materialized_by
from nemo_retriever_dagster.corpus.session import Plant, ledger_of, session, through
from nemo_retriever_dagster.errors import Category, Stage
from nemo_retriever_dagster.model import Failure
from nemo_retriever_dagster.work import Result, Work, result_from_json, result_to_json

MADE = "made"
_PASSING = {str(Category.TRANSIENT), str(Category.INFRASTRUCTURE)}


def plan_op(plant: Plant, key: dg.AssetKey) -> dg.OpDefinition:
    """Return the op that says which documents a run takes on: all of its partitions but those its parent got through."""

    @dg.op(
        name=f"{plant.name}__plan",
        description="Which documents this run takes on.",
        required_resource_keys={STATE},
        out={MADE: dg.Out(list)},
    )
    def plan(context: dg.OpExecutionContext) -> list[dict[str, Any]]:
        done = materialized_by(context.instance, context.run.parent_run_id, key)
        todo = [partition for partition in context.partition_keys if partition not in done]
        with ledger_of(context) as ledger:
            begun = plant.begin(ledger, todo, context.run_id)
        context.log.info(f"{len(todo)} documents to do, {len(done)} done by the parent run")
        return [result_to_json(result) for result in begun]

    return plan


def stage_op(plant: Plant, stage: Stage, *, pool: str | None, policy: dg.RetryPolicy) -> dg.OpDefinition:
    """Return the op that takes documents through one stage.

    Documents that failed for a passing reason are tried again under the op's retry policy; what the others got is found
    in the artifacts, so a retry costs them nothing.
    """

    @dg.op(
        name=f"{plant.name}__{stage}",
        description=_DESCRIPTIONS[stage],
        required_resource_keys=set(RESOURCES) if stage is Stage.UPLOAD else {STATE, ENGINES},
        retry_policy=policy,
        pool=pool,
        ins={"documents": dg.In(list)},
        out={MADE: dg.Out(list)},
    )
    def run_stage(context: dg.OpExecutionContext, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        before = [result_from_json(item) for item in documents]
        if not any(isinstance(result, Work) for result in before):
            return documents
        with session(plant, context, [stage]) as runner:
            after = through(runner, before, [stage])
        _report(context, stage, before, after)
        if context.retry_number < policy.max_retries and any(_passing(result) for result in _fresh(before, after)):
            wait = policy.calculate_delay(context.retry_number + 1)
            raise dg.RetryRequested(max_retries=policy.max_retries, seconds_to_wait=wait)
        return [result_to_json(result) for result in after]

    return run_stage


def _passing(result: Result) -> bool:
    return isinstance(result, Failure) and result.category in _PASSING


def _fresh(before: Sequence[Result], after: Sequence[Result]) -> list[Failure]:
    """Return the failures that this op made."""
    pairs = zip(before, after, strict=True)
    return [result for former, result in pairs if isinstance(result, Failure) and isinstance(former, Work)]


def _report(context: dg.OpExecutionContext, stage: Stage, before: Sequence[Result], after: Sequence[Result]) -> None:
    failed = _fresh(before, after)
    reused = sum(isinstance(result, Work) and stage in result.reused for result in after)
    passed = sum(isinstance(result, Work) for result in after)
    context.log.info(f"{stage}: {passed} documents ({reused} found done), {len(failed)} failed")
    for failure in failed:
        context.log.warning(failure.message)


_DESCRIPTIONS = {
    Stage.EXTRACT: "Documents to elements: text, tables, charts, pictures, speech.",
    Stage.SPLIT: "Elements to chunks.",
    Stage.CAPTION: "Pictures to captions.",
    Stage.STORE_IMAGES: "Pictures to the image store.",
    Stage.EMBED: "Chunks to vectors.",
    Stage.UPLOAD: "Rows to the collection: written, counted, swept, counted again, receipted.",
}
