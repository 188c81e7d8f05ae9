"""Puts together what a pipeline runs with: engines, parsers, artifacts, ledger, vector store, image store."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.commit import Committer
from nemo_retriever_dagster.engines.local import local_engines
from nemo_retriever_dagster.engines.nim import NimEndpoint, nim_engines
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.reading import PAGES_PER_PART
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.images import ImageStore
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.shelf import Shelf
from nemo_retriever_dagster.stages import collections
from nemo_retriever_dagster.vdb.aliases import Beside
from nemo_retriever_dagster.vdb.bulk import Bucket, bulk_load
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore
from nemo_retriever_dagster.workbench import Equipment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from nemo_retriever_dagster.audio_params import AudioParams
    from nemo_retriever_dagster.engines.ports import Embedder, Engines
    from nemo_retriever_dagster.model import Record
    from nemo_retriever_dagster.pipeline import Pipeline
    from nemo_retriever_dagster.settings import Settings
    from nemo_retriever_dagster.source import Buffers, Source
    from nemo_retriever_dagster.tasks import EmbedTask, UploadTask
    from nemo_retriever_dagster.vdb.contract import VectorStore


_log = logging.getLogger(__name__)
_DEFAULT_LIMITS = Limits()
_HOSTED = "https://integrate.api.nvidia.com/v1"
_HOSTED_SPEECH = "https://grpc.nvcf.nvidia.com:443"
_BUCKET = "s3://nemo-retriever/artifacts/store/images"


def engines_for(
    pipeline: Pipeline, settings: Settings, given: Mapping[str, NimEndpoint] = MappingProxyType({})
) -> Engines:
    """Return the local engines, with NIM clients in the places for which an endpoint is named.

    An endpoint named in a task wins over one in the environment, a ``given`` one over both; a model named without an
    endpoint is a hosted one. Raises `InvalidOptionError` for vectors of a length that the local model does not make.
    """
    named = {port: NimEndpoint(**parts) for port, parts in _named(pipeline, settings).items()}
    local = local_engines(models_dir=settings.models_dir, ocr=settings.ocr_engine)
    return nim_engines(_of_length(pipeline.embed, {**named, **given}, local), local)


def _named(pipeline: Pipeline, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what tasks and environment say of each port that has an endpoint."""
    endpoints = settings.endpoints()
    for port, task in (("embedder", pipeline.embed), ("captioner", pipeline.caption)):
        if task is None or not (task.endpoint_url or task.model_name):
            continue
        known = endpoints.get(port, {})
        endpoints[port] = {
            **known,
            "urls": task.endpoint_url or known.get("urls") or _HOSTED,
            "model": task.model_name or known.get("model", ""),
            "api_key": task.api_key or settings.api_key,
        }
    audio = pipeline.extract.extract_audio_params
    if audio is not None and audio.names_server:
        endpoints["transcriber"] = _speech(audio, endpoints.get("transcriber", {}), settings)
    return endpoints


def _speech(audio: AudioParams, known: dict[str, Any], settings: Settings) -> dict[str, Any]:
    urls = audio.url or known.get("urls") or (_HOSTED_SPEECH if audio.function_id else "")
    if not urls:
        hint = "Give grpc_endpoint or http_endpoint, or set AUDIO_GRPC_ENDPOINT."
        raise InvalidOptionError("extract_audio_params do not say where the transcriber is.", hint=hint)
    key = audio.auth_token or settings.api_key
    return {**known, "urls": urls, "api_key": key, "function_id": audio.function_id or known.get("function_id", "")}


def _of_length(task: EmbedTask | None, endpoints: dict[str, NimEndpoint], local: Engines) -> Mapping[str, NimEndpoint]:
    """Ask the embedder for vectors as long as ``embed()`` wants them, unless its endpoint says so itself."""
    if task is None or task.dimensions is None:
        return endpoints
    if nim := endpoints.get("embedder"):
        return {**endpoints, "embedder": replace(nim, dimensions=nim.dimensions or task.dimensions)}
    embedder = local.embedder
    if embedder is not None and embedder.dimension != task.dimensions:
        raise InvalidOptionError(
            f"embed(): dimensions is {task.dimensions}; {embedder.name} makes {embedder.dimension}.",
            hint=f"Leave it out, set it to {embedder.dimension}, or name an embedder by endpoint_url.",
        )
    return endpoints


def vector_store(task: UploadTask, settings: Settings, *, what: str = "", run_id: str = "") -> MilvusStore:
    """Return the store that ``vdb_upload()`` names, or the one of the surroundings."""
    token = settings.milvus_token
    return MilvusStore(
        task.milvus_uri or settings.milvus_uri,
        username=task.username or "",
        password=task.password.get_secret_value() if task.password else "",
        token=token.get_secret_value() if token else "",
        what=what,
        run_id=run_id,
    )


def placed(pipeline: Pipeline, settings: Settings) -> Pipeline:
    """Return the pipeline with what ``store()`` leaves to the surroundings filled in: a change of them is one of it.

    Where they say nothing either, pictures go to the reference's default bucket.
    """
    task = pipeline.store
    if task is None:
        return pipeline
    store = replace(
        task,
        storage_uri=task.storage_uri or settings.image_storage_uri or _BUCKET,
        public_base_url=task.public_base_url or settings.image_storage_public_base_url,
    )
    return replace(pipeline, store=store)


def image_store(pipeline: Pipeline) -> ImageStore | None:
    """Return where a `placed` pipeline stores pictures, None where it stores none."""
    task = pipeline.store
    if task is None:
        return None
    assert task.storage_uri is not None
    return ImageStore(task.storage_uri, dict(task.storage_options) or None, task.public_base_url)


