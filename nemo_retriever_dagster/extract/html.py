"""HTML: text by blocks, headings with their level, lists, tables as tables; what a browser would not show is out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.encoding import Decoded, decode
from nemo_retriever_dagster.extract.html_blocks import Blocks
from nemo_retriever_dagster.extract.html_picture import FindPicture, embedded_pictures
from nemo_retriever_dagster.extract.html_scan import check_depth
from nemo_retriever_dagster.extract.html_xml import as_html, is_xhtml
from nemo_retriever_dagster.extract.xml import declared_encoding
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selectolax.lexbor import LexborHTMLParser

    from nemo_retriever_dagster.limits import Budget

_CHARSET = re.compile(rb"""<meta[^>]{0,500}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_CHARSET_WITHIN = 4096


class HtmlExtractor:
    """Reads html; scripts, styles, templates and hidden elements give no text, nothing is fetched."""

    formats = ("html",)
    methods: tuple[str, ...] = ()
    version = "3"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page without a number."""
        size = path.stat().st_size
        budget.check("file_bytes", size)
        budget.check("text_chars", size // 4)
        decoded = decoded_page(path.read_bytes(), budget)
        elements = html_elements(decoded.text, options, budget)
        if decoded.warnings:
            elements = [*elements, Element(kind=Kind.TEXT, warnings=decoded.warnings)]
        yield Page(elements=tuple(elements))


def decoded_page(data: bytes, budget: Budget, *, xhtml: bool = False) -> Decoded:
    """Return the text of a page in the encoding that it declares; XHTML (``xhtml``, or it says so itself) as HTML.

    Raise `LimitExceededError` where it is nested too deeply to be parsed.
    """
    charset = _CHARSET.search(data[:_CHARSET_WITHIN])
    decoded = decode(data, charset[1].decode("ascii") if charset else declared_encoding(data), budget)
    if xhtml or is_xhtml(decoded.text):
        decoded = replace(decoded, text=as_html(decoded.text))
    check_depth(decoded.text, budget)
    return decoded


def html_elements(text: str, options: ExtractOptions, budget: Budget) -> list[Element]:
    """Return the elements of an HTML text whose depth was checked; its title stands in for a missing heading."""
    title, elements = read_page(text, options, embedded_pictures(options, budget))
    if title and options.text and not any(element.heading == 1 for element in elements):
        return [Element(kind=Kind.TEXT, text=title, heading=1), *elements]
    return elements


def read_page(text: str, options: ExtractOptions, find_picture: FindPicture) -> tuple[str, list[Element]]:
    """Return the title and the elements of an HTML text whose depth was checked."""
    document = _parsed(text)
    blocks = Blocks(options, find_picture)
    if document.body is not None:
        blocks.read(document.body)
    return _title(document), blocks.finish()


def _parsed(text: str) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    try:
        return LexborHTMLParser(text)
    except SelectolaxError as error:
        raise CorruptFileError(f"The HTML parser gave up: {error}.") from None


def _title(document: LexborHTMLParser) -> str:
    node = document.css_first("head > title")
    return " ".join(node.text().split()) if node else ""
