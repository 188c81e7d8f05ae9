"""A corpus by YAML: the component that ``dg scaffold defs`` makes and a ``defs.yaml`` describes."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster.components.scaffold.scaffold import Scaffolder, ScaffoldRequest, scaffold_with
from pydantic import BaseModel, Field

from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
from nemo_retriever_dagster.errors import UnknownOptionError
from nemo_retriever_dagster.ingestor import Ingestor

_STEPS = ("extract", "dedup", "filter", "split", "caption", "store", "embed", "vdb_upload")
_DEFAULT: dict[str, dict[str, Any]] = {"extract": {}, "split": {}, "embed": {}}


class CorpusScaffolder(Scaffolder[BaseModel]):
    """Writes a ``defs.yaml`` that runs as it is once ``source`` names a folder."""

    def scaffold(self, request: ScaffoldRequest[BaseModel]) -> None:
        """Write it; the corpus is named after the folder it is scaffolded in."""
        name = request.target_path.name.lower().replace("-", "_")
        pipeline = {**_DEFAULT, "vdb_upload": {"collection_name": name, "milvus_uri": "milvus.db"}}
        dg.scaffold_component(request, {"name": name, "source": "documents", "pipeline": pipeline})


@scaffold_with(CorpusScaffolder)
class DocumentCorpusComponent(dg.Component, dg.Model, dg.Resolvable):
    """A set of documents as a partitioned asset, each document a partition, its chunks searchable in Milvus.

    ``pipeline`` maps the steps of `Ingestor` (extract, split, caption, embed, vdb_upload ...) to their options; a step
    that is left out is not taken. Everything else is as in `DocumentCorpus`.
    """

    name: str = Field(description="A letter, then lower-case letters, digits, underscores.")
    source: str | list[str] = Field(description="Path, glob, folder or fsspec URI, or a list of them.")
    pipeline: dict[str, dict[str, Any]] = Field(default_factory=lambda: dict(_DEFAULT))
    storage_options: dict[str, Any] = Field(default_factory=dict)
    batch_size: int = 200
    cron: str = "0 3 * * *"
    sensor_interval: int = 60
    max_deletions: int | None = None
    key_prefix: str | list[str] = Field(default_factory=list, description="Before the name in the asset's key.")
    description: str | None = None
    project_resources: list[str] = Field(
        default_factory=list, description="Keys of the resources (nrd_state ...) that the project defines itself."
    )
    in_process: bool = Field(
        default=True, description="Make the in-process executor the project's default; False where it has its own."
    )

    @property
    def corpus(self) -> DocumentCorpus:
        """The corpus that the YAML describes; `UnknownOptionError` names a step or option that does not exist."""
        return DocumentCorpus(
            name=self.name,
            source=self.source,
            pipeline=self._ingestor(),
            storage_options=self.storage_options,
            batch_size=self.batch_size,
            cron=self.cron,
            sensor_interval=self.sensor_interval,
            max_deletions=self.max_deletions,
            key_prefix=self.key_prefix,
            description=self.description,
        )

    def _ingestor(self) -> Ingestor:
        ingestor = Ingestor()
        for step, options in self.pipeline.items():
            if step not in _STEPS:
                raise UnknownOptionError.of("pipeline", step, _STEPS)
            ingestor = getattr(ingestor, step)(**options)
        return ingestor

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of the corpus; paths are relative to where Dagster runs."""
        del context
        executor = dg.in_process_executor if self.in_process else None
        return self.corpus.definitions(project_resources=self.project_resources, executor=executor)
