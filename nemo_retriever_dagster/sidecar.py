"""The user's own fields of documents, from a table beside them: a data frame, records, or a file of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec

from nemo_retriever_dagster.errors import InvalidOptionError, Stage, redact
from nemo_retriever_dagster.jsonable import plain
from nemo_retriever_dagster.model import stable_id

if TYPE_CHECKING:
    from nemo_retriever_dagster.model import Document

_Key = TypeVar("_Key", bound=str)

_TAKEN = frozenset(
    {
        *("type", "description", "page_number", "hierarchy", "subtype", "start_time", "end_time", "custom_content"),
        *("audio_metadata", "text_metadata", "image_metadata", "table_metadata", "chart_metadata"),
        *("error_metadata", "info_message_metadata", "debug_metadata", "total_pages", "location", "max_dimensions"),
        *("run_id", "document", "version", "element", "position", "kind", "origin", "embedder"),
    }
)
"""What a row's ``content_metadata`` holds of its own."""
_READERS = {".csv": "read_csv", ".json": "read_json", ".parquet": "read_parquet"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``rows`` are the fields of documents by their path as given, or its last part."""

    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, document: Document) -> Mapping[str, Any]:
        """Return the fields of a document, none where no row names it."""
        return self.rows.get(document.uri) or self.rows.get(document.name, {})

    def marked(self, fingerprints: Mapping[_Key, str], document: Document) -> Mapping[_Key, str]:
        """Return a document's fingerprints by stage: that of the upload is another where it has fields of its own."""
        own = self.of(document)
        if not own:
            return fingerprints
        fields = json.dumps(own, sort_keys=True)
        return {s: stable_id(value, fields) if s == Stage.UPLOAD else value for s, value in fingerprints.items()}


def read_sidecar(table: Any, source_field: str | None, names: Sequence[str]) -> Sidecar:
    """Read the columns ``names`` of a table whose column ``source_field`` names the documents; the first row counts.

    ``table`` is a pandas data frame, a list of mappings, or the path or URI of a CSV, JSON or Parquet file.
    Raises `InvalidOptionError` where the table cannot be read or lacks one of the columns.
    """
    if taken := sorted(_TAKEN & set(names)):
        hint = "Give these columns other names: each row has fields of these names already."
        raise InvalidOptionError(f"meta_fields names {', '.join(taken)}.", hint=hint)
    if not (source_field and names):
        hint = "Name the column that holds the documents' paths or names, and the columns to keep."
        raise InvalidOptionError("meta_dataframe says nothing without meta_source_field and meta_fields.", hint=hint)
    rows: dict[str, dict[str, Any]] = {}
    for row in _records(table):
        for name in (source_field, *names):
            if name not in row:
                raise InvalidOptionError(f"meta_dataframe has no {name!r}.", hint=f"It has {', '.join(map(str, row))}.")
        rows.setdefault(str(row[source_field]), {name: plain(row[name]) for name in names})
    return Sidecar(rows)


def _records(table: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(table, (str, os.PathLike)):
        table = _read(os.fspath(table))
    if not hasattr(table, "to_dict"):
        rows = table if isinstance(table, Sequence) else [table]
        if not all(isinstance(row, Mapping) for row in rows):
            hint = "Pass a pandas data frame, a list of mappings, or the path of a file."
            raise InvalidOptionError("meta_dataframe is no table.", hint=hint)
        return rows
    records: list[Mapping[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return records


def _read(path: str) -> Any:
    import pandas as pd

    reader = _READERS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - a URI is no path
    if reader is None:
        raise InvalidOptionError(f"meta_dataframe {path!r} is no table.", hint=f"Use one of {', '.join(_READERS)}.")
    try:
        with fsspec.open(path, "rb") as file:
            return getattr(pd, reader)(file)
    except Exception as error:
        hint = "Correct the path, or pass the table itself (a pandas data frame)."
        raise InvalidOptionError(redact(f"meta_dataframe {path!r} cannot be read: {error}."), hint=hint) from error
