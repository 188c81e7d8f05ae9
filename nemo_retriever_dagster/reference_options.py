"""Options as the reference and its original code spell them, turned into those of the tasks.

Three kinds need turning: names that the reference uses for one thing twice, deprecated ones (which warn), and those
that chose between engines of its server and say nothing here. A name that nobody knows is left for the task to refuse.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from nemo_retriever_dagster.audio_params import AudioParams
from nemo_retriever_dagster.errors import InvalidOptionError, MisuseError
from nemo_retriever_dagster.extract.methods import checked_types
from nemo_retriever_dagster.options import Names, Number, checked, expect, make
from nemo_retriever_dagster.stages import check_collections, collections
from nemo_retriever_dagster.vdb.contract import VectorStore

if TYPE_CHECKING:
    from nemo_retriever_dagster.tasks import UploadTask

NOT_NEEDED_TO_CONNECT = (
    "job_queue_id",
    "message_client_allocator",
    "message_client_hostname",
    "message_client_port",
    "message_client_kwargs",
    "msg_counter_id",
    "worker_pool_size",
)
"""Options of the original's constructor that say nothing here: there is no server to connect to."""
NOT_NEEDED_TO_INGEST = (
    "timeout",
    "max_job_retries",
    "verbose",
    "enable_telemetry",
    "show_telemetry",
    "batch_size",
    "job_queue_id",
)
"""Options of its ``ingest()`` that say nothing here."""

_TUNING = ("intermediate_graph_degree", "graph_degree", "m", "ef_construction")
_Params = Mapping[str, Any] | None
_NOT_NEEDED: dict[str, dict[str, Any]] = {
    "extract": {
        "extract_images_params": _Params,
        "extract_tables_method": Literal["yolox", "paddle"] | None,
        "page_image_max_dimension": Number | None,
    },
    "embed": {"filter_errors": bool | None},  # a chunk that cannot be embedded fails its document: none is to filter
    "vdb_upload": {
        "bm25_save_path": str | None,
        "compute_bm25_stats": bool | None,
        "no_wait_index": bool | None,
        "alias": str | None,
    },
}
"""Options that say nothing here, by method, each with its type."""
_RENAMED = {
    "caption": {"caption_prompt": "prompt", "caption_system_prompt": "system_prompt"},
    "dedup": {"prefer_structured": "bbox_dedup_prefer_structured"},
}
_DEPRECATED = {
    "extract": {"paddle_output_format": "table_output_format"},
    "embed": {"text": "embed_text_elements", "tables": "embed_structured_elements"},
}
_SPLIT_PARAMS = ("split_source_types", "hf_access_token")
_SECRETS = {
    "split": ("hf_access_token",),
    "caption": ("api_key",),
    "embed": ("api_key",),
    "vdb_upload": ("password", "access_key", "secret_key"),
}
_NONE_IS_DEFAULT = {
    "caption": ("context_text_max_chars",),
    "embed": (
        "embed_image_elements",
        "embed_audio_elements",
        *(f"{kind}_elements_modality" for kind in ("text", "structured", "image", "audio")),
    ),
    "vdb_upload": ("meta_fields",),
}
_ABSENT = {
    "udf": (
        "sends a function to the original's server, and there is none here",
        "Call the function on what ingest() returns, or on the files before it.",
    ),
    "store_embed": (
        "writes vectors to a bucket of the original's server, and there is none here",
        "Take them from metadata.embedding of what ingest() returns, or keep them by vdb_upload().",
    ),
}
_CUSTOM = ("custom_content_field", "result_target_field")


