"""A flush of Milvus Lite that was cut short: the next to open the store ends it."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.model import Record
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.lite_mend import finish_flushes
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path


def records(document: str, count: int) -> list[Record]:
    return [
        Record(
            id=f"{document}-{n}",
            document=document,
            generation="g",
            text=f"row {n}",
            vector=[1.0, float(n)],
            source={},
            content_metadata={},
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("kept", ["wal_*.arrow", "wal_delta_*.arrow"])
def test_the_logs_of_a_finished_flush_are_removed_before_the_store_is_opened(tmp_path: Path, kept: str, caplog) -> None:
    path = tmp_path / "milvus.db"
    with MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="c", dimension=2))
        store.upsert("c", records("one", 5))
        store.upsert("c", records("gone", 2))
        store.delete("c", "gone")
        logs = path / "collections/c/wal"
        shutil.copytree(logs, tmp_path / "before")
        store.flush("c")
    restored = sorted((tmp_path / "before").glob(kept))
    assert restored
    for log in restored:
        shutil.copy(log, logs / log.name)

    with caplog.at_level(logging.WARNING), MilvusStore(str(path)) as store:
        assert store.count("c", "one") == 5
        store.upsert("c", records("two", 3))
        store.flush("c")
        assert store.count("c") == 8
    assert "a flush was cut short" in caplog.text


def test_a_log_in_use_and_an_unknown_manifest_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    logs = path / "collections/c/wal"
    logs.mkdir(parents=True)
    for number in (4, 5):
        (logs / f"wal_data_{number:06}.arrow").touch()
    manifest = path / "collections/c/manifest.json"
    for content in ("not json", "[]", '{"manifest_format_version": 3, "active_wal_number": 9}'):
        manifest.write_text(content)
        assert finish_flushes(path) == []
    manifest.write_text('{"manifest_format_version": 2, "active_wal_number": 5}')
    assert [log.name for log in finish_flushes(path)] == ["wal_data_000004.arrow"]
    assert [log.name for log in logs.iterdir()] == ["wal_data_000005.arrow"]


def index_files(path: Path) -> list[Path]:
    return sorted(path.glob("collections/c/partitions/*/indexes/*"))


@pytest.mark.parametrize("left", [0, 50, 200])
def test_an_index_that_a_kill_cut_short_is_made_anew(tmp_path: Path, left: int, caplog) -> None:
    path = tmp_path / "milvus.db"
    with MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="c", dimension=2))
        store.upsert("c", records("one", 50))
    (index,) = index_files(path)
    size = index.stat().st_size
    assert left < size
    os.truncate(index, left)
    with caplog.at_level(logging.WARNING), MilvusStore(str(path)) as store:
        assert len(store.search("c", vector=[1.0, 3.0], top_k=50)) == 50
    assert "1 index files will be made anew" in caplog.text
    assert [file.stat().st_size for file in index_files(path)] == [size]


def test_no_index_is_believed_of_a_process_that_died(tmp_path: Path, caplog) -> None:
    path = tmp_path / "milvus.db"
    with MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="c", dimension=2, index={"index_type": "HNSW"}))
        store.upsert("c", records("one", 50))
    (index,) = index_files(path)
    assert not index.name.endswith(".flat.idx")
    os.truncate(index, index.stat().st_size // 2)
    holder = path.with_name("milvus.db.lease")
    assert not holder.stat().st_size
    holder.write_text('{"pid": 1}')  # a killed process leaves its name
    with caplog.at_level(logging.WARNING), MilvusStore(str(path)) as store:
        assert len(store.search("c", vector=[1.0, 3.0], top_k=50)) == 50
    assert "1 index files will be made anew" in caplog.text


@pytest.mark.parametrize("left", [[], ["schema.json.tmp"]])
def test_a_collection_whose_making_was_killed_is_made(tmp_path: Path, left: list[str], caplog) -> None:
    path = tmp_path / "milvus.db"
    folder = path / "collections/c"
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).write_text("{")
    with caplog.at_level(logging.WARNING), MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="c", dimension=2))
        store.upsert("c", records("one", 5))
        assert store.count("c") == 5
    assert "a collection that was being made or dropped was removed: c" in caplog.text


def test_a_drop_that_was_killed_is_ended_and_a_schema_that_is_lost_drops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "milvus.db"
    with MilvusStore(str(path)) as store:
        for name in ("c", "kept"):
            store.ensure(CollectionSpec(name=name, dimension=2))
            store.upsert(name, records("one", 5))
    (path / "collections/c/schema.json").unlink()
    with MilvusStore(str(path)) as store:
        assert store.collections() == ["kept"]
    assert (path / "collections/c/manifest.json").exists()  # the store was closed: no kill did this
    path.with_name("milvus.db.lease").write_text('{"pid": 1}')
    with MilvusStore(str(path)) as store:
        store.ensure(CollectionSpec(name="c", dimension=2))
        assert (store.count("c"), store.count("kept")) == (0, 5)


def test_the_indexes_of_a_store_that_was_closed_are_kept(tmp_path: Path, caplog) -> None:
    path = tmp_path / "milvus.db"
    for _ in range(2):
        with caplog.at_level(logging.WARNING), MilvusStore(str(path)) as store:
            store.ensure(CollectionSpec(name="c", dimension=2))
            store.upsert("c", records("one", 50))
            store.flush("c")
    assert index_files(path)
    assert "made anew" not in caplog.text
