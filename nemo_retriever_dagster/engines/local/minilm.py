"""The local embedder: all-MiniLM-L6-v2 on onnxruntime. No GPU, no network, no key, no deep-learning framework."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.engines.local.batching import BatchQueue
from nemo_retriever_dagster.engines.local.worker import INSTALL_LOCAL, available_cores
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import EngineReplyError, MissingDependencyError, MisuseError, RejectedInputError
from nemo_retriever_dagster.model import Usage
from nemo_retriever_dagster.modelfiles import MODEL, find_model_file
from nemo_retriever_dagster.tokens import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nemo_retriever_dagster.engines.local.batching import Tokens
    from nemo_retriever_dagster.engines.ports import EmbedInput, Purpose

DIMENSION = 384
SEQUENCE = 256
MAX_TOKENS = SEQUENCE - 2
"""Word pieces of a text that the model sees: its sequence of 256 less the two marks around it."""

_log = logging.getLogger(__name__)


class MiniLmEmbedder:
    """Fills the port `Embedder`; one instance serves any number of concurrent callers.

    The inputs of concurrent calls share batches of like length; queries go before passages. A text longer than
    `MAX_TOKENS` word pieces is embedded by its beginning only, which is never silent: ``on_truncated`` gets a sentence
    that says how many texts and how long the longest (default: a warning in the log), and ``truncated`` counts them.
    """

    name = f"local/{MODEL}"
    dimension = DIMENSION
    max_tokens = MAX_TOKENS

    def __init__(
        self,
        *,
        models_dir: str | os.PathLike[str] | None = None,
        cache_dir: Path | None = None,
        threads: int = 0,
        on_truncated: Callable[[str], None] | None = None,
    ) -> None:
        """Cost nothing; model and session are loaded by the first call.

        ``models_dir``: see `find_model_file`. ``threads``: 0 takes every core this process may use.
        """
        self.truncated = 0
        self._models_dir = models_dir
        self._cache_dir = cache_dir
        self._threads = threads
        self._on_truncated = on_truncated or _log.warning
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._session: Any = None
        self._queue: BatchQueue | None = None
        self._process = os.getpid()
        self._parents: list[object] = []

    async def check(self) -> None:
        """Load the model; raise `MissingDependencyError` where a package or the weights are not installed."""
        await asyncio.to_thread(self._load_tokenizer)
        await asyncio.wrap_future(self._open_queue().call(self._load_session))

    async def aclose(self) -> None:
        """Finish what is queued and free the session; a later call loads it again."""
        with self._lock:
            queue, self._queue = self._queue, None
        if queue is not None:
            await asyncio.to_thread(queue.close)
        self._session = None

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        """Return float32 of (inputs, 384), each of length 1.

        Raises `RejectedInputError` for an input without text, `MisuseError` for one with a picture: the model reads
        text only.
        """
        if not inputs:
            return np.empty((0, DIMENSION), dtype=np.float32)
        started = time.monotonic()
        tokens = await asyncio.to_thread(self._tokenize, [_text(given) for given in inputs])
        vectors = await asyncio.wrap_future(self._open_queue().submit(tokens, first=purpose == "query"))
        count = sum(map(len, tokens))
        record(self.name, Usage(requests=1, items=len(inputs), tokens=count, seconds=time.monotonic() - started))
        return vectors

    def _tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the token ids of each text, the two marks included, cut to what the model sees."""
        tokenizer = self._load_tokenizer()
        tokens = [tokenizer.encode(encodable(text)).ids for text in texts]
        long = [len(ids) for ids in tokens if len(ids) > SEQUENCE]
        if long:
            self.truncated += len(long)
            self._on_truncated(_truncation(len(long), len(texts), max(long) - 2))
        return [ids if len(ids) <= SEQUENCE else [*ids[: SEQUENCE - 1], ids[-1]] for ids in tokens]

    def _encode(self, batch: Sequence[Tokens]) -> np.ndarray:
        """Run one batch; called on the queue's thread only."""
        self._load_session()
        lengths = np.array([len(tokens) for tokens in batch])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int32)
        ids = np.zeros_like(mask)
        ids[mask.astype(bool)] = np.concatenate(batch)
        vectors: np.ndarray = self._session.run(None, {"ids": ids, "mask": mask})[0]
        if not np.isfinite(vectors).all():
            raise EngineReplyError(f"{self.name} returned a vector that is not finite.")
        return vectors

    def _open_queue(self) -> BatchQueue:
        with self._lock:
            if self._process != os.getpid():
                # A forked child has neither the queue's thread nor the session's, for which freeing it would wait.
                self._parents.append((self._queue, self._session))
                self._queue, self._session, self._process = None, None, os.getpid()
            if self._queue is None:
                self._queue = BatchQueue(self._encode)
            return self._queue

    def _load_tokenizer(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                from tokenizers import Tokenizer

                tokenizer = Tokenizer.from_file(str(find_model_file("tokenizer.json", self._models_dir)))
                tokenizer.no_truncation()  # the file switches both on
                tokenizer.no_padding()
                self._tokenizer = tokenizer
            return self._tokenizer

    def _load_session(self) -> None:
        if self._session is None:
            weights = find_model_file("model.safetensors", self._models_dir)
            self._session = _session(weights, self._cache_dir, self._threads or available_cores())


def _truncation(count: int, total: int, longest: int) -> str:
    return (
        f"{count} of {total} texts have more than {MAX_TOKENS} word pieces (the longest {longest}); "
        f"{MODEL} sees only their beginning. Split with chunk_size <= {MAX_TOKENS}."
    )


def _text(given: EmbedInput) -> str:
    if given.picture is not None:
        message = f"The local model {MODEL} reads text only; this input has a picture."
        raise MisuseError(message, hint="Embed text, or configure an embedding service that reads pictures.")
    if not given.text.strip():
        raise RejectedInputError("An input of the embedder has no text.")
    return given.text


def _session(weights: Path, cache: Path | None, threads: int) -> Any:
    try:
        import onnxruntime

        from nemo_retriever_dagster.engines.local.weights import encoder_graph

        graph = encoder_graph(weights, cache)
    except ModuleNotFoundError as error:
        raise MissingDependencyError.of("The local embedder", INSTALL_LOCAL) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while they wait win nothing here and take the cores from parsers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
