"""Results on disk: names that a file system takes, files that are whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nemo_retriever_dagster.results import file_name, save

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_names_are_counted_in_bytes() -> None:
    names = {file_name(f"/docs/{letter * 200}.txt", "gzip") for letter in ("\u6587", "\U0001f4c4", "a")}
    assert len(names) == 3
    assert all(len(name.encode()) < 200 for name in names)


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path) -> None:
    def elements() -> Iterator[dict[str, Any]]:
        yield {"document_type": "text"}
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        save(elements(), tmp_path / "a.jsonl", None)
    assert list(tmp_path.iterdir()) == []
