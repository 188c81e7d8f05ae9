"""The ports: what the pipeline asks of an engine. NIM clients, local engines and the fakes of `testing` fill them.

All are asynchronous. Pictures are encoded PNG or JPEG. Boxes that an engine returns are in pixels of the picture it was
given, origin top-left. Each method returns exactly one answer per input, in the order of the inputs, or raises a
`RetrieverError`; ``name`` identifies engine and model and is part of a stage's fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nemo_retriever_dagster.model import Box, Picture, Word

Purpose = Literal["passage", "query"]
MergeLevel = Literal["word", "sentence", "paragraph"]


class Engine(Protocol):
    """What all ports share."""

    @property
    def name(self) -> str:
        """Engine and model, e.g. ``local/all-MiniLM-L6-v2``; two engines of one name give the same answers."""
        ...

    async def check(self) -> None:
        """Raise `EngineUnavailableError` (or `MissingDependencyError`) unless the engine is ready."""
        ...

    async def aclose(self) -> None:
        """Free connections, sessions, processes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A labelled part of a picture. ``confidence`` is 0 to 1."""

    label: str
    box: Box
    confidence: float = 1.0


class RegionDetector(Engine, Protocol):
    """Finds labelled regions: page elements, table structure and graphic elements have this one shape."""

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        """Return the regions of each picture, thresholds and overlap removal applied."""
        ...


class Ocr(Engine, Protocol):
    """Reads the words of pictures."""

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        """Return the words (or lines, paragraphs) of each picture in reading order; none is an empty list."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBlock:
    """One block that a page parser returned: ``label`` is a Nemotron Parse class ("Title", "Table", "Picture" ...)."""

    label: str
    text: str
    box: Box


class PageParser(Engine, Protocol):
    """Turns a page's picture into blocks in reading order."""

    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        """Return the page's blocks; an empty list where the parser read nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRequest:
    """A picture to describe; ``context`` is text near it.

    ``alt_text``, ``caption`` (the document's own, "Figure 3: ...") and ``words`` serve engines without a VLM.

    ``temperature`` is how freely a VLM chooses its words, None for its usual one.
    """

    picture: Picture
    context: str = ""
    alt_text: str = ""
    caption: str = ""
    words: Sequence[Word] = ()
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A description and what made it: a model's id, or ``local`` where no model looked at the picture."""

    text: str
    source: str


class Captioner(Engine, Protocol):
    """Describes pictures."""

    async def caption(
        self, request: CaptionRequest, *, prompt: str | None = None, system_prompt: str | None = None
    ) -> Caption:
        """Return a caption that is never empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedInput:
    """A passage as text, picture, or both."""

    text: str = ""
    picture: Picture | None = None


class Embedder(Engine, Protocol):
    """Turns passages and queries into vectors."""

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest input it reads whole; 0 where unknown."""
        ...

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        """Return float32 of shape (number of inputs, dimension), all finite."""
        ...


class Reranker(Engine, Protocol):
    """Scores passages against a query."""

    async def rank(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return one score a passage, higher is better."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of speech; times in milliseconds from the start, -1 where unknown."""

    text: str
    start_ms: int = -1
    end_ms: int = -1


class Transcriber(Engine, Protocol):
    """Writes down speech."""

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        """Transcribe mono 16-bit PCM; one segment, or one a sentence with ``segments``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The engines of a pipeline; None where there is none, and a stage that needs it says so."""

    embedder: Embedder | None = None
    ocr: Ocr | None = None
    page_elements: RegionDetector | None = None
    table_structure: RegionDetector | None = None
    graphic_elements: RegionDetector | None = None
    page_parser: PageParser | None = None
    captioner: Captioner | None = None
    reranker: Reranker | None = None
    transcriber: Transcriber | None = None

    def all(self) -> dict[str, Engine]:
        """Return the engines that are there, by port."""
        ports = (
            "embedder",
            "ocr",
            "page_elements",
            "table_structure",
            "graphic_elements",
            "page_parser",
            "captioner",
            "reranker",
            "transcriber",
        )
        return {port: engine for port in ports if (engine := getattr(self, port)) is not None}

    async def aclose(self) -> None:
        """Close every engine."""
        for engine in self.all().values():
            await engine.aclose()
