"""Everything that knows Dagster: the asset, its ops, partitions, sensor, schedule, resources."""

from nemo_retriever_dagster.corpus.document_corpus import DocumentCorpus
from nemo_retriever_dagster.corpus.materialize import DocumentOutcome, materialize_documents
from nemo_retriever_dagster.corpus.resources import EnginesResource, MilvusResource, StateResource

__all__ = [
    "DocumentCorpus",
    "DocumentOutcome",
    "EnginesResource",
    "MilvusResource",
    "StateResource",
    "materialize_documents",
]
