"""Fakes and conformance suites for users' own tests: real servers and real in-memory parts, no mocks.

Names are imported when they are first used, so that each part asks only for what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemo_retriever_dagster.testing.engines import WatchedEmbedder
    from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
    from nemo_retriever_dagster.testing.nim_faults import Fault, FaultKind
    from nemo_retriever_dagster.testing.nim_server import NimServer
    from nemo_retriever_dagster.testing.riva_server import RivaServer
    from nemo_retriever_dagster.testing.store import InMemoryStore
    from nemo_retriever_dagster.testing.store_suite import VectorStoreSuite

_HOMES = {
    "Fault": "nim_faults",
    "FaultKind": "nim_faults",
    "HashEmbedder": "nim_answers",
    "InMemoryStore": "store",
    "NimServer": "nim_server",
    "RivaServer": "riva_server",
    "VectorStoreSuite": "store_suite",
    "WatchedEmbedder": "engines",
}
__all__ = [
    "Fault",
    "FaultKind",
    "HashEmbedder",
    "InMemoryStore",
    "NimServer",
    "RivaServer",
    "VectorStoreSuite",
    "WatchedEmbedder",
]


def __getattr__(name: str) -> Any:
    """Import the module that has ``name``."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
