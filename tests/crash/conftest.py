"""One warm process for each file of crash tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash.theatre import Theatre

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    made = Theatre(tmp_path_factory.mktemp("theatre"))
    try:
        yield made
    finally:
        made.close()
