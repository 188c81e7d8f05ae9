"""The shape of a collection: what is created, and whether one that exists has that shape.

Field names, JSON layout, metrics and index names are those that the NeMo Retriever library's own search reads. The
primary key differs on purpose: a stable string instead of an automatic number, so that writing again replaces.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb.milvus_rows import MAX_DOCUMENT, MAX_GENERATION, MAX_ID, MAX_TEXT

if TYPE_CHECKING:
    from pymilvus import CollectionSchema
    from pymilvus.milvus_client.index import IndexParams

    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.vdb.contract import CollectionSpec

_MAX_DIMENSION = 32_768
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
_HNSW: dict[str, Any] = {"M": 64, "efConstruction": 512}
_CAGRA: dict[str, Any] = {
    "intermediate_graph_degree": 128,
    "graph_degree": 100,
    "build_algo": "NN_DESCENT",
    "cache_dataset_on_device": "true",
    "adapt_for_cpu": "false",
}
_DEFAULTS: dict[str, dict[str, Any]] = {"HNSW": _HNSW, "GPU_CAGRA": _CAGRA}
_SPELLING = {"m": "M", "ef_construction": "efConstruction"}
WAY_OUT = (
    "Use vdb_upload(reindex=True) or nrd reindex to build a new one beside it and switch when it is complete, another "
    "collection_name, or recreate=True to drop what is there (docs/retrieval.md)."
)


def check_spec(spec: CollectionSpec, *, sparse_possible: bool, where: str) -> None:
    """Raise `InvalidOptionError` for a name, dimension or sparse field that Milvus at ``where`` cannot have."""
    if not _NAME.match(spec.name):
        raise InvalidOptionError(
            f"{spec.name!r} is not a collection name.",
            hint="Use letters, digits and underscores, at most 255, the first not a digit.",
        )
    if not 1 < spec.dimension <= _MAX_DIMENSION:
        raise InvalidOptionError(f"A collection cannot have dimension {spec.dimension} (2 to {_MAX_DIMENSION}).")
    if spec.sparse and not sparse_possible:
        raise InvalidOptionError(
            f"{where} has no full-text (BM25) search, so sparse=True is impossible.",
            hint="Use a Milvus server of version 2.5 or later, or Milvus Lite, or sparse=False.",
        )


def schema(spec: CollectionSpec, *, lite: bool) -> CollectionSchema:
    """Return the fields of a new collection."""
    from pymilvus import DataType, Function, FunctionType, MilvusClient

    made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    made.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=MAX_ID)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=spec.dimension)
    made.add_field("source", DataType.JSON)
    made.add_field("content_metadata", DataType.JSON)
    made.add_field("document", DataType.VARCHAR, max_length=MAX_DOCUMENT)
    made.add_field("generation", DataType.VARCHAR, max_length=MAX_GENERATION)
    if not spec.sparse:
        made.add_field("text", DataType.VARCHAR, max_length=MAX_TEXT)
        return made
    # Milvus Lite has no English analyzer (stemming, stop words): its standard one splits words and lower-cases them.
    analyzer = {"tokenizer": "standard"} if lite else {"type": "english"}
    made.add_field(
        "text",
        DataType.VARCHAR,
        max_length=MAX_TEXT,
        enable_analyzer=True,
        analyzer_params=analyzer,
        enable_match=True,
    )
    made.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    made.add_function(
        Function(
            name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=["sparse"]
        )
    )
    return made


def index(spec: CollectionSpec, *, lite: bool) -> IndexParams:
    """Return the indexes of a new collection: FLAT on Milvus Lite, HNSW or GPU_CAGRA on a server, and sparse."""
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    given = {_SPELLING.get(name, name): value for name, value in spec.index.items()}
    kind = str(given.pop("index_type", "")) or ("FLAT" if lite else "GPU_CAGRA" if spec.gpu_index else "HNSW")
    defaults = _DEFAULTS.get(kind, {})
    others = (set(_HNSW) | set(_CAGRA)) - set(defaults)  # the reference's call names the parameters of both kinds
    chosen = {**defaults, **{name: value for name, value in given.items() if name not in others}}
    params.add_index("vector", index_name="dense_index", index_type=kind, metric_type=spec.metric, params=chosen)
    if spec.sparse:
        params.add_index("sparse", index_name="sparse_index", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    return params


def dimension(found: dict[str, type_json]) -> int:
    """Return the length of the described collection's vectors; raise `InvalidOptionError` where it has none."""
    for field in found["fields"]:
        if field["name"] == "vector" and "dim" in field["params"]:
            return int(field["params"]["dim"])
    raise InvalidOptionError(
        f"The collection {found['collection_name']!r} has no field 'vector' (another program made it).",
        hint="Only collections whose vectors are in a field of that name can be searched.",
    )


def check_shape(found: dict[str, type_json], metric: str, spec: CollectionSpec) -> None:
    """Raise `InvalidOptionError` unless the described collection can hold rows of ``spec``."""
    fields = {field["name"]: field for field in found["fields"]}
    problem = _foreign(found, fields) or _other_dimension(fields, spec) or _other_search(fields, metric, spec)
    if problem:
        raise InvalidOptionError(f"The collection {spec.name!r} exists and {problem}.", hint=WAY_OUT)


def _foreign(found: dict[str, type_json], fields: dict[str, type_json]) -> str:
    from pymilvus import DataType

    key = fields.get("pk")
    if key is None or found.get("auto_id") or key["type"] != DataType.VARCHAR:
        return "its primary key is not the stable string this package writes (another program made it)"
    missing = sorted({"vector", "source", "content_metadata", "document", "generation", "text"} - set(fields))
    return f"has no field {', '.join(missing)} (another program made it)" if missing else ""


def _other_dimension(fields: dict[str, type_json], spec: CollectionSpec) -> str:
    dimension = int(fields["vector"]["params"]["dim"])
    if dimension == spec.dimension:
        return ""
    return f"holds vectors of dimension {dimension}, but the embedding model makes {spec.dimension}"


def _other_search(fields: dict[str, type_json], metric: str, spec: CollectionSpec) -> str:
    if spec.sparse and "sparse" not in fields:
        return "has no sparse field, but sparse=True was asked for"
    if metric and metric != spec.metric:
        return f"measures distance by {metric}, but {spec.metric} was asked for"
    return ""
