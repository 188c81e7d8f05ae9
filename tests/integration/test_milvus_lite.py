import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from nemo_retriever_dagster.errors import InvalidOptionError, StoreLockedError, StoreUnavailableError
from nemo_retriever_dagster.testing.store_suite import record, records
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.lease import Lease
from nemo_retriever_dagster.vdb.milvus import MilvusStore
from nemo_retriever_dagster.vdb.milvus_rows import batches
from nemo_retriever_dagster.vdb.milvus_schema import index

ROOT = Path(__file__).resolve().parents[2]
SPEC = CollectionSpec(name="c", dimension=4)
WRITE_FOREVER = """
import sys
from nemo_retriever_dagster.testing.store_suite import records
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore
store = MilvusStore(sys.argv[1], what="writer", run_id="run-1")
store.ensure(CollectionSpec(name="c", dimension=4))
for at in range(10**6):
    store.upsert("c", records(20, document=f"doc{at}"))
    print(at, flush=True)
"""
PLAIN = """
import sys, time
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
print("open", flush=True)
time.sleep(600)
"""


def start(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_stores_in_one_process_share_one_milvus_lite(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    (tmp_path / "link").symlink_to(tmp_path)
    first, second = MilvusStore(str(path)), MilvusStore(str(tmp_path / "link" / "milvus.db"))
    first.ensure(SPEC)
    second.upsert("c", records(3))
    assert first.client is second.client
    first.close()
    assert second.count("c") == 3
    second.close()
    open_and_count = "import sys; from nemo_retriever_dagster.vdb.milvus import MilvusStore; print(MilvusStore(sys.argv[1]).count('c'))"
    done = start(open_and_count, path).communicate(timeout=60)
    assert done[0] == "3\n", "closed by its last user, it is free for another process"


def test_what_a_write_or_a_deletion_that_broke_off_has_done_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MilvusStore(str(tmp_path / "milvus.db"))
    store.ensure(SPEC)
    store.upsert("c", records(2, document="kept"))
    assert store.count("c", "kept") == 2
    for name, change in (
        ("upsert", lambda: store.upsert("c", records(3, document="new"))),
        ("delete", lambda: store.delete("c", "kept")),
    ):
        asked = getattr(MilvusClient, name)

        def broken_off(*given: Any, asked: Any = asked, **options: Any) -> None:
            asked(*given, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(MilvusClient, name, broken_off)
            with pytest.raises(KeyboardInterrupt):
                change()
    assert (store.count("c", "new"), store.count("c", "kept")) == (3, 0)
    store.close()


def test_a_store_that_cannot_be_flushed_is_left_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(collection: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), collection)

    path = tmp_path / "milvus.db"
    store = MilvusStore(str(path))
    store.ensure(SPEC)
    store.upsert("c", records(3))
    monkeypatch.setattr(store.client, "flush", full)
    with pytest.raises(StoreUnavailableError, match=r"cannot flush.*No space left on device: 'c'") as caught:
        store.close()
    assert "Free some space" in caught.value.hint
    Lease(path, wait=0.0).acquire().release()
    store.close()  # once more does nothing
    with MilvusStore(str(path)) as again:
        assert again.count("c") == 3


def test_what_another_dropped_or_renamed_does_not_keep_a_store_open(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    writer, other = MilvusStore(str(path)), MilvusStore(str(path))
    for name in ("dropped", "moved", "renamed"):
        writer.ensure(replace(SPEC, name=name))
        writer.upsert(name, records(3))
    writer.rename("renamed", "renamed_v1")
    other.drop("dropped")
    other.rename("moved", "moved_v1")
    other.close()
    writer.close()
    Lease(path, wait=0.0).acquire().release()


def test_vectors_are_as_long_as_the_collection_says_now(tmp_path: Path) -> None:
    one, other = (MilvusStore(str(tmp_path / "milvus.db")) for _ in range(2))
    with one, other:
        one.ensure(SPEC)
        assert (one.dimension("c"), other.dimension("c")) == (SPEC.dimension, SPEC.dimension)
        other.ensure(CollectionSpec(name="c", dimension=SPEC.dimension + 1), recreate=True)
        assert one.dimension("c") == SPEC.dimension + 1
        one.ensure(CollectionSpec(name="d", dimension=7))
        other.set_alias("alias", "c")
        assert one.dimension("alias") == SPEC.dimension + 1
        other.set_alias("alias", "d")
        assert one.dimension("alias") == 7


def test_scores_are_by_the_metric_that_serves_now(tmp_path: Path) -> None:
    one, other = (MilvusStore(str(tmp_path / "milvus.db")) for _ in range(2))
    with one, other:
        for metric in ("L2", "COSINE"):
            other.ensure(replace(SPEC, name=metric, metric=metric), recreate=True)
            other.upsert(metric, records(3))
            other.set_alias("alias", metric)
            (hit,) = one.search("alias", vector=[4, 0, 0, 2], top_k=1)
            assert (hit.id, hit.score) == ("doc-0002", pytest.approx(1.0 if metric == "COSINE" else 1 / 6))


def test_a_killed_writer_loses_no_acknowledged_row_and_frees_the_store(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    writer = start(WRITE_FOREVER, path)
    assert writer.stdout is not None
    for _ in range(10):
        acknowledged = int(writer.stdout.readline())
    with (
        pytest.raises(StoreLockedError, match=rf"process {writer.pid} \(writer, run run-1\)"),
        MilvusStore(str(path), wait=0.0) as store,
    ):
        store.count("c")
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = int((writer.communicate()[0].split() or [acknowledged])[-1])
    with MilvusStore(str(path), wait=10.0) as store:
        census = store.census("c")
        assert all(census[f"doc{at}"] == {"g1": 20} for at in range(acknowledged + 1))
        store.upsert("c", records(20, document="doc0"))
        assert store.count("c", "doc0") == 20


def test_a_script_without_our_lease_is_named(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    script = start(PLAIN, path)
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=f"process {script.pid} "):
            MilvusStore(str(path), wait=0.0).count("c")
    finally:
        script.kill()
        script.communicate()


def test_a_store_of_an_old_version_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "milvus.db").write_bytes(b"SQLite format 3\x00")
    with pytest.raises(StoreUnavailableError, match="is a file"):
        MilvusStore(str(tmp_path / "milvus.db")).count("c")
    (tmp_path / "milvus.db").unlink()
    with MilvusStore(str(tmp_path / "milvus.db")) as store:  # the failed try left nothing locked
        store.ensure(SPEC)


def test_a_collection_of_another_program_is_refused_before_any_work(tmp_path: Path) -> None:
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=True)
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        store.client.create_collection("theirs", schema=schema)
        with pytest.raises(InvalidOptionError, match="another program") as caught:
            store.ensure(CollectionSpec(name="theirs", dimension=4))
        assert "recreate=True" in caught.value.hint
        store.ensure(CollectionSpec(name="theirs", dimension=4), recreate=True)


def test_a_collection_with_vectors_elsewhere_is_not_searched(tmp_path: Path) -> None:
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        schema = MilvusClient.create_schema()
        schema.add_field("id", DataType.VARCHAR, max_length=9, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=4)
        store.client.create_collection("theirs", schema=schema)
        with pytest.raises(InvalidOptionError, match="'theirs' has no field 'vector'"):
            store.search("theirs", vector=[0.0] * 4)


def test_a_collection_dropped_while_it_is_searched_is_one_that_is_not_there(tmp_path: Path) -> None:
    class Dropping(MilvusStore):
        def flush(self, collection: str) -> None:
            super().flush(collection)
            self.client.drop_collection(collection)

    with Dropping(str(tmp_path / "milvus.db")) as store:
        store.ensure(replace(SPEC, sparse=True))
        with pytest.raises(InvalidOptionError, match=f"There is no collection '{SPEC.name}'"):
            store.search(SPEC.name, text="pump", mode="sparse")


def test_a_collection_whose_index_is_refused_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MilvusStore(str(tmp_path / "milvus.db")) as store:
        create = store.client.create_collection

        def without_index(name: str, *, index_params: object, **options: object) -> None:
            create(name, **options)
            raise RuntimeError(f"invalid index type: {index_params}")

        with monkeypatch.context() as patch:
            patch.setattr(store.client, "create_collection", without_index)
            with pytest.raises(InvalidOptionError, match="refuses the index"):
                store.ensure(SPEC)
        assert store.collections() == []
        store.ensure(SPEC)


@pytest.mark.parametrize("message", ["deadline exceeded", "at most one distinct index is allowed per field"])
def test_a_collection_that_another_made_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    with MilvusStore(str(tmp_path / "milvus.db")) as store, MilvusStore(str(tmp_path / "milvus.db")) as other:
        create = store.client.create_collection

        def late(*arguments: object, **options: object) -> None:
            create(*arguments, **options)
            other.upsert("c", records(3))
            raise RuntimeError(message)

        monkeypatch.setattr(store.client, "create_collection", late)
        with pytest.raises((InvalidOptionError, StoreUnavailableError), match=message):
            store.ensure(SPEC)
        assert other.count("c") == 3


def test_no_server_is_an_error_without_the_password() -> None:
    store = MilvusStore("http://user:hunter22@127.0.0.1:9", username="user", password="hunter22", token="tok3n-value")
    with pytest.raises(StoreUnavailableError) as caught:
        store.count("c")
    shown = f"{caught.value} {store!r} {store.address!r}"
    assert "127.0.0.1:9" in shown
    assert "hunter22" not in f"{caught.value} {store!r}"
    assert "tok3n" not in shown


@pytest.mark.parametrize("uri", ["milvus", "ftp://x/milvus.db", "", "milvus.sqlite"])
def test_a_uri_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(InvalidOptionError, match="milvus_uri"):
        MilvusStore(uri)


def test_requests_are_bounded_by_rows_and_bytes() -> None:
    rows = [record(at, text="x" * 1_000) for at in range(10)]
    sizes = [len(batch) for batch in batches(rows, 4, 4, 2**20)]
    assert sizes == [4, 4, 2]
    sizes = [len(batch) for batch in batches(rows, 4, 100, 3_500)]
    assert sizes == [3, 3, 3, 1]
    assert [len(batch) for batch in batches(rows, 4, 100, 1)] == [1] * 10


def test_index_parameters_reach_the_index_they_belong_to() -> None:
    def parameters(*, lite: bool = False, gpu_index: bool = False, **given: object) -> dict[str, object]:
        spec = CollectionSpec(name="c", dimension=4, gpu_index=gpu_index, index=given)
        [made] = index(spec, lite=lite)
        return {"index_type": made.index_type, **made.to_dict(), **made.to_dict().get("params", {})}

    assert parameters(lite=True, gpu_index=True)["index_type"] == "FLAT"
    hnsw = parameters(m=16, ef_construction=99, graph_degree=3)
    assert (hnsw["index_type"], hnsw["M"], hnsw["efConstruction"]) == ("HNSW", 16, 99)
    assert "graph_degree" not in hnsw
    cagra = parameters(gpu_index=True, graph_degree=77, adapt_for_cpu="true", m=16)
    assert (cagra["index_type"], cagra["graph_degree"], cagra["adapt_for_cpu"]) == ("GPU_CAGRA", 77, "true")
    assert (cagra["intermediate_graph_degree"], cagra["build_algo"]) == (128, "NN_DESCENT")
    assert "M" not in cagra
    assert parameters(index_type="IVF_FLAT", nlist=64)["nlist"] == 64
