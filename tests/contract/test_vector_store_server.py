import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_retriever_dagster.testing.store_suite import VectorStoreSuite
from nemo_retriever_dagster.vdb.milvus import MilvusStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))
from milvus_server import CannotStart, MilvusServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[MilvusServer]:
    server = MilvusServer()
    try:
        server.start()
    except CannotStart as error:
        pytest.skip(f"no Milvus server: {error}")
    yield server
    server.stop()


class TestMilvusServer(VectorStoreSuite):
    @pytest.fixture
    def store(self, server: MilvusServer) -> Iterator[MilvusStore]:
        with MilvusStore(server.uri) as store:
            yield store
