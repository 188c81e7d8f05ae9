"""PDF: native text in reading order, tables, charts and pictures from the page's own drawings; renders for engines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.pdf_document import load_page, open_pdf, pdf_dates
from nemo_retriever_dagster.extract.pdf_page import DocumentReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
    from nemo_retriever_dagster.limits import Budget


class PdfExtractor:
    """Reads PDF page by page.

    ``pdfium`` takes the native text; ``pdfium_hybrid`` asks for OCR on pages without usable native text, ``ocr`` on
    every page; ``nemotron_parse`` hands over a render of every page for a page parser, with the native text beside it.
    """

    formats: tuple[str, ...] = ("pdf",)
    methods: tuple[str, ...] = ("pdfium", "pdfium_hybrid", "ocr", "nemotron_parse")
    version: str = "8"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield the pages of a PDF file; one page is in memory at a time.

        Raises `EmptyFileError`, `EncryptedFileError`, `CorruptFileError`, `LimitExceededError`.
        """
        method = options.method or self.methods[0]
        if method not in self.methods:
            hint = f"Use one of {', '.join(self.methods)}."
            raise InvalidOptionError(f"extract_method {method!r} does not read PDF.", hint=hint)
        with open_pdf(path, options.password, budget) as document:
            reader = DocumentReader(options=replace(options, method=method), budget=budget, total=len(document))
            first, last = options.pages or (1, len(document))
            said = pdf_dates(document)
            for index in range(first - 1, min(last, len(document))):
                page = load_page(document, index)
                try:
                    yield replace(reader.read(page, index + 1), dates=said)
                finally:
                    page.close()
