"""The values that travel through the house, frozen: Document -> Element -> Chunk -> Record -> Receipt, or a Failure.

Boxes are in points (1/72 inch) for paged documents and in pixels for pictures, origin top-left of the page as it is
shown (rotation applied), x to the right, y down. Pages, slides, sheets are counted from 1; 0 means the whole document.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from nemo_retriever_dagster.errors import Category, RetrieverError, Stage, redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type_json = Any  # what json.loads returns


class Kind(StrEnum):
    """What an element is."""

    TEXT = "text"
    TABLE = "table"
    CHART = "chart"
    INFOGRAPHIC = "infographic"
    IMAGE = "image"
    PAGE_IMAGE = "page_image"
    AUDIO = "audio"


PICTURES = frozenset({Kind.IMAGE, Kind.PAGE_IMAGE})
STRUCTURED = frozenset({Kind.TABLE, Kind.CHART, Kind.INFOGRAPHIC})


class Origin(StrEnum):
    """Where an element's text was read from; text that was recognised or generated is never passed off as native."""

    NATIVE = "native"
    OCR = "ocr"
    PARSE = "parse"
    SPEECH = "speech"
    ALT_TEXT = "alt_text"


class Box(NamedTuple):
    """A rectangle: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Right minus left."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Bottom minus top."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Width times height, 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def intersect(self, other: Box) -> Box:
        """Return the common part; its area is 0 where there is none."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def union(self, other: Box) -> Box:
        """Return the smallest box around both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def covered_by(self, other: Box) -> float:
        """Return the share of this box's area that lies in ``other``, 0 to 1."""
        if self._is_apart(other):
            return 0.0
        return self.intersect(other).area / self.area if self.area else 0.0

    def iou(self, other: Box) -> float:
        """Return intersection over union, 0 to 1."""
        if self._is_apart(other):
            return 0.0
        common = self.intersect(other).area
        total = self.area + other.area - common
        return common / total if total else 0.0

    def _is_apart(self, other: Box) -> bool:
        """Tell what most pairs of boxes are, at a tenth of what it takes to measure."""
        return self.x1 <= other.x0 or other.x1 <= self.x0 or self.y1 <= other.y0 or other.y1 <= self.y0

    def scale(self, x: float, y: float) -> Box:
        """Return the box with its coordinates multiplied."""
        return Box(self.x0 * x, self.y0 * y, self.x1 * x, self.y1 * y)

    def mirrored(self, width: float) -> Box:
        """Return the box as a mirror shows it on a page of this width."""
        return Box(width - self.x1, self.y0, width - self.x0, self.y1)

    def turned_back(self, turns: int, width: float, height: float) -> Box:
        """Return where the box lies on a page of this size, of which it saw ``turns`` quarter turns to the left."""
        box = self
        for turn in reversed(range(turns)):
            side = height if turn % 2 else width
            box = Box(side - box.y1, box.x0, side - box.y0, box.x1)
        return box


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded image (PNG or JPEG) and its size in pixels."""

    data: bytes = field(repr=False)
    width: int
    height: int
    media_type: str = "image/png"

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """``png`` or ``jpeg``."""
        return self.media_type.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A piece of text with its place, as a text layer or an OCR engine gives it. ``confidence`` is 0 to 1."""

    text: str
    box: Box
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table; a spanning cell stands once, at its top-left place (rows and columns count from 0)."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    header: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The cells of a table, sorted by row and column."""

    cells: tuple[Cell, ...]

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[str]], *, headers: int = 0) -> Self:
        """Make a table without spans from rows of text, the first ``headers`` of them header rows."""
        return cls(
            cells=tuple(
                Cell(row=r, column=c, text=text, header=r < headers)
                for r, row in enumerate(rows)
                for c, text in enumerate(row)
            )
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        rows = max((cell.row + cell.row_span for cell in self.cells), default=0)
        return rows, max((cell.column + cell.column_span for cell in self.cells), default=0)

    def rows(self) -> list[list[str]]:
        """Return the grid; a spanning cell's text stands once, its other places are empty."""
        height, width = self.shape
        grid = [[""] * width for _ in range(height)]
        for cell in self.cells:
            grid[cell.row][cell.column] = cell.text
        return grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One piece of a document: a block of text, a table, a picture, a segment of speech.

    ``text`` is what is read: the block, the table in ``table_format``, the chart's labels, the transcript; "" for a
    picture. ``heading`` is 1 for a title, 2.. for deeper headings, 0 for none. ``inside`` names the kind of the table
    or chart whose area holds this block of text: the page's full text has it, its Markdown has the table.
    """

    kind: Kind
    text: str = ""
    page: int = 0
    box: Box | None = None
    page_size: tuple[float, float] | None = None
    heading: int = 0
    inside: Kind | None = None
    picture: Picture | None = None
    table: Table | None = None
    table_format: str = ""
    origin: Origin = Origin.NATIVE
    engine: str = ""
    alt_text: str = ""
    caption: str = ""
    caption_source: str = ""
    start_ms: int = -1
    end_ms: int = -1
    warnings: tuple[str, ...] = ()
    attributes: Mapping[str, type_json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source file and the version of it that is meant.

    ``uri`` is the path or URL as the source gave it; ``format`` is the document type ("pdf", "docx", "txt" ...);
    ``sha256`` is the hex digest of the bytes, "" until they were read; ``version`` is the store's own word for the
    version (modification time and size, or an ETag), cheap to list; ``created`` and ``modified`` are dates as `dates`
    writes them, "" where neither the document nor its source tells.
    """

    uri: str
    key: str
    format: str = ""
    size: int = -1
    sha256: str = ""
    version: str = ""
    created: str = ""
    modified: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.uri.rstrip("/").replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a piece of a chunk stands in the document."""

    page: int
    box: Box | None = None
    page_size: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What becomes one row: a piece of text and the places it came from.

    ``element`` is the position in the extraction of the (first) element of what was split, ``position`` counts the
    chunks of that; ``begins`` is the position of the element that this chunk's text begins in.
    """

    element: int
    position: int
    kind: Kind
    text: str
    begins: int
    tokens: int = 0
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of a collection. ``vector`` is float32 of the collection's dimension."""

    id: str
    document: str
    generation: str
    text: str
    vector: Sequence[float]
    source: Mapping[str, type_json]
    content_metadata: Mapping[str, type_json]
    sparse: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a stage consumed; seconds are wall-clock."""

    requests: int = 0
    retries: int = 0
    items: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Add field by field."""
        return Usage(
            requests=self.requests + other.requests,
            retries=self.retries + other.retries,
            items=self.items + other.items,
            tokens=self.tokens + other.tokens,
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that a document's rows are in a collection: written only after a count at Strong consistency.

    ``document`` is the key, ``sha256`` the hex digest of its bytes, ``generation`` what its rows carry, ``rows`` their
    number, ``finished_at`` the time in UTC, ISO 8601. By stage: ``fingerprints`` of the options, ``seconds`` taken;
    ``counts`` of pages, elements, chunks ... by name.
    """

    document: str
    uri: str
    sha256: str
    collection: str
    generation: str
    rows: int
    run_id: str
    finished_at: str
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    """Digests of the stored pictures, so that a deletion knows which are no longer referenced."""
    contents: str = ""
    """Digest of what was written (`codec.digest_rows`); "" in receipts of former versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a document did not get through: a record, kept until a success replaces it.

    Unpacks like the reference's pair: ``source, message = failure``. ``document`` is the key, ``kind`` the name of the
    error's class, ``category`` one of data, transient, infrastructure, misuse; ``cause`` says why, ``hint`` what to do;
    ``page`` counts from 1 (0: of the whole), ``attempts`` of all runs. ``version`` is the document's; ``fingerprint``
    that of all that decided whether it gets through (`Pipeline.outcome_fingerprint`); ``failed_at`` is when the ledger
    last noted it, in UTC, ISO 8601; "" is not known.
    """

    document: str
    uri: str
    stage: str
    category: str
    kind: str
    cause: str
    hint: str = ""
    page: int = 0
    attempts: int = 1
    index: int = 0
    run_id: str = ""
    version: str = ""
    fingerprint: str = ""
    failed_at: str = field(default="", compare=False)

    @classmethod
    def of(cls, document: Document, stage: Stage, error: BaseException, **more: Any) -> Self:
        """Describe ``error``; one that is not ours counts as an infrastructure failure and keeps its type's name."""
        if isinstance(error, RetrieverError):
            parts = {"category": str(error.category), "cause": error.message, "hint": error.hint, "page": error.page}
        else:
            cause = redact(f"{type(error).__name__}: {error}")
            hint = "This is not an error the package expects; please report it with the document's type."
            parts = {"category": str(Category.INFRASTRUCTURE), "cause": cause, "hint": hint}
        kind = type(error).__name__
        known = {"document": document.key, "uri": document.uri, "version": document.version}
        return cls(stage=str(stage), kind=kind, **{**known, **parts, **more})

    @property
    def message(self) -> str:
        """What, where, why and what next, in at most four lines."""
        page = f" page {self.page}" if self.page else ""
        lines = [f"{self.uri}{page}, {self.stage}: {self.cause}"]
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)

    def __iter__(self) -> Any:
        """Yield the reference's pair: ``"{index}:{source}"`` and the message."""
        yield f"{self.index}:{self.uri}"
        yield self.message

    def __getitem__(self, item: int) -> str:
        """Index the same pair."""
        return (f"{self.index}:{self.uri}", self.message)[item]

    def __len__(self) -> int:
        """Return 2: it is a pair."""
        return 2

    def to_json(self) -> dict[str, type_json]:
        """Return the fields as a JSON object."""
        return asdict(self)


def stable_id(*parts: object) -> str:
    """Return 32 hex digits that depend on ``parts`` alone, on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