async def prepare(pipeline: Pipeline, engines: Engines, store: VectorStore | None) -> None:
    """Check before any work what would fail all of it: the embedder is ready, the collections fit its vectors.

    A collection that is to be made anew is left as it is until there is something to upload (`recreating`).
    """
    embedder, task = engines.embedder, pipeline.upload
    if pipeline.embed is None or embedder is None:
        return
    await embedder.check()
    size = pipeline.split.chunk_size if pipeline.split is not None else None
    if size and embedder.max_tokens and size > embedder.max_tokens:
        _log.warning(
            "chunk_size is %d, and %s reads %d tokens: chunks are as long as it reads",
            size,
            embedder.name,
            embedder.max_tokens,
        )
    if task is None or store is None:
        return
    if task.dense_dim is not None and task.dense_dim != embedder.dimension:
        hint = f"Leave dense_dim out, or set it to {embedder.dimension}."
        raise InvalidOptionError(
            f"dense_dim is {task.dense_dim}; {embedder.name} makes {embedder.dimension}.", hint=hint
        )
    if not task.recreate:
        await _ensure(task, embedder, store, recreate=False)


def recreating(pipeline: Pipeline, engines: Engines, store: VectorStore | None) -> Callable[[], Awaitable[None]] | None:
    """Return what drops the upload's collections with all that is in them and makes them anew, if it is asked for."""
    task, embedder = pipeline.upload, engines.embedder
    if task is None or store is None or embedder is None or not task.recreate:
        return None
    return partial(_ensure, task, embedder, store, recreate=True)


async def _ensure(task: UploadTask, embedder: Embedder, store: VectorStore, *, recreate: bool) -> None:
    for name in collections(task):
        await asyncio.to_thread(store.ensure, collection_spec(name, task, embedder), recreate=recreate)


def collection_spec(name: str, task: UploadTask, embedder: Embedder) -> CollectionSpec:
    """Return the shape of a collection that takes the embedder's vectors and has what ``vdb_upload()`` asks for."""
    searched = {"adapt_for_cpu": "false" if task.gpu_search else "true"} if task.gpu_index else {}
    return CollectionSpec(
        name=name,
        dimension=embedder.dimension,
        metric=task.metric,
        sparse=task.sparse,
        gpu_index=task.gpu_index,
        index={**searched, **task.index_params},
    )


def _bulk(task: UploadTask, store: VectorStore, settings: Settings) -> Callable[[str, Sequence[Record]], object] | None:
    """Return how to load many rows at once, if ``vdb_upload(stream=False)`` asks for it."""
    if task.stream:
        return None
    beside = store if isinstance(store, Beside) else None
    milvus = beside.store if beside else store
    bucket = _bucket(task, settings)
    if bucket is None or not isinstance(milvus, MilvusStore):
        hint = (
            "Give minio_endpoint, access_key, secret_key and bucket_name of the Milvus server's own bucket, "
            "or set MINIO_INTERNAL_ADDRESS, MINIO_ACCESS_KEY, MINIO_SECRET_KEY and MINIO_BUCKET."
        )
        raise InvalidOptionError("vdb_upload(stream=False) loads in bulk, and does not know where.", hint=hint)
    if beside is None:
        return partial(bulk_load, milvus, bucket=bucket)
    return lambda name, records: bulk_load(milvus, beside.name(name), records, bucket)


def _bucket(task: UploadTask, settings: Settings) -> Bucket | None:
    """Return the bucket that ``vdb_upload()`` names, else the surroundings; None where one of its parts is missing."""
    endpoint = task.minio_endpoint or settings.minio_internal_address
    name = task.bucket_name or settings.minio_bucket
    user = task.access_key.get_secret_value() if task.access_key else settings.minio_access_key
    secret = task.secret_key or settings.minio_secret_key
    if not (endpoint and name and user and secret):
        return None
    return Bucket.of_minio(endpoint=endpoint, access_key=user, secret_key=secret.get_secret_value(), bucket_name=name)


@contextmanager
def equipped(
    pipeline: Pipeline,
    source: Source | Buffers,
    settings: Settings,
    *,
    corpus: str,
    run_id: str,
    engines: Engines,
    store: VectorStore | None = None,
    workers: int = 0,
    pages_per_part: int = PAGES_PER_PART,
    limits: Limits = _DEFAULT_LIMITS,
) -> Iterator[Equipment]:
    """Hand out what a run needs and take it back; ``engines`` and a given ``store`` stay the caller's.

    ``pipeline`` is a `placed` one. ``workers`` is the number of parser processes, 0 for one a core (at most 4),
    ``pages_per_part`` how many pages of a long PDF one of them reads at a time.
    """
    with ExitStack() as stack:
        workers = workers or min(os.cpu_count() or 1, 4)
        parsers = stack.enter_context(ParserPool(workers, limits, pages_per_part=pages_per_part))
        committer = None
        if pipeline.upload is not None:
            if store is None:
                store = stack.enter_context(vector_store(pipeline.upload, settings, what=corpus, run_id=run_id))
            ledger = stack.enter_context(closing(Ledger(settings.ledger)))
            committer = Committer(
                store=store,
                ledger=ledger,
                corpus=corpus,
                run_id=run_id,
                bulk=_bulk(pipeline.upload, store, settings),
                bulk_rows=pipeline.upload.threshold,
                version_now=source.version_now,
            )
        yield Equipment(
            source=source,
            parsers=parsers,
            shelf=Shelf(Artifacts(settings.artifacts, settings.artifacts_options)),
            engines=engines,
            committer=committer,
            images=image_store(pipeline),
            workers=workers,
            limits=limits,
            models_dir=settings.models_dir,
            tokenizers_dir=settings.model_predownload_path,
        )
