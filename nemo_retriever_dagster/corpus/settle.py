"""The last op: one materialization for every good document, one observation for every failed one, and a failed run if
any failed. That makes the partition grid exact: the bad documents are red, the others green, and only the bad ones are
retried.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.corpus import metadata
from nemo_retriever_dagster.corpus.resources import RESOURCES
from nemo_retriever_dagster.corpus.runs import materialized_by
from nemo_retriever_dagster.corpus.session import Plant, session, settings_of, start, through
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Failure, Receipt
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.work import Result, Work, result_from_json

RESUMED = "dagster/is_resume_retry"
_SHOWN = 20


@dataclass(slots=True)
class Verdict:
    """What becomes of each of a run's partitions."""

    good: dict[str, Work] = field(default_factory=dict)
    carried: dict[str, dg.AssetMaterialization] = field(default_factory=dict)
    bad: dict[str, Failure] = field(default_factory=dict)


def judge(
    partitions: Sequence[str], results: Mapping[str, Result], former: Mapping[str, dg.AssetMaterialization], run_id: str
) -> Verdict:
    """Sort a run's partitions: a success of the parent run stands, whatever else is known of the document."""
    verdict = Verdict()
    for key in partitions:
        result = results.get(key)
        if key in former:
            verdict.carried[key] = former[key]
        elif isinstance(result, Work):
            verdict.good[key] = result
        else:
            verdict.bad[key] = result if result is not None else _not_reached(key, run_id)
    return verdict


def _not_reached(key: str, run_id: str) -> Failure:
    result = start({}, key, run_id)
    assert isinstance(result, Failure)
    return replace(result, cause="The run ended before it came to this document.", hint="Run the partition again.")


def settle_op(plant: Plant, key: dg.AssetKey, *, preview: bool) -> dg.OpDefinition:
    """Return the op that records what became of each document."""

    @dg.op(
        name=f"{plant.name}__settle",
        description="Which documents are in the collection now, and which are not and why.",
        required_resource_keys=set(RESOURCES),
        ins={"documents": dg.In(list)},
        out=dg.Out(dg.Nothing, is_required=False),
    )
    def settle(context: dg.OpExecutionContext, documents: list[dict[str, Any]]) -> Iterator[dg.Output[None]]:
        # A generator, so that Dagster yields no output, and with it no materialization, of its own accord.
        results = {_key(result): result for result in map(result_from_json, documents)}
        former = materialized_by(context.instance, context.run.parent_run_id, key)
        with session(plant, context, plant.pipeline.stages() if _resumed(context) else ()) as runner:
            if _resumed(context):
                results |= _again(context, plant, runner, results, former)
            verdict = judge(context.partition_keys, results, former, context.run_id)
            events = [metadata.success(key, work, _made(runner, work, preview), _names(plant)) for work in verdict.good.values()]
        events += [metadata.carried_over(event, context.run.parent_run_id or "") for event in verdict.carried.values()]
        failures = _note(plant, settings_of(context).ledger, verdict, context.run_id)
        if not failures:
            yield dg.Output(None)  # before the events: the latest event of a partition is the one that counts
        for event in events:
            context.log_event(event)
        for failure in failures:
            context.log_event(metadata.observation(key, failure))
        if failures:
            raise _failed(failures, len(context.partition_keys))

    return settle


def _key(result: Result) -> str:
    return result.document if isinstance(result, Failure) else result.document.key


def _names(plant: Plant) -> list[str]:
    return list(collections(plant.pipeline.upload))


def _resumed(context: dg.OpExecutionContext) -> bool:
    return context.run.tags.get(RESUMED) == "true"


def _again(
    context: dg.OpExecutionContext,
    plant: Plant,
    runner: Runner,
    results: Mapping[str, Result],
    former: Mapping[str, object],
) -> dict[str, Result]:
    """Take the failed documents of a re-executed run through the stages they miss; what is done is found done."""
    failed = [key for key, result in results.items() if isinstance(result, Failure) and key not in former]
    with Ledger(settings_of(context).ledger) as ledger:
        again = through(runner, plant.begin(ledger, failed, context.run_id), plant.pipeline.stages())
    context.log.info(f"re-executed: {len(failed)} documents tried again")
    return {_key(result): result for result in again}


def _made(runner: Runner, work: Work, preview: bool) -> Any:  # noqa: FBT001
    return portal.run(runner.made(work)) if preview else None


def _note(plant: Plant, url: str, verdict: Verdict, run_id: str) -> list[Failure]:
    """Write into the ledger what the upload has not: failures, usage, and receipts where nothing is uploaded."""
    with Ledger(url) as ledger:
        for key, work in verdict.good.items():
            if plant.pipeline.upload is None:
                ledger.commit(plant.name, _receipt(work, run_id), version=work.document.version)
            for name, usage in work.usage.items():
                stage, _, engine = name.partition("/")
                ledger.record_usage(plant.name, key, run_id, stage, usage, engine)
        return [ledger.fail(plant.name, failure) for failure in verdict.bad.values()]


def _receipt(work: Work, run_id: str) -> Receipt:
    return Receipt(
        document=work.document.key,
        uri=work.document.uri,
        sha256=work.document.sha256,
        collection="",
        generation=work.generation,
        rows=0,
        run_id=run_id,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprints=work.fingerprints,
        counts=work.counts,
        seconds=work.seconds,
    )


def _failed(failures: Sequence[Failure], total: int) -> dg.Failure:
    shown = "\n".join(f"- {failure.message}" for failure in failures[:_SHOWN])
    more = f"\n... and {len(failures) - _SHOWN} more: see the observations." if len(failures) > _SHOWN else ""
    return dg.Failure(
        description=f"{len(failures)} of {total} documents failed, the others are done.\n{shown}{more}",
        metadata={"failed": dg.MetadataValue.json({f.document: metadata.plain(f) for f in failures})},
        allow_retries=False,
    )
