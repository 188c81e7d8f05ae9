"""A corpus in a folder of its own, with everything it keeps: documents, state, Milvus Lite, a Dagster instance."""

from __future__ import annotations

import collections
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemo_retriever_dagster import (
    DocumentCorpus,
    EnginesResource,
    Ingestor,
    MilvusResource,
    StateResource,
    materialize_documents,
)
from nemo_retriever_dagster.corpus.partitions import RANGE_END, RANGE_START, range_tags
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE, STORE
from nemo_retriever_dagster.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nemo_retriever_dagster import DocumentOutcome, Receipt
    from nemo_retriever_dagster.model import Failure

POLICY = dg.RetryPolicy(max_retries=2, delay=0.05)
EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


class Place:
    """``rows`` False leaves out embedding and upload: for what does not need them.

    ``storage`` is what Dagster's instance is told of where it keeps things; None is SQLite in a folder of its own.
    """

    def __init__(self, root: Path, *, rows: bool = True, storage: dict[str, Any] | None = None, **options: Any) -> None:
        self.root, self.rows, self.options = root, rows, options
        self.source = root / "documents"
        self.source.mkdir(exist_ok=True)
        (root / "home").mkdir(exist_ok=True)
        self.resources: dict[str, Any] = {
            STATE: StateResource(state_dir=str(root / "state")),
            STORE: MilvusResource(uri=str(root / "milvus.db")),
        }
        self.instance = dg.DagsterInstance.local_temp(
            str(root / "home"), overrides={"storage": storage} if storage else None
        )
        self.corpus = self.make()

    def make(self, **split: Any) -> DocumentCorpus:
        pipeline = Ingestor().extract().split(**split)
        if self.rows:
            pipeline = pipeline.embed().vdb_upload(collection_name="notes")
        options = {"retry_policy": POLICY, "workers": 1, **self.options}
        return DocumentCorpus(name="notes", source=self.source, pipeline=pipeline, **options)

    def write(self, **texts: str) -> None:
        """Write ``name="text"`` into name.txt; an empty text is a document that fails."""
        for name, text in texts.items():
            (self.source / f"{name}.txt").write_text(text)

    def keys(self, *names: str) -> list[str]:
        """Return the partition keys of documents, of all without ``names``."""
        found = {Path(document.uri).stem: document.key for document in self.corpus.plant.documents().list()}
        return [found[name] for name in names] if names else list(found.values())

    def run(self, *names: str, corpus: DocumentCorpus | None = None, **more: Any) -> dict[str, DocumentOutcome]:
        """Materialize documents from Python; return the outcomes by name."""
        resources = {**self.resources, **more}
        keys = self.keys(*names) if names else None
        found = materialize_documents(
            corpus or self.corpus, keys, instance=self.instance, resources=resources, log_level="CRITICAL"
        )
        return {Path(outcome.uri).stem: outcome for outcome in found.values()}

    def job(self, keys: Iterable[str], executor: str = "in_process", parent: Any = None) -> dg.DagsterRun:
        """Run the corpus's job over a range of partitions, as a run worker does; return the run."""
        keys = list(keys)
        self.instance.add_dynamic_partitions("notes_documents", keys)
        job = dg.build_reconstructable_job(
            "corpus_place",
            "rebuilt",
            reconstructable_kwargs={"root": str(self.root), "rows": self.rows, "executor": executor},
            reconstructor_working_directory=str(Path(__file__).parent),
        )
        with dg.execute_job(
            job,
            instance=self.instance,
            tags=range_tags("notes", keys),
            reexecution_options=parent,
            raise_on_error=False,
        ) as result:
            run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def statuses(self) -> Mapping[str, int]:
        """Return how many partitions are in which state."""
        keys = self.instance.get_dynamic_partitions("notes_documents")
        found = self.instance.get_status_by_partition(self.corpus.key, keys, self.corpus.partitions_def) or {}
        return collections.Counter(status.value if status else "MISSING" for status in found.values())

    def latest(self, key: str) -> dg.AssetMaterialization:
        wanted = dg.AssetRecordsFilter(self.corpus.key, asset_partitions=[key])
        event = self.instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
        assert event is not None
        return event

    def ledger(self) -> Ledger:
        return Ledger(self.resources[STATE].settings().ledger)

    def receipts(self) -> dict[str, Receipt]:
        with self.ledger() as ledger:
            return {receipt.document: receipt for receipt in ledger.receipts("notes")}

    def failures(self) -> dict[str, Failure]:
        with self.ledger() as ledger:
            return {failure.document: failure for failure in ledger.failures("notes")}


def rebuilt(root: str, *, rows: bool, executor: str) -> dg.JobDefinition:
    """Return the job of the place at ``root``, in whichever process."""
    place = Place(Path(root), rows=rows)
    definitions = place.corpus.definitions(resources=place.resources)
    job = dg.define_asset_job(
        "job",
        dg.AssetSelection.assets("notes").without_checks(),
        executor_def=EXECUTORS[executor],
    )
    return dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("job")


def tick(place: Place) -> Any:
    """Evaluate the sensor once."""
    resources = {STATE: place.resources[STATE]}
    with dg.build_sensor_context(instance=place.instance, resources=resources) as context:
        return place.corpus.sensor.evaluate_tick(context)


def asked(place: Place, requests: Sequence[dg.RunRequest]) -> list[list[str]]:
    """Return the keys that each request takes on."""
    order = list(place.instance.get_dynamic_partitions("notes_documents"))
    spans = [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in requests]
    return [order[order.index(first) : order.index(last) + 1] for first, last in spans]


def reconcile(place: Place, corpus: DocumentCorpus | None = None, *, day: int = 0, engines: Any = None) -> Any:
    """Evaluate the schedule once."""
    when = datetime(2026, 1, 1, 3, tzinfo=UTC) + timedelta(days=day)
    resources = {STATE: place.resources[STATE], ENGINES: engines or EnginesResource()}
    with dg.build_schedule_context(
        instance=place.instance, resources=resources, scheduled_execution_time=when
    ) as context:
        return (corpus or place.corpus).schedule.evaluate_tick(context)


def remove(place: Place, request: dg.RunRequest) -> None:
    assert request.job_name == "notes_remove"
    definitions = place.corpus.definitions(resources=place.resources)
    job = definitions.resolve_job_def("notes_remove")
    assert job.execute_in_process(instance=place.instance, run_config=request.run_config).success
