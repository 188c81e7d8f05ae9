"""A look at one document before it is ingested: what is read from each page, how it is cut, what it is embedded under.

The stages are those of an ingest, with its caches: what a preview made, an ingest does not make again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.limits import Limits
from nemo_retriever_dagster.pipeline import Pipeline
from nemo_retriever_dagster.preview.gather import PreviewError, look
from nemo_retriever_dagster.preview.markdown import READ, markdown
from nemo_retriever_dagster.preview.report import report
from nemo_retriever_dagster.preview.variants import AS_IT_IS
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source import Source
from nemo_retriever_dagster.tasks import CaptionTask, DedupTask, EmbedTask, FilterTask, SplitTask

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from nemo_retriever_dagster.engines.ports import Engines

__all__ = ["DEFAULT", "PAGES", "READ", "PreviewError", "markdown", "preview"]

DEFAULT = Pipeline(dedup=DedupTask(), filter=FilterTask(), split=SplitTask(), caption=CaptionTask(), embed=EmbedTask())
"""All tasks with their defaults."""
PAGES = (1, 20)
"""The first and last page that are shown."""


def preview(
    path: str | os.PathLike[str],
    pipeline: Pipeline = DEFAULT,
    *,
    compare: Mapping[str, Pipeline] | None = None,
    pages: tuple[int, int] = PAGES,
    engines: Engines | None = None,
    settings: Settings | None = None,
    limits: Limits | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> str:
    """Return one self-contained HTML page that shows how ``pipeline`` reads and cuts the document at ``path``.

    ``compare`` are two pipelines by label whose chunks are shown side by side, instead of those of ``pipeline``; they
    are to extract alike. ``pages`` are the first and last to show, from 1: all are read, as the chunks depend on it.
    ``storage_options`` go to fsspec, where ``path`` is a URI. Nothing is embedded or uploaded. Raises `PreviewError`
    where an ingest would record a failure.
    """
    chosen, (first, last) = limits or Limits(), pages
    if not 1 <= first <= last:
        raise InvalidOptionError(f"pages are {first} to {last}.", hint="Pages count from 1: 3, or 1-5.")
    found = look(
        Source(path, storage_options=storage_options, limits=chosen),
        compare or {AS_IT_IS: pipeline},
        pages=pages,
        settings=settings or Settings(),
        limits=chosen,
        engines=engines,
    )
    return report(found)
