"""Fixtures for all tests: the shared corpora, and servers that start when a test first asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy machine", deadline=None)  # a slow moment is no failure
settings.load_profile("busy machine")

pytest_plugins = ["servers.postgres", "servers.s3"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of corpora and benchmarks beside the repository."""
    path = Path(__file__).resolve().parents[1].parent / "shared"
    if not path.is_dir():
        pytest.skip("the shared corpora are not beside the repository")
    return path
