"""The comments on the cells of a sheet: notes, and threads with their replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.ooxml import every, first
from nemo_retriever_dagster.extract.xlsx_cells import rich_text
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.ooxml import Package

_THREADED = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_FOR_OLD_READERS = re.compile(r"\[Threaded comment\].*?\nComment:\s*", re.DOTALL)
"""What Excel writes before the note that stands in for a thread."""


def comments(package: Package, workbook: str, sheet: str) -> Iterator[Element]:
    """Yield the threads of a sheet, one element a remark, then the notes; a note that repeats a thread is left out."""
    threads = _part(package, package.link(sheet, "threadedComment"))
    authors = dict(_authors(package, workbook)) if threads is not None else {}
    threaded = set()
    for node in threads.iterfind(f"{_THREADED}threadedComment") if threads is not None else ():
        cell = node.get("ref", "?")
        threaded.add(cell)
        yield from _comment(cell, node.findtext(f"{_THREADED}text", ""), authors.get(node.get("personId", ""), ""))
    notes = package.link(sheet, "comments")
    for node in every(package.xml(notes), "s:commentList/s:comment") if notes else ():
        body = first(node, "s:text")
        if body is not None and node.get("ref", "?") not in threaded:
            yield from _comment(node.get("ref", "?"), _FOR_OLD_READERS.sub("", rich_text(body), count=1), "")


def _comment(cell: str, text: str, author: str) -> Iterator[Element]:
    if text := text.strip():
        label = f"Comment on {cell} ({author})" if author else f"Comment on {cell}"
        marks = {"author": author} if author else {}
        yield Element(kind=Kind.TEXT, text=f"{label}: {text}", attributes={"part": "comment", **marks})


def _authors(package: Package, workbook: str) -> Iterator[tuple[str, str]]:
    persons = _part(package, package.link(workbook, "person"))
    for node in persons.iterfind(f"{_THREADED}person") if persons is not None else ():
        yield node.get("id", ""), node.get("displayName", "")


def _part(package: Package, part: str) -> _Element | None:
    """Return a part that repeats or completes others, so that one that is missing or damaged costs nothing."""
    try:
        return package.xml(part) if part else None
    except CorruptFileError:
        return None
