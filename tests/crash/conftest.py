"""One warm process for all crash tests, and a folder for each file of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash.theatre import Company, Theatre

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    made = Company(tmp_path_factory.mktemp("company"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory, company: Company) -> Theatre:
    return Theatre(tmp_path_factory.mktemp("theatre"), company)
