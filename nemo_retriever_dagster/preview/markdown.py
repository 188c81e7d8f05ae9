"""A whole document as one Markdown text, as the stages of an ingest read it, with its caches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.page_markdown import fenced, to_markdown
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.preview.gather import look
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source import Source
from nemo_retriever_dagster.tasks import ExtractTask

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.model import Element
    from nemo_retriever_dagster.preview.gather import Look

READ = Pipeline(extract=ExtractTask(extract_method="pdfium_hybrid"))
"""Native text, OCR on pages that have none, no captions made."""
_ALL = (1, 10**7)
_CODE = ("sh", "json")
"""Types whose text is code: signs in it are no Markdown."""


def markdown(
    path: str | os.PathLike[str],
    pipeline: Pipeline = READ,
    *,
    pages: tuple[int, int] | None = None,
    engines: Engines | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> str:
    """Return the document at ``path`` as GitHub Markdown: headings, lists, tables, captions in reading order.

    A picture gives its caption or alternative text, if it has any. ``pages`` are the first and last that are wanted,
    from 1; without, all. ``storage_options`` go to fsspec, where ``path`` is a URI. Raises `PreviewError` where an
    ingest would record a failure.
    """
    chosen, (first, last) = limits or Limits(), pages or _ALL
    if not 1 <= first <= last:
        raise InvalidOptionError(f"pages are {first} to {last}.", hint="Pages count from 1: 3, or 1-5.")
    found = look(
        Source(path, storage_options=storage_options, limits=chosen),
        {"": pipeline},
        pages=(first, last),
        settings=settings or Settings(),
        limits=chosen,
        engines=engines,
        drawn=False,
    )
    if found.document.format in _CODE:
        return fenced("\n".join(element.text for element in found.elements), found.document.format) + "\n"
    wanted = (element for element in _described(found) if element.page == 0 or first <= element.page <= last)
    return to_markdown(wanted, written=found.document.format == "md")


def _described(found: Look) -> Iterator[Element]:
    """Yield the elements, pictures with the captions that the pipeline made."""
    for position, element in enumerate(found.elements):
        made = found.captions.get(position)
        yield replace(element, caption=made.text, caption_source=made.source) if made else element
