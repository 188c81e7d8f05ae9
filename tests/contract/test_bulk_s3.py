"""Bulk loads through S3 itself: the server and this process see one bucket, as they do in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers import s3
from servers.milvus_server import BUCKET, S3_KEY, MilvusServer, started
from servers.process import free_port, serving

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import StoreUnavailableError
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.testing.store_suite import records
from nemo_retriever_dagster.vdb.bulk import Bucket, bulk_load
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[MilvusServer]:
    program = s3.binary()
    if program is None:
        pytest.skip(f"s3rver is not installed: {s3.INSTALL}")
    with started(s3=program) as server:
        yield server


@pytest.fixture(scope="module")
def endpoint(server: MilvusServer) -> Iterator[str]:
    """The address of the server's bucket as this process sees it."""
    port = free_port()
    command = [str(s3.binary()), "-a", "127.0.0.1", "-p", str(port), "-d", str(server.objects), "--no-vhost-buckets"]
    legacy = {"NODE_OPTIONS": "--openssl-legacy-provider"}
    with serving(command, port, server.folder / "s3.log", environment=legacy):
        yield f"127.0.0.1:{port}"


def objects(server: MilvusServer, folder: str) -> list[Path]:
    return list((server.objects / BUCKET).glob(f"{folder}/**/*._S3rver_object"))


def test_parquet_files_reach_the_server_through_its_bucket(server: MilvusServer, endpoint: str) -> None:
    bucket = Bucket.of_minio(endpoint=endpoint, access_key=S3_KEY, secret_key=S3_KEY, bucket_name=BUCKET)
    with MilvusStore(server.uri) as store:
        store.ensure(CollectionSpec(name="bulk", dimension=4), recreate=True)
        rows = [*records(2_000), *records(10, document='it\'s "other"', prefix="other")]
        assert bulk_load(store, "bulk", rows, bucket) == 2_010
        assert store.census("bulk") == {"doc": {"g1": 2_000}, 'it\'s "other"': {"g1": 10}}
        hit = store.search("bulk", vector=[7, 0, 0, 1], top_k=1, where="document == {d}", values={"d": "doc"})[0]
        assert (hit.id, hit.text, hit.content_metadata) == ("doc-0007", "row number 7", {"page_number": 7})
    assert objects(server, "files/insert_log"), "the server keeps its own data in the bucket"
    assert not objects(server, "nemo_retriever"), "the files of the load are removed"


def test_an_ingest_loads_in_bulk(server: MilvusServer, endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("A sentence about wheels and bolts. " * 400)
    with MilvusStore(server.uri) as store:
        for size in (32, 64):  # the second is a re-index: into a new collection, in bulk too
            engines = Engines(embedder=Named(size))
            chain = Ingestor(engines=engines, settings=Settings(state_dir=tmp_path / "state"), workers=1)
            chain.files(str(tmp_path / "one.txt")).extract().split(chunk_size=20).embed()
            chain.vdb_upload(
                collection_name="books",
                milvus_uri=server.uri,
                reindex=True,
                stream=False,
                threshold=50,
                minio_endpoint=endpoint,
                access_key=S3_KEY,
                secret_key=S3_KEY,
                bucket_name=BUCKET,
            )
            (result,) = chain.ingest()
            assert store.count("books") == len(result) > 50
        assert store.alias_target("books") == "books_v2"


class Named(HashEmbedder):
    @property
    def name(self) -> str:
        return f"model-{self.dimension}"


def test_a_bucket_that_is_not_the_servers_is_named(server: MilvusServer, endpoint: str) -> None:
    bucket = Bucket.of_minio(endpoint=endpoint, access_key=S3_KEY, secret_key=S3_KEY, bucket_name="another")
    with MilvusStore(server.uri) as store:
        store.ensure(CollectionSpec(name="nowhere", dimension=4), recreate=True)
        with pytest.raises(StoreUnavailableError, match="cannot import") as caught:
            bulk_load(store, "nowhere", records(1), bucket)
    assert "bucket must be the one that the Milvus server itself uses" in caught.value.hint
