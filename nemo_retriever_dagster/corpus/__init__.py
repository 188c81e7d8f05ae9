"""Everything that knows Dagster: the asset, its ops, partitions, checks, sensor, schedule, resources, component."""

from nemo_retriever_dagster.corpus.component import DocumentCorpusComponent
from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
from nemo_retriever_dagster.corpus.materialize import DocumentOutcome, materialize_documents
from nemo_retriever_dagster.corpus.resources import EnginesResource, MilvusResource, NimResource, StateResource

__all__ = [
    "DocumentCorpus",
    "DocumentCorpusComponent",
    "DocumentOutcome",
    "EnginesResource",
    "MilvusResource",
    "NimResource",
    "StateResource",
    "materialize_documents",
]
