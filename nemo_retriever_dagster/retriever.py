"""Ask a collection: dense, sparse, hybrid, reranked, filtered."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self, overload

import numpy as np
from pydantic import Field as Bounds

from nemo_retriever_dagster import portal
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError
from nemo_retriever_dagster.hits import Hit, text_of_pages
from nemo_retriever_dagster.options import Amount, Number, checked
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.vdb.fusion import MAX_TOP_K
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nemo_retriever_dagster.engines.ports import Embedder, Engine, Engines, Reranker
    from nemo_retriever_dagster.model import type_json
    from nemo_retriever_dagster.vdb.contract import SearchMode, VectorStore

Texts = list[str] | tuple[str, ...]
_Candidates = Annotated[int, Bounds(ge=1, le=MAX_TOP_K)]
_Name = Annotated[str, Bounds(min_length=1)]

_HALF = re.compile(r"[\ud800-\udfff]")  # of a character: no text that can be sent to anybody
_MODES = ("dense", "sparse", "hybrid")


class Retriever:
    """Searches one collection (or alias).

    Milvus Lite admits one process, so outside a ``with`` block it is open only while a query runs; inside, it stays.
    Engines that the retriever makes itself stay until the block ends, or until `close`.
    """

    def __init__(
        self,
        collection_name: str,
        *,
        milvus_uri: str | None = None,
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
        username: str = "",
        password: str = "",
        token: str = "",
        database: str = "",
        store: VectorStore | None = None,
        rerank_candidates: int = 50,
        same_model: bool = False,
    ) -> None:
        """Name the collection and, where they differ from the surroundings' (`Settings`), store and engines.

        The embedder must be the one the collection was written with; by default it is the NIM that
        ``EMBEDDING_NIM_ENDPOINT`` names, else the local model. Rows tell which that was: hits that are all of another
        one are refused, unless ``same_model`` says that it goes by another name here. ``rerank_candidates`` hits go to
        the reranker.
        A store and engines that are given are used as they are and left open.
        """
        settings = Settings()
        stored_token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
        self.collection_name = checked("Retriever", "collection_name", _Name, collection_name)
        self._engines: Engines | None = None
        self._embedder, self._reranker = embedder, reranker
        self._candidates = checked("Retriever", "rerank_candidates", _Candidates, rerank_candidates)
        self._same_model = checked("Retriever", "same_model", bool, same_model)
        self._settings = settings
        self._given = store
        self._inside = 0
        self._for_good = False
        self._lock = threading.Lock()
        self._store: VectorStore = store or MilvusStore(
            milvus_uri or settings.milvus_uri,
            username=username,
            password=password,
            token=token or stored_token,
            database=database,
            what="Retriever",
            create=False,
        )

    def __enter__(self) -> Self:
        """Keep store and engines open until the block ends."""
        with self._lock:
            self._inside += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._leave(for_good=True)

    def close(self) -> None:
        """Close the store and the engines, unless they were handed in."""
        try:
            self._close_store()
        finally:
            engines, self._engines = self._engines, None
            if engines is not None:
                portal.run(engines.aclose())

    def _close_store(self) -> None:
        if self._given is None:
            self._store.close()

    @overload
    def query(
        self,
        text: str,
        top_k: int = ...,
        *,
        mode: SearchMode = ...,
        filter: str = ...,
        filter_params: Mapping[str, type_json] | None = ...,
        rerank: bool = ...,
    ) -> list[Hit]: ...
    @overload
    def query(
        self,
        text: Texts,
        top_k: int = ...,
        *,
        mode: SearchMode = ...,
        filter: str = ...,
        filter_params: Mapping[str, type_json] | None = ...,
        rerank: bool = ...,
    ) -> list[list[Hit]]: ...
    def query(
        self,
        text: str | Texts,
        top_k: int = 5,
        *,
        mode: SearchMode = "dense",
        filter: str = "",  # noqa: A002 - the word of the field
        filter_params: Mapping[str, type_json] | None = None,
        rerank: bool = False,
    ) -> list[Hit] | list[list[Hit]]:
        """Return the best ``top_k`` hits for a question, or a list of hits for each of several questions.

        ``mode``: "dense" (by meaning), "sparse" (by words, BM25) or "hybrid" (both, fused by rank). ``filter`` is a
        Milvus expression whose ``{name}`` placeholders are bound to ``filter_params``. ``rerank`` lets the reranker
        order the candidates; the score is then its score. Works inside a running event loop, too.
        """
        questions = _questions(text, mode)
        top_k = checked("query", "top_k", Number, top_k)
        filter = checked("query", "filter", str, filter)  # noqa: A001 - the word of the field
        if not questions:
            return []
        with self._opened():
            found = portal.run(self._ask(questions, top_k, mode, filter, filter_params, rerank=rerank))
        return found[0] if isinstance(text, str) else found

    @overload
    async def aquery(
        self,
        text: str,
        top_k: int = ...,
        *,
        mode: SearchMode = ...,
        filter: str = ...,
        filter_params: Mapping[str, type_json] | None = ...,
        rerank: bool = ...,
    ) -> list[Hit]: ...
    @overload
    async def aquery(
        self,
        text: Texts,
        top_k: int = ...,
        *,
        mode: SearchMode = ...,
        filter: str = ...,
        filter_params: Mapping[str, type_json] | None = ...,
        rerank: bool = ...,
    ) -> list[list[Hit]]: ...
    async def aquery(
        self,
        text: str | Texts,
        top_k: int = 5,
        *,
        mode: SearchMode = "dense",
        filter: str = "",  # noqa: A002 - the word of the field
        filter_params: Mapping[str, type_json] | None = None,
        rerank: bool = False,
    ) -> list[Hit] | list[list[Hit]]:
        """Return the same as `query` without blocking the event loop."""
        return await asyncio.to_thread(
            self.query, text, top_k, mode=mode, filter=filter, filter_params=filter_params, rerank=rerank
        )

    def count(self) -> int:
        """Return the number of rows that can be found."""
        with self._opened() as store:
            return store.count(self.collection_name)

    def reconstruct(self, hit: Hit, pages: int = 0) -> str:
        """Return the text of the hit's page and of ``pages`` pages before and after it, from the stored rows.

        Chunks stand in document order; what two neighbouring chunks share is written once. A hit that names no
        document, as in another program's collection, is refused.
        """
        pages = checked("reconstruct", "pages", Amount, pages)
        if not hit.document:
            raise InvalidOptionError(
                f"The row {hit.id!r} names no document.", hint="Only its own text is known: hit.text."
            )
        with self._opened() as store:
            rows = store.select(
                self.collection_name, where="document == {document}", values={"document": hit.document}, limit=None
            )
        return text_of_pages(rows, range(hit.page - pages, hit.page + pages + 1))

    @contextmanager
    def _opened(self) -> Iterator[VectorStore]:
        with self._lock:
            self._inside += 1
        try:
            yield self._store
        finally:
            self._leave()

    def _leave(self, *, for_good: bool = False) -> None:
        """Close what nobody uses now; the engines only once a ``with`` block has ended: to load them takes long."""
        with self._lock:
            self._inside -= 1
            self._for_good |= for_good
            if self._inside:
                return
            for_good, self._for_good = self._for_good, False
            (self.close if for_good else self._close_store)()

    async def _ask(
        self,
        questions: Sequence[str],
        top_k: int,
        mode: SearchMode,
        where: str,
        values: Mapping[str, type_json] | None,
        *,
        rerank: bool,
    ) -> list[list[Hit]]:
        wide = max(top_k, self._candidates) if rerank else top_k
        embedder = self._asked(mode)
        vectors = await _vectors(questions, embedder) if embedder else [None] * len(questions)

        def search(question: str, vector: Sequence[float] | None) -> list[Hit]:
            rows = self._store.search(
                self.collection_name,
                vector=vector,
                text=question if mode != "dense" else None,
                mode=mode,
                top_k=wide,
                where=where,
                values=values,
            )
            hits = [Hit.of(row) for row in rows]
            if embedder and not self._same_model:
                _check_model(hits, embedder)
            return hits

        found = [await asyncio.to_thread(search, one, vector) for one, vector in zip(questions, vectors, strict=True)]
        if rerank:
            return [await self._reranked(one, hits, top_k) for one, hits in zip(questions, found, strict=True)]
        return found

    def _asked(self, mode: str) -> Embedder | None:
        """Return the embedder of the questions, None where they are searched for by their words alone."""
        if mode == "sparse":
            return None
        embedder = self._embedder or self._surroundings().embedder
        if embedder is None:
            raise InvalidOptionError("There is no embedding engine.", hint="Pass embedder=..., or use mode='sparse'.")
        return embedder

    async def _reranked(self, question: str, hits: list[Hit], top_k: int) -> list[Hit]:
        reranker = self._reranker or self._surroundings().reranker
        if reranker is None:
            raise InvalidOptionError(
                "There is no reranker for rerank=True.", hint="Set RERANKER_NIM_ENDPOINT, or pass reranker=..."
            )
        if not hits:
            return []
        scores = _numbers(await reranker.rank(question, [hit.text for hit in hits]), len(hits), reranker)
        scored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
        return sorted(scored, key=lambda hit: -hit.score)[:top_k]

    def _surroundings(self) -> Engines:
        if self._engines is None:
            from nemo_retriever_dagster.engines.local import local_engines
            from nemo_retriever_dagster.engines.nim import NimEndpoint, nim_engines

            named = self._settings.endpoints()
            wanted: dict[str, NimEndpoint] = {}
            for port in {"embedder", "reranker"} & set(named):
                wanted[port] = NimEndpoint(**named[port])
            self._engines = nim_engines(wanted, local_engines(models_dir=self._settings.models_dir))
        return self._engines


async def _vectors(questions: Sequence[str], embedder: Embedder) -> list[Sequence[float] | None]:
    found = await embedder.embed([EmbedInput(text=question) for question in questions], purpose="query")
    return [vector.tolist() for vector in _numbers(found, len(questions), embedder)]


def _check_model(hits: Sequence[Hit], embedder: Embedder) -> None:
    """Raise `InvalidOptionError` where all hits that name their embedder name another: near and far mean nothing."""
    named = {hit.embedder for hit in hits if hit.embedder}
    if named and _model(embedder.name) not in map(_model, named):
        raise InvalidOptionError(
            f"The rows were embedded by {', '.join(sorted(named))}, the question by {embedder.name}.",
            hint="Ask with the embedder they were written with; same_model=True if it is that one by another name.",
        )


def _model(name: str) -> str:
    """Return an embedder's name without the length that was asked for, which the store compares."""
    return name.partition("@")[0]


def _numbers(found: object, count: int, engine: Engine) -> np.ndarray:
    """Return an engine's answer, ``count`` vectors or scores; raise `EngineReplyError` unless all are finite."""
    try:
        numbers = np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError):
        numbers = np.empty(0, dtype=np.float32)
    if len(numbers) != count or not np.isfinite(numbers).all():
        message = f"{engine.name} did not return finite numbers for each of {count} texts."
        raise EngineReplyError(message, hint="Check that the endpoint serves the model that is configured.")
    return numbers


def _questions(text: object, mode: str) -> list[str]:
    if mode not in _MODES:
        raise InvalidOptionError(f"There is no search mode {mode!r}.", hint=f"Use one of {', '.join(_MODES)}.")
    questions: list[Any] = [text] if isinstance(text, str) or not isinstance(text, Iterable) else list(text)
    for question in questions:
        if not isinstance(question, str) or not question.strip():
            raise InvalidOptionError(f"{question!r} is not a question.", hint="Pass a text that is not empty.")
        if _HALF.search(question):
            raise InvalidOptionError(f"{question!r} is not a question.", hint="Pass valid Unicode: no lone surrogates.")
    return questions
