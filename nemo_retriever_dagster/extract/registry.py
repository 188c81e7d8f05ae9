"""Which extractor reads which format: one line a format; modules are imported when a format is first met."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import UnsupportedFormatError

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.contract import Extractor

_HERE = "nemo_retriever_dagster.extract"

EXTRACTORS: dict[str, str] = {
    "pdf": f"{_HERE}.pdf:PdfExtractor",
    "txt": f"{_HERE}.text:TextExtractor",
    "md": f"{_HERE}.text:TextExtractor",
    "sh": f"{_HERE}.text:TextExtractor",
    "json": f"{_HERE}.text:TextExtractor",
    "html": f"{_HERE}.html:HtmlExtractor",
    "csv": f"{_HERE}.csv:CsvExtractor",
    "xlsx": f"{_HERE}.xlsx:XlsxExtractor",
    "docx": f"{_HERE}.docx:DocxExtractor",
    "pptx": f"{_HERE}.pptx:PptxExtractor",
    "png": f"{_HERE}.image:ImageExtractor",
    "jpeg": f"{_HERE}.image:ImageExtractor",
    "bmp": f"{_HERE}.image:ImageExtractor",
    "tiff": f"{_HERE}.image:ImageExtractor",
    "webp": f"{_HERE}.image:ImageExtractor",
    "svg": f"{_HERE}.svg:SvgExtractor",
    "mp3": f"{_HERE}.audio:AudioExtractor",
    "wav": f"{_HERE}.audio:AudioExtractor",
    "m4a": f"{_HERE}.audio:AudioExtractor",
    "flac": f"{_HERE}.audio:AudioExtractor",
    "mp4": f"{_HERE}.audio:AudioExtractor",
    "mov": f"{_HERE}.audio:AudioExtractor",
    "avi": f"{_HERE}.audio:AudioExtractor",
    "mkv": f"{_HERE}.audio:AudioExtractor",
    "eml": f"{_HERE}.eml:EmlExtractor",
    "epub": f"{_HERE}.epub:EpubExtractor",
}
"""Document type -> ``module:class``."""

IN_PARTS = frozenset({EXTRACTORS["pdf"]})
"""Extractors that read a range of pages as they read the whole, and tell on each page how many there are."""

PLAIN = frozenset({"txt", "md", "sh", "json", "html", "csv"})
"""Document types that no engine is ever asked about: their results do not depend on one."""

EXTENSIONS: dict[str, str] = {
    **{name: name for name in EXTRACTORS},
    "text": "txt",
    "log": "txt",
    "markdown": "md",
    "htm": "html",
    "xhtml": "html",
    "jpg": "jpeg",
    "tif": "tiff",
}
"""File extension (lower case, no dot) -> document type."""


@cache
def extractor_for(format_name: str) -> Extractor:
    """Return the extractor of a document type; raise `UnsupportedFormatError` for an unknown one."""
    target = EXTRACTORS.get(format_name)
    if target is None:
        raise UnsupportedFormatError(f"No extractor reads documents of type {format_name or 'unknown'!r}.")
    module, _, name = target.partition(":")
    extractor: Extractor = getattr(importlib.import_module(module), name)()
    return extractor
