"""What an extractor is: a function from one file to pages of elements, run in a disposable process.

An extractor knows formats and nothing else: no network, no engine, no Dagster. Where a page cannot be read without an
engine (a scan, a picture, speech) it hands over the picture or the sound, and `nemo_retriever_dagster.stages` asks the
engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from nemo_retriever_dagster.dates import Dates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget
    from nemo_retriever_dagster.model import Element, Picture, Word

TableFormat = Literal["markdown", "html", "pseudo_markdown", "simple"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What to extract. ``method`` is None for the format's default; ``format`` the document type, already resolved."""

    format: str = ""
    method: str | None = None
    text: bool = True
    tables: bool = True
    charts: bool = True
    infographics: bool = False
    images: bool = True
    page_as_image: bool = False
    table_format: TableFormat = "markdown"
    images_method: Literal["group", "simple"] = "group"
    segment_audio: bool = False
    """One element a sentence of speech, with its times, instead of one for the whole."""
    password: str | None = field(default=None, repr=False)
    render_pages: bool = False
    """Hand over a render of every page: an engine (page elements, page parser) will look at it."""
    pages: tuple[int, int] | None = None
    """First and last page that is wanted, where the format can pass others over; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Mono 16-bit PCM speech still to be transcribed."""

    data: bytes = field(repr=False)
    sample_rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What an extractor found on one page (slide, sheet; number 0 for a document without pages).

    ``elements`` are in reading order. ``scan`` is a render of the page, given when its text must be recognised
    (``needs_ocr``) or when ``render_pages`` was asked for; ``words`` is the native text layer, for engines that find
    tables on the render. ``size`` is in the units of the boxes.
    """

    number: int = 0
    size: tuple[float, float] | None = None
    elements: tuple[Element, ...] = ()
    scan: Picture | None = None
    needs_ocr: bool = False
    words: tuple[Word, ...] = ()
    sound: Sound | None = None
    total: int = 0
    """Number of pages of the document, where it is known (else 0)."""
    dates: Dates = field(default_factory=Dates)
    """When the document says that it was made and changed; any page may tell, the first that does is heard."""


class Extractor(Protocol):
    """One format, or a family of formats. Instances hold no state between files."""

    formats: tuple[str, ...]
    """Document types it reads, e.g. ``("pdf",)``."""
    methods: tuple[str, ...]
    """Accepted ``extract_method`` values, the default first; empty where there is no choice."""
    version: str
    """Part of the fingerprint: change it when the same file would give other elements."""

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield the pages of the file at ``path`` one by one; raise a `DataError` where the file is at fault."""
        ...


def check_page(page: Page, budget: Budget) -> None:
    """Count ``page`` against the limits of pages, elements and characters that hold for every format."""
    _count(budget, "pages", 1, page.number)
    _count(budget, "elements", len(page.elements), page.number)
    _count(budget, "text_chars", sum(len(element.text) for element in page.elements), page.number)


def _count(budget: Budget, limit: str, amount: int, page: int) -> None:
    used = budget.spent.get(f"sent {limit}", 0) + amount  # apart from what the extractor itself has spent
    budget.spent[f"sent {limit}"] = used
    budget.check(limit, used, page=page)
