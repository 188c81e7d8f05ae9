from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus.client.grpc_handler import GrpcHandler
from pymilvus.client.types import BulkInsertState
from servers.milvus_server import MilvusServer, started

from nemo_retriever_dagster.errors import InvalidOptionError, StoreUnavailableError
from nemo_retriever_dagster.testing.store_suite import VectorStoreSuite, records
from nemo_retriever_dagster.vdb.bulk import Bucket, bulk_load
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[MilvusServer]:
    with started() as server:
        yield server


class TestMilvusServer(VectorStoreSuite):
    @pytest.fixture
    def store(self, server: MilvusServer) -> Iterator[MilvusStore]:
        with MilvusStore(server.uri) as store:
            yield store


def test_a_bulk_load_is_searched_replaced_and_deleted_like_any_rows(server: MilvusServer) -> None:
    bucket = Bucket(uri=f"file://{server.folder / 'base' / 'data' / 'import'}")  # this server's bucket is a folder
    with MilvusStore(server.uri) as store:
        store.ensure(CollectionSpec(name="bulk", dimension=4), recreate=True)
        assert bulk_load(store, "bulk", [], bucket) == 0
        rows = [*records(1_000), *records(10, document='it\'s "other"', prefix="other")]
        assert bulk_load(store, "bulk", rows, bucket) == 1_010
        assert store.census("bulk") == {"doc": {"g1": 1_000}, 'it\'s "other"': {"g1": 10}}
        hit = store.search("bulk", vector=[7, 0, 0, 1], top_k=1, where="document == {d}", values={"d": "doc"})[0]
        assert (hit.id, hit.text, hit.content_metadata) == ("doc-0007", "row number 7", {"page_number": 7})
        assert not list((server.folder / "base" / "data" / "import").iterdir()), "the files are removed"

        with pytest.raises(InvalidOptionError, match="already have rows"):
            bulk_load(store, "bulk", records(1), bucket)
        store.upsert("bulk", records(5, generation="g2"))
        store.delete("bulk", "doc", keep_generation="g2")
        assert store.census("bulk")["doc"] == {"g2": 5}


@pytest.mark.parametrize("files", ["told", "not told"])
def test_an_import_that_outlived_its_process_does_not_double_rows(
    server: MilvusServer, monkeypatch: pytest.MonkeyPatch, files: str
) -> None:
    place = server.folder / "base" / "data" / "outlived"
    bucket = Bucket(uri=f"file://{place}")
    if files == "not told":  # as by newer servers
        monkeypatch.setattr(BulkInsertState, "files", "")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with MilvusStore(server.uri) as store:
        store.ensure(CollectionSpec(name="outlived", dimension=4), recreate=True)
        with monkeypatch.context() as patch:
            patch.setattr(GrpcHandler, "get_bulk_insert_state", killed)
            with pytest.raises(KeyboardInterrupt):
                bulk_load(store, "outlived", records(500), bucket)
        assert [path.name for path in place.glob("*/*")] == ["0000.parquet"], "the server still reads it"
        assert bulk_load(store, "outlived", records(500, generation="g2"), bucket) == 500
        assert store.census("outlived") == {"doc": {"g2": 500}}
        assert not list(place.iterdir())


def test_a_bucket_that_cannot_be_written_is_named(server: MilvusServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with MilvusStore(server.uri) as store:
        store.ensure(CollectionSpec(name="bulk2", dimension=4), recreate=True)
        with pytest.raises(StoreUnavailableError, match="bucket"):
            bulk_load(store, "bulk2", records(1), Bucket(uri=f"file://{tmp_path / 'file' / 'x'}"))


def test_gpu_index_on_a_server_without_gpu_says_what_to_do(server: MilvusServer) -> None:
    with MilvusStore(server.uri) as store, pytest.raises(InvalidOptionError, match="GPU_CAGRA"):
        store.ensure(CollectionSpec(name="gpu", dimension=4, gpu_index=True))
    with MilvusStore(server.uri) as store:
        assert not store.exists("gpu"), "a collection without its index is not left behind"
