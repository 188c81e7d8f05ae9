"""The folder in which the results of one ingest are kept, a file a document: filled, purged, removed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.results import LazyLoadedList, file_name, save

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from nemo_retriever_dagster.model import Document
    from nemo_retriever_dagster.results import DocumentResult, Element
    from nemo_retriever_dagster.tasks import SaveTask


class ResultFolder:
    """Where ``save_to_disk()`` writes: the folder it names, else ``default``, else a temporary one of its own."""

    def __init__(self, task: SaveTask, default: str | PathLike[str] | None = None) -> None:
        """Make the folder where there is none."""
        chosen = task.output_directory or default
        self._task = task
        self._path = Path(chosen) if chosen else Path(tempfile.mkdtemp(prefix="nemo_retriever_results_"))
        self._path.mkdir(parents=True, exist_ok=True)

    def keep(self, document: Document, elements: list[Element]) -> LazyLoadedList:
        """Write the elements of a document, and return the list that reads them."""
        compression = self._task.compression
        return save(elements, self._path / file_name(document.uri, compression), compression)

    def purge(self, kept: Iterable[DocumentResult]) -> None:
        """Remove the files of these results; the folder stays."""
        for result in kept:
            if isinstance(result, LazyLoadedList):
                Path(result.filepath).unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove the folder, if the task says so."""
        if self._task.cleanup:
            shutil.rmtree(self._path, ignore_errors=True)
