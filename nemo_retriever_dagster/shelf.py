"""Where finished stages leave their results, and where the next stage finds them.

A stage's result lies under the document's hash and the stage's fingerprint: ``<stage>/ab/<digest>.data``, beside it
``.done``, a note of counts that is written last. No note, no result: a stage that was killed is simply run again.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_retriever_dagster import artifacts as names
from nemo_retriever_dagster import codec
from nemo_retriever_dagster.errors import ArtifactDamagedError, InfrastructureError, Stage
from nemo_retriever_dagster.model import stable_id
from nemo_retriever_dagster.storage import ASKED_ONE_BY_ONE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy as np

    from nemo_retriever_dagster.artifacts import Artifacts
    from nemo_retriever_dagster.model import Chunk, Element

_KEPT_IN_MEMORY = 16
_KEPT_BYTES = 64 * 2**20
_NOTES_ONLY = (f"{Stage.CAPTION}/", f"{Stage.STORE_IMAGES}/")
"""What these stages made is in their notes."""
_Value = TypeVar("_Value")


def place_of(stage: Stage, sha256: str, fingerprint: str) -> str:
    """Return the place of a stage's result for the document with this hash: ``stage/digest``."""
    return f"{stage}/{stable_id(sha256, fingerprint)}"


def _address(place: str, suffix: str) -> str:
    stage, _, digest = place.partition("/")
    return names.address(stage, digest, suffix)


def _addresses(place: str) -> list[str]:
    """Return what a finished stage has left at ``place``."""
    suffixes = ("done",) if place.startswith(_NOTES_ONLY) else ("done", "data")
    return [_address(place, suffix) for suffix in suffixes]


class Shelf:
    """Reads and writes stage results.

    The last one, and as many before it as are few and small, are kept in memory: a chain of stages does not read them
    back.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        """Keep results in ``artifacts``."""
        self._artifacts = artifacts
        self._memory: OrderedDict[str, Any] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, place: str) -> dict[str, Any] | None:
        """Return what the finished stage noted, or None where it has not finished."""
        data = self._artifacts.get(_address(place, "done"))
        return None if data is None else dict(json.loads(data))

    def finish(self, place: str, note: Mapping[str, Any]) -> None:
        """Mark the stage as finished."""
        self._artifacts.put(_address(place, "done"), json.dumps(note, sort_keys=True).encode())

    def lacking(self, places: Collection[str]) -> set[str]:
        """Return those of ``places`` that have no finished result to be read; what is damaged shows when it is read.

        Many are looked for in one listing a stage.
        """
        if len(places) <= ASKED_ONE_BY_ONE:
            return {place for place in places if not all(map(self._artifacts.exists, _addresses(place)))}
        stages = sorted({place.partition("/")[0] for place in places})
        there = {name for stage in stages for name in self._artifacts.list(stage)}
        return {place for place in places if not there.issuperset(_addresses(place))}

    def forget(self, place: str) -> None:
        """Take the stage for unfinished, so that the next run makes its result again."""
        self._artifacts.delete(_address(place, "done"))

    def put_elements(self, place: str, elements: Sequence[Element]) -> None:
        """Keep the elements of an extraction; equal pictures are kept once."""
        self._artifacts.put(_address(place, "data"), codec.encode_elements(elements, self._put_picture))
        self._remember(place, tuple(elements))

    def elements(self, place: str) -> tuple[Element, ...]:
        """Return the elements of an extraction."""
        return self._get(place, lambda data: codec.decode_elements(data, self._picture))

    def put_chunks(self, place: str, chunks: Sequence[Chunk]) -> None:
        """Keep chunks."""
        self._artifacts.put(_address(place, "data"), codec.encode_chunks(chunks))
        self._remember(place, tuple(chunks))

    def chunks(self, place: str) -> tuple[Chunk, ...]:
        """Return chunks."""
        return self._get(place, codec.decode_chunks)

    def put_vectors(self, place: str, vectors: np.ndarray) -> None:
        """Keep vectors, float32 of shape (chunks, dimension)."""
        self._artifacts.put(_address(place, "data"), codec.encode_vectors(vectors))
        self._remember(place, vectors)

    def vectors(self, place: str) -> np.ndarray:
        """Return vectors."""
        return self._get(place, codec.decode_vectors)

    def _put_picture(self, digest: str, data: bytes) -> None:
        address = names.address("picture", digest, "blob")
        if not self._artifacts.exists(address):
            self._artifacts.put(address, data)

    def _picture(self, digest: str) -> bytes:
        data = self._artifacts.get(names.address("picture", digest, "blob"))
        if data is None:
            raise ResultGoneError(f"The picture {digest} is gone from the artifacts or damaged.")
        return data

    def _get(self, place: str, decode: Callable[[bytes], _Value]) -> _Value:
        with self._lock:
            if place in self._memory:
                self._memory.move_to_end(place)
                value: _Value = self._memory[place]
                return value
        data = self._artifacts.get(_address(place, "data"))
        if data is None:
            self.forget(place)
            raise ResultGoneError(f"The result {place} is gone from the artifacts or damaged.")
        try:
            value = decode(data)
        except (ResultGoneError, ArtifactDamagedError):  # a part is gone, or it is of another version: made anew
            self.forget(place)
            raise
        self._remember(place, value)
        return value

    def _remember(self, place: str, value: object) -> None:
        with self._lock:
            self._memory[place], self._weights[place] = value, _weight(value)
            self._memory.move_to_end(place)
            while len(self._memory) > _KEPT_IN_MEMORY or (
                len(self._memory) > 1 and sum(self._weights.values()) > _KEPT_BYTES
            ):
                del self._weights[self._memory.popitem(last=False)[0]]


def _weight(value: Any) -> int:
    """Return about how many bytes of memory vectors, chunks or elements take: their numbers, texts and pictures."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    pictures = (picture for item in value if (picture := getattr(item, "picture", None)))
    return sum(len(item.text) for item in value) + sum(len(picture.data) for picture in pictures)


class ResultGoneError(InfrastructureError):
    """A stage's result is gone."""

    default_hint = "Run again: what is missing is made anew."
