from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.testing.store_suite import VectorStoreSuite
from nemo_retriever_dagster.vdb.milvus import MilvusStore


class TestInMemory(VectorStoreSuite):
    @pytest.fixture
    def store(self) -> InMemoryStore:
        return InMemoryStore()


class TestMilvusLite(VectorStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[MilvusStore]:
        with MilvusStore(str(tmp_path / "milvus.db")) as store:
            yield store
