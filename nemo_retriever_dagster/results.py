"""Results of an ingest: lists of element objects in memory, or lists that read them from disk when asked."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, overload

from nemo_retriever_dagster.model import stable_id

if TYPE_CHECKING:
    from collections.abc import Iterable

Element = dict[str, Any]
"""One object of the reference's result shape: ``document_type`` and ``metadata``."""

_NAME_BYTES = 120


class LazyLoadedList(Sequence[Element]):
    """The elements of one document in a JSONL file, read when they are looked at; only the offsets stay in memory.

    Indexing counts from either end; a slice is refused because it would load what this class exists not to load. A
    gzipped file is read from its start for every index: iterate, or keep the files plain.
    """

    def __init__(self, filepath: str | Path, expected_len: int | None = None, compression: str | None = None) -> None:
        """Read from ``filepath``; ``expected_len`` saves counting; ``compression`` None or "gzip"."""
        self.filepath = str(filepath)
        self.compression = compression
        self._len = expected_len
        self._offsets: list[int] | None = None

    def __repr__(self) -> str:
        """Name the file and the length, where it is known."""
        length = "?" if self._len is None else self._len
        return f"LazyLoadedList({Path(self.filepath).name!r}, len={length})"

    def __len__(self) -> int:
        """Return the number of elements; a purged file keeps the length it had."""
        if self._len is None:
            self._len = sum(1 for _ in self)
        return self._len

    def __iter__(self) -> Iterator[Element]:
        """Read the elements one by one; raise `FileNotFoundError` if the file was purged."""
        with self._open() as lines:
            for line in lines:
                yield json.loads(line)

    @overload
    def __getitem__(self, index: int) -> Element: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Element]: ...
    def __getitem__(self, index: int | slice) -> Element | Sequence[Element]:
        """Return one element; raise `IndexError` where there is none, `TypeError` for a slice."""
        if isinstance(index, slice):
            raise TypeError("A lazily loaded list has no slices: use get_all_items()[...] to load it whole.")
        if not Path(self.filepath).exists():
            raise IndexError(f"{self.filepath} is gone: it was purged after the upload, or cleaned up.")
        position = index if index >= 0 else index + len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"Element {index} of {len(self)}.")
        return self._at(position)

    def get_all_items(self) -> list[Element]:
        """Load the whole file."""
        return list(self)

    def _open(self) -> TextIO:
        if self.compression == "gzip":
            return gzip.open(self.filepath, "rt", encoding="utf-8")
        return Path(self.filepath).open(encoding="utf-8")

    def _at(self, position: int) -> Element:
        if self.compression == "gzip":
            return next(element for i, element in enumerate(self) if i == position)
        with Path(self.filepath).open("rb") as file:
            file.seek(self._offset(position))
            found: Element = json.loads(file.readline())
        return found

    def _offset(self, position: int) -> int:
        if self._offsets is None:
            self._offsets = [0]
            with Path(self.filepath).open("rb") as file:
                for line in file:
                    self._offsets.append(self._offsets[-1] + len(line))
        return self._offsets[position]


DocumentResult = list[Element] | LazyLoadedList
"""The elements of one document."""


def file_name(source: str, compression: str | None) -> str:
    """Return the name of a document's result file: readable, and its own even among equal base names."""
    whole = re.sub(r"[^-\w.]", "", Path(source).name.replace(" ", "_"))
    base = whole.encode()[:_NAME_BYTES].decode(errors="ignore") or "document"  # a file system counts bytes
    suffix = ".gz" if compression == "gzip" else ""
    return f"{base}.{stable_id(source)[:8]}.results.jsonl{suffix}"


def _writing(path: Path, compression: str | None) -> TextIO:
    if compression == "gzip":
        return gzip.open(path, "wt", encoding="utf-8", compresslevel=1)
    return path.open("w", encoding="utf-8")


def save(elements: Iterable[Element], path: Path, compression: str | None) -> LazyLoadedList:
    """Write elements one a line and return the list that reads them; the file appears whole or not at all."""
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
    count = 0
    try:
        with _writing(part, compression) as file:
            for element in elements:
                file.write(json.dumps(element, ensure_ascii=False) + "\n")
                count += 1
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return LazyLoadedList(path, expected_len=count, compression=compression)
