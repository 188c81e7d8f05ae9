"""`DocumentCorpus`: a set of documents as a partitioned Dagster asset, each document a partition."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster.corpus.checks import checks
from nemo_retriever_dagster.corpus.discovery import discovery_sensor, reconcile_schedule, removal_job
from nemo_retriever_dagster.corpus.ops import PLAN, plan_op, stage_op
from nemo_retriever_dagster.corpus.reindex import reindex_job
from nemo_retriever_dagster.corpus.resources import DEFAULTS
from nemo_retriever_dagster.corpus.session import Plant
from nemo_retriever_dagster.corpus.settle import settle_op
from nemo_retriever_dagster.equip import placed
from nemo_retriever_dagster.errors import InvalidOptionError, Stage, UnknownOptionError
from nemo_retriever_dagster.ingestor import Ingestor
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.settings import Settings

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from nemo_retriever_dagster.pipeline import Pipeline

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_POLICY = dg.RetryPolicy(max_retries=2, delay=2.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL)
_POOLS = {Stage.EMBED: "nim-embedder", Stage.CAPTION: "nim-captioner", Stage.UPLOAD: "milvus"}

_noted: ContextVar[list[DocumentCorpus] | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[list[DocumentCorpus]]:
    """Hand out a list that takes up every corpus whose definitions are asked for inside the block.

    Dagster's definitions do not say of which corpus they are; a component makes its corpus out of sight.
    """
    noted: list[DocumentCorpus] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


class DocumentCorpus:
    """A corpus: where its documents are, what is done with them, and the Dagster definitions made of that.

    >>> handbook = DocumentCorpus(
    ...     name="handbook",
    ...     source="docs/**/*",
    ...     pipeline=Ingestor().extract().split(chunk_size=200).embed().vdb_upload(collection_name="handbook"),
    ... )
    >>> defs = handbook.definitions()
    """

    def __init__(
        self,
        *,
        name: str,
        source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        pipeline: Ingestor | Pipeline,
        storage_options: Mapping[str, Any] | None = None,
        batch_size: int = 200,
        concurrency: int = 32,
        workers: int = 0,
        limits: Limits | None = None,
        retry_policy: dg.RetryPolicy = _POLICY,
        pools: Mapping[Stage, str] | None = None,
        key_prefix: str | Sequence[str] = (),
        group_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        sensor_interval: int = 60,
        cron: str = "0 3 * * *",
        runs_per_tick: int = 25,
        max_deletions: int | None = None,
        preview: bool = True,
    ) -> None:
        """Name the corpus (a letter, then letters, digits, underscores), its ``source`` and its ``pipeline``.

        ``source``: a path, glob, folder or fsspec URI, or a list of them; ``storage_options`` go to fsspec.

        Runs: at most ``batch_size`` documents in one, ``concurrency`` of them at once, in ``workers`` parser processes
        (0: one a core), each document within ``limits``. ``retry_policy`` is for a stage whose engine or store is
        down. ``pools``: the Dagster pool of a stage.

        Automation: the sensor looks every ``sensor_interval`` seconds, the schedule at ``cron``; a tick launches at
        most ``runs_per_tick`` runs. Where more than ``max_deletions`` documents vanished at once (None: the larger of
        10 and 20 %), none is removed.

        Asset: ``key_prefix`` before its name, ``group_name``, ``description``, ``tags``. ``preview`` False keeps the
        text of documents out of the event log.

        Raises `InvalidOptionError` for a value that cannot be.
        """
        check_name(name)
        _check_count(1, batch_size=batch_size, concurrency=concurrency)
        _check_count(1, runs_per_tick=runs_per_tick, sensor_interval=sensor_interval)
        _check_count(0, workers=workers, max_deletions=max_deletions)
        given = pipeline.pipeline if isinstance(pipeline, Ingestor) else pipeline
        _refuse_recreate(given)
        self.name = name
        self.pipeline = placed(given, Settings())
        self.batch_size, self.runs_per_tick = batch_size, runs_per_tick
        self.max_deletions = max_deletions
        self.sensor_interval, self.cron = sensor_interval, cron
        self.partitions_def = dg.DynamicPartitionsDefinition(name=f"{name}_documents")
        self.key = dg.AssetKey(name).with_prefix(key_prefix)
        self._policy, self._pools = retry_policy, {**_POOLS, **(pools or {})}
        self._group, self._tags, self.preview = group_name, dict(tags or {}), preview
        self._description = description
        self._resources: dict[str, Any] = dict(DEFAULTS)
        self.plant = Plant(
            name=name,
            source=source,
            storage_options=dict(storage_options or {}),
            pipeline=self.pipeline,
            limits=limits or Limits(),
            workers=workers,
            concurrency=concurrency,
        )

    @cached_property
    def asset(self) -> dg.AssetsDefinition:
        """The graph-backed asset: ``plan``, the pipeline's stages, ``settle``."""
        plan = plan_op(self.plant)
        settle = settle_op(self.plant, preview=self.preview)
        steps = {
            stage: stage_op(self.plant, stage, pool=self._pools.get(stage), policy=self._policy)
            for stage in self.pipeline.stages()
        }

        @dg.graph_asset(
            key=self.key,
            partitions_def=self.partitions_def,
            backfill_policy=dg.BackfillPolicy.multi_run(self.batch_size),
            group_name=self._group or self.name,
            description=self._description or self._promise(),
            tags=self._tags,
            kinds={"milvus", "python"} if self.pipeline.upload else {"python"},
            metadata={"source": self.plant.shown, "stages": ", ".join(self.pipeline.stages())},
        )
        def corpus() -> Any:
            documents = plan.alias(PLAN)()
            for stage, step in steps.items():
                documents = step.alias(str(stage))(documents)
            return settle.alias("settle")(documents)

        return corpus

    def _promise(self) -> str:
        return (
            f"The documents of `{self.plant.shown}`, one partition each. A green partition's rows were counted in the "
            "collection after they were written; a red one carries an observation with stage, cause and next step. "
            "Running again changes nothing and costs nothing; 'failed and missing' runs only what is not there."
        )

    @cached_property
    def job(self) -> Any:
        """The job that materializes partitions of the asset; sensor and schedule launch it."""
        return dg.define_asset_job(
            f"{self.name}_ingest",
            description="Ingests the documents of the partitions that are chosen; what is done is found done.",
            selection=dg.AssetSelection.assets(self.key).without_checks(),
            executor_def=dg.in_process_executor,
        )

    @cached_property
    def checks(self) -> list[dg.AssetChecksDefinition]:
        """The asset checks: ``verify`` (rows against receipts) and ``silent_loss``."""
        return checks(self, pool=self._pools.get(Stage.UPLOAD))

    @cached_property
    def verify_job(self) -> Any:
        """The job that runs the checks over the whole corpus."""
        return dg.define_asset_job(
            f"{self.name}_checks",
            description="Checks the whole corpus: rows against receipts, and documents that lost their content.",
            selection=dg.AssetSelection.checks(*self.checks),
            executor_def=dg.in_process_executor,
        )

    @cached_property
    def removal_job(self) -> dg.JobDefinition:
        """The job that takes vanished documents out of the collection."""
        return removal_job(self)

    @cached_property
    def reindex_job(self) -> dg.JobDefinition:
        """The job that builds new collections beside those that serve, and switches when they are complete."""
        return reindex_job(self)

    @cached_property
    def sensor(self) -> dg.SensorDefinition:
        """The sensor that finds new, changed and vanished documents."""
        return discovery_sensor(self)

    @cached_property
    def schedule(self) -> dg.ScheduleDefinition:
        """The schedule that holds everything against the ledger and runs whatever is not as it should be."""
        return reconcile_schedule(self)

    def resources(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the resources that ``definitions`` was given, defaults for the rest, and ``given`` over them.

        `InvalidOptionError` names one that only the project knows.
        """
        found = {**self._resources, **(given or {})}
        for key in DEFAULTS.keys() - found.keys():
            hint = "Give definitions(resources=...) the same object that the project has under this key."
            raise InvalidOptionError(f"The corpus {self.name} does not know the project's {key}.", hint=hint)
        return found

    def join(self, project: Mapping[str, Any]) -> None:
        """Remember of the ``project``'s resources those that ``definitions`` left to it."""
        self._resources = {**{key: project[key] for key in DEFAULTS if key in project}, **self._resources}

    def definitions(
        self,
        *,
        resources: Mapping[str, Any] | None = None,
        project_resources: Sequence[str] = (),
        executor: dg.ExecutorDefinition | None = dg.in_process_executor,
    ) -> dg.Definitions:
        """Return asset, checks, jobs, sensor, schedule and resources, to be merged with those of others.

        ``resources`` are remembered: `materialize_documents` and ``nrd`` work with them too. The keys in
        ``project_resources`` are left to the project, which defines them itself. ``executor`` is the default of all
        that this is merged with, for runs that the UI launches; None leaves it to the project. The corpus's own jobs
        name theirs.
        """
        for key in project_resources:
            if key not in DEFAULTS:
                raise UnknownOptionError.of("project_resources", key, tuple(DEFAULTS))
        if (noted := _noted.get()) is not None:
            noted.append(self)
        bound = {key: value for key, value in self._resources.items() if key not in project_resources}
        self._resources = {**bound, **(resources or {})}
        return dg.Definitions(
            assets=[self.asset],
            asset_checks=self.checks,
            jobs=[self.job, self.removal_job, self.verify_job, *([self.reindex_job] if self.pipeline.upload else [])],
            sensors=[self.sensor],
            schedules=[self.schedule],
            resources={key: value for key, value in self._resources.items() if key not in project_resources},
            executor=executor,
        )


def check_name(name: str) -> None:
    """Raise `InvalidOptionError` for what cannot name a corpus, its asset, jobs and partitions."""
    if not _NAME.fullmatch(name):
        hint = "Use lower-case letters, digits and underscores, a letter first."
        raise InvalidOptionError(f"{name!r} is no name for a corpus.", hint=hint)


def _check_count(least: int, **given: int | None) -> None:
    for name, value in given.items():
        if value is not None and (not isinstance(value, int) or value < least):
            raise InvalidOptionError(f"{name} is {value!r}.", hint=f"Give a whole number from {least}.")


def _refuse_recreate(pipeline: Pipeline) -> None:
    """Raise if a run would drop the collection or build a new one: it does not take on all partitions."""
    if pipeline.upload is not None and pipeline.upload.recreate:
        hint = "Leave recreate out: a document's rows replace its former ones."
        raise InvalidOptionError("recreate=True would drop the rows of other partitions in every run.", hint=hint)
    if pipeline.upload is not None and pipeline.upload.reindex:
        hint = "Leave reindex out and run `nrd reindex`, or the job that ends in _reindex, when options changed."
        raise InvalidOptionError("reindex=True is for all documents at once; a run has only some.", hint=hint)
