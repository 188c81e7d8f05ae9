"""Embeddings: text, pictures, or both; NIMs and any server that speaks OpenAI's ``/v1/embeddings``."""

from __future__ import annotations

import binascii
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.engines.addresses import completed
from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.engines.nim.base import NimClient, batches, halved
from nemo_retriever_dagster.engines.nim.wire import field, rows
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.engines.sharing import SharedRequests
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint
    from nemo_retriever_dagster.engines.ports import Purpose

_KNOWN = {  # part of the model's id: dimension, longest input in tokens
    "embedqa-e5-v5": (1024, 512),
    "embedqa-1b": (2048, 8192),
    "nemotron-embed-1b": (2048, 8192),
    "nemotron-embed-vl-1b": (2048, 8192),
    "1b-vlm-embed": (2048, 8192),
}
_PICTURE_WEIGHT = 4000
_ROUTE = "/embeddings"
_IMAGE = "data:image/"  # a text that speaks of one would be looked at as one, unless it is said to be text


class NimEmbedder(NimClient):
    """Embeds passages and queries, ``endpoint.batch`` (32) a request.

    Passages of concurrent calls share requests (`SharedRequests`), or a corpus of small documents would send a request
    for every few passages; queries, which somebody waits for, go at once.

    Dialect ``nim`` sends ``input_type`` and ``truncate``; ``openai`` sends neither. ``endpoint.dimensions`` asks for
    shorter vectors. The length of an unknown model's vectors is learned by `check` or the first `embed`.
    """

    default_model = "nvidia/llama-3.2-nv-embedqa-1b-v2"
    default_batch = 32
    dialects = ("nim", "openai")

    def __init__(self, endpoint: NimEndpoint, *, truncate: str = "END", encoding: str = "") -> None:
        """``truncate`` is NONE, START or END; ``encoding`` (of vectors on the wire) is float or base64.

        NIMs are asked for base64, a fifth of the bytes and far less work to read; other servers for floats.
        """
        super().__init__(endpoint)
        encoding = encoding or ("base64" if self.dialect == "nim" else "float")
        _one_of("truncate", truncate, ("NONE", "START", "END"))
        _one_of("encoding", encoding, ("float", "base64"))
        self._truncate = truncate
        self._encoding = encoding
        dimension, self._max_tokens = next((v for k, v in _KNOWN.items() if k in self.model), (0, 0))
        self._dimension = endpoint.dimensions or dimension
        self._served = ""
        self._learning = Lock()
        self._shared: SharedRequests[EmbedInput, np.ndarray] = SharedRequests(
            self._passages, size=self.batch, width=endpoint.concurrency, weigh=_weight
        )

    @property
    def name(self) -> str:
        """The model, and the length asked for if it is not the model's own."""
        asked = self.endpoint.dimensions
        return f"nim/{self.model}@{asked}" if asked else f"nim/{self.model}"

    @property
    def dimension(self) -> int:
        """Length of every vector; raises while an unknown model was not asked yet."""
        if not self._dimension:
            hint = "Set dimensions of the endpoint, or call check() first."
            raise InvalidOptionError(f"The length of {self.model}'s vectors is not known yet.", hint=hint)
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """Longest input the model reads whole; 0 where unknown."""
        return self._max_tokens

    def guess(self) -> str:
        """NVIDIA's models take ``input_type``; others would refuse it."""
        return "nim" if self.model.startswith("nvidia/") else "openai"

    def resolved(self) -> NimEndpoint:
        """Complete ``http://host`` and ``.../v1`` to ``.../v1/embeddings``."""
        return replace(self.endpoint, urls=tuple(completed(url, _ROUTE, (_ROUTE,)) for url in self.endpoint.targets))

    async def check(self) -> None:
        """Raise unless the NIM is ready; learn the length of its vectors."""
        await super().check()
        if not self._dimension:
            await self.embed([EmbedInput(text="dimension")], purpose="query")

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        """Return float32 of shape (inputs, dimension), all finite; refuse an empty input before anything is sent."""
        for position, item in enumerate(inputs):
            if not item.text.strip() and item.picture is None:
                raise InvalidOptionError(f"Input {position} to embed is empty.", hint="Leave empty passages out.")

        if not inputs:
            return np.zeros((0, self.dimension), np.float32)
        if purpose == "passage":
            return np.stack(await self._shared.run(inputs))
        return np.concatenate(await gather_bounded(self._queries, batches(inputs, self.batch), limit=self.window))

    async def _passages(self, batch: Sequence[EmbedInput], *, attempts: int = 0) -> Sequence[np.ndarray]:
        return await halved(lambda part: self._request(part, "passage", attempts), batch)

    async def _queries(self, batch: Sequence[EmbedInput]) -> np.ndarray:
        return np.stack(await halved(lambda part: self._request(part, "query"), batch))

    async def _request(self, batch: Sequence[EmbedInput], purpose: Purpose, attempts: int = 0) -> list[np.ndarray]:
        body: dict[str, Any] = {"model": self.model, "encoding_format": self._encoding}
        body["input"] = [await self._wire(item) for item in batch]
        if self.dialect == "nim":
            body |= {"input_type": purpose, "truncate": self._truncate}
        if self.endpoint.dimensions:
            body["dimensions"] = self.endpoint.dimensions
        if any(item.picture is not None or (self.dialect == "nim" and _IMAGE in item.text) for item in batch):
            body["modality"] = [_modality(item) for item in batch]

        def read(reply: Any) -> np.ndarray:
            return self._vectors(reply, len(batch))

        patient = purpose == "passage"
        return list(await self.http.post_json(body, read, items=len(batch), attempts=attempts, patient=patient))

    async def _wire(self, item: EmbedInput) -> str:
        if item.picture is None:
            return item.text
        url = await self.image(item.picture)
        return f"{item.text} {url}" if item.text.strip() else url

    def _vectors(self, reply: Any, count: int) -> np.ndarray:
        vectors = [_vector(item) for item in rows(reply, count)]
        with self._learning:  # replies are read in threads
            expected = self._dimension or len(vectors[0])
            lengths = {len(vector) for vector in vectors}
            if lengths != {expected}:
                raise EngineReplyError(f"its vectors have {sorted(lengths)} dimensions, {expected} were expected")
            matrix = np.stack(vectors).astype(np.float32, copy=False)
            if not np.isfinite(matrix).all():
                raise EngineReplyError("a vector holds a value that is not a finite number")
            if not matrix.any(axis=1).all():
                raise EngineReplyError("a vector is all zeros")
            self._of_one_model(reply)
            self._dimension = expected
        return matrix

    def _of_one_model(self, reply: Any) -> None:
        """Raise if another model answers than before: its vectors would stand among others that mean something else."""
        served = reply.get("model") if isinstance(reply, dict) else None
        if not isinstance(served, str):
            return
        self._served = self._served or served
        if served != self._served:
            raise EngineReplyError(f"it is of the model {served!r}, and earlier ones were of {self._served!r}")


def _vector(item: Any) -> np.ndarray:
    value = field(item, "embedding", (list, str))
    try:
        if isinstance(value, str):
            # What is not base64 is dropped, and then the length is wrong: strict decoding costs four times as much.
            return np.frombuffer(binascii.a2b_base64(value), dtype="<f4")
        if not {type(number) for number in value} <= {float, int}:
            raise EngineReplyError("a vector holds something that is not a number")
        with np.errstate(over="ignore"):  # too large becomes infinite, and that is refused
            return np.asarray(value, dtype=np.float32)
    except (ValueError, binascii.Error, OverflowError) as cause:
        raise EngineReplyError(f"a vector cannot be read ({cause})") from cause


def _weight(item: EmbedInput) -> int:
    """Return about how many characters an input is worth, in which tokens are divided."""
    return len(item.text) + (_PICTURE_WEIGHT if item.picture is not None else 0)


def _modality(item: EmbedInput) -> str:
    if item.picture is None:
        return "text"
    return "text_image" if item.text.strip() else "image"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidOptionError(f"{name}={value!r} is not possible.", hint=f"Choose of: {', '.join(allowed)}.")