def translated(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an `Ingestor` method as its task takes them; keys and passwords as `SecretStr`.

    Raises `InvalidOptionError` for one that cannot be honoured and must not be ignored.
    """
    idle = _NOT_NEEDED.get(method, {})
    for name in idle.keys() & options.keys():
        checked(method, name, idle[name], options[name])
    unset = [name for name in _NONE_IS_DEFAULT.get(method, ()) if options.get(name) is None]
    given = {name: value for name, value in options.items() if name not in (*idle, *unset)}
    for old, new in _RENAMED.get(method, {}).items():
        _rename(method, given, old, new)
    for old, new in _DEPRECATED.get(method, {}).items():
        if old in given:
            warnings.warn(f"{method}({old}=...) is {new} now.", DeprecationWarning, stacklevel=3)
            _rename(method, given, old, new)
    more = {"extract": _extract, "split": _split, "embed": _embed, "store": _store, "vdb_upload": _upload}.get(method)
    given = more(given) if more else given
    return {name: _secret(value) if name in _SECRETS.get(method, ()) else value for name, value in given.items()}


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _rename(method: str, given: dict[str, Any], old: str, new: str) -> None:
    if old not in given:
        return
    value = given.pop(old)
    if given.setdefault(new, value) != value:
        raise InvalidOptionError(f"{method}() is given {old} and {new}, and they differ.", hint=f"Give {new} only.")


def _extract(given: dict[str, Any]) -> dict[str, Any]:
    audio = checked("extract", "extract_audio_params", _Params, given.pop("extract_audio_params", None), shown=False)
    if audio:
        audio = {**audio, "auth_token": _secret(audio.get("auth_token"))}
        given["extract_audio_params"] = params = make(AudioParams, "extract(extract_audio_params=...)", audio)
        if params.segment_audio is not None:
            given["segment_audio"] = params.segment_audio
    if given.get("extract_images_method") == "yolox":  # a detector on the original's server did the grouping
        given["extract_images_method"] = "group"
    return given


def _split(given: dict[str, Any]) -> dict[str, Any]:
    params = _params("split", given)
    expect("split(params=...)", params, _SPLIT_PARAMS)
    types = params.pop("split_source_types", given.pop("source_types", None))
    types = checked("split", "split_source_types", Names | None, types)
    source_types = None if types is None else checked_types(types, "split_source_types")
    return {"hf_access_token": None, **params, **given, "source_types": source_types}


def _params(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Take the mapping ``params`` out of the options of a method."""
    return dict(checked(method, "params", _Params, given.pop("params", None), shown=False) or {})


def _embed(given: dict[str, Any]) -> dict[str, Any]:
    if any(given.pop(name, None) is not None for name in _CUSTOM):
        raise InvalidOptionError(
            "embed(custom_content_field=...) embeds what functions of the user's wrote on the original's server.",
            hint="There are none here: leave it out.",
        )
    return given


def _store(given: dict[str, Any]) -> dict[str, Any]:
    if "store_method" in given:
        warnings.warn("store(store_method=...) says nothing: storage_uri names the place.", DeprecationWarning, 4)
        del given["store_method"]
    return {**_params("store", given), **given}


def _upload(given: dict[str, Any]) -> dict[str, Any]:
    tuning = {name: given.pop(name) for name in _TUNING if name in given}
    if tuning:
        given["index_params"] = {**given.get("index_params", {}), **tuning}
    return given


def absent(method: str) -> MisuseError:
    """Return the error that says why there is no such step here, and what to do instead."""
    why, instead = _ABSENT[method]
    return MisuseError(f"{method}() {why}.", hint=instead)


def check_upload(task: UploadTask, vdb_op: object) -> None:
    """Raise `InvalidOptionError` unless ``vdb_op`` is a store, and elements of some kind go into some collection."""
    if vdb_op != "milvus" and not isinstance(vdb_op, VectorStore):
        raise InvalidOptionError(f"vdb_op is {vdb_op!r}.", hint="Give 'milvus' or a VectorStore of your own.")
    check_collections(task.collection_name)
    if not any(collections(task).values()):
        hint = "Name a collection, and leave enable_ on for one of the contents it takes."
        raise InvalidOptionError("vdb_upload() would upload nothing.", hint=hint)
