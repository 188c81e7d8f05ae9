"""Files that tell an extractor of `faulty_extractors` what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file of a type with a content, each under a name of its own."""

    def write(kind: str, content: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{kind}"
        path.write_text(content)
        return path

    return write
