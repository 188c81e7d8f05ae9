"""Engines whose answers are known: what they read and hear is not what such a test is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines.ports import Region, Segment
from nemo_retriever_dagster.model import Box, Picture, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel


class Senses:
    """Reads one word, hears ``sentences``, and takes everything on a page for one infographic."""

    name = "senses"

    def __init__(self, *sentences: str) -> None:
        self._sentences = sentences or ("Section one.",)

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [[Word(text="Seen", box=Box(10, 10, 60, 30))] for _ in pictures]

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        return [Segment(text=text, start_ms=500 * i, end_ms=500 * i + 400) for i, text in enumerate(self._sentences)]

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        return [[Region(label="infographic", box=Box(0, 0, one.width, one.height))] for one in pictures]
