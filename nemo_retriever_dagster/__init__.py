"""Keep a Milvus index for RAG in step with a changing set of documents, as partitioned Dagster assets.

Two doors: `DocumentCorpus` is the Dagster asset, `Ingestor` the chainable Python API; `Retriever` asks what they wrote.
Names are loaded when they are first used, so that a program without Dagster does not wait for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_retriever_dagster.batch import IngestError
    from nemo_retriever_dagster.corpus import (
        DocumentCorpus,
        DocumentCorpusComponent,
        DocumentOutcome,
        EnginesResource,
        MilvusResource,
        NimResource,
        StateResource,
        materialize_documents,
    )
    from nemo_retriever_dagster.errors import RetrieverError
    from nemo_retriever_dagster.hits import Hit
    from nemo_retriever_dagster.ingestor import Ingestor, IngestWarning
    from nemo_retriever_dagster.limits import Limits
    from nemo_retriever_dagster.model import Document, Failure, Receipt
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.results import LazyLoadedList
    from nemo_retriever_dagster.retriever import Retriever
    from nemo_retriever_dagster.settings import Settings

__all__ = [
    "Document",
    "DocumentCorpus",
    "DocumentCorpusComponent",
    "DocumentOutcome",
    "EnginesResource",
    "Failure",
    "Hit",
    "IngestError",
    "IngestWarning",
    "Ingestor",
    "LazyLoadedList",
    "Limits",
    "MilvusResource",
    "NimResource",
    "Pipeline",
    "Receipt",
    "Retriever",
    "RetrieverError",
    "Settings",
    "StateResource",
    "materialize_documents",
]

_HOMES = {
    "Document": "model",
    "DocumentCorpus": "corpus",
    "DocumentCorpusComponent": "corpus",
    "DocumentOutcome": "corpus",
    "EnginesResource": "corpus",
    "Failure": "model",
    "Hit": "hits",
    "IngestError": "batch",
    "IngestWarning": "ingestor",
    "Ingestor": "ingestor",
    "LazyLoadedList": "results",
    "Limits": "limits",
    "MilvusResource": "corpus",
    "NimResource": "corpus",
    "Pipeline": "pipeline",
    "Receipt": "model",
    "Retriever": "retriever",
    "RetrieverError": "errors",
    "Settings": "settings",
    "StateResource": "corpus",
    "materialize_documents": "corpus",
}


def __getattr__(name: str) -> object:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
