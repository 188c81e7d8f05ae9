from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import InvalidOptionError, VerificationError
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.testing.store_suite import records
from nemo_retriever_dagster.vdb.aliases import adopt, beside, switch, verify
from nemo_retriever_dagster.vdb.contract import AliasStore, CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

SPEC = CollectionSpec(name="ignored", dimension=4)


@pytest.fixture(params=["memory", "lite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AliasStore]:
    if request.param == "memory":
        yield InMemoryStore()
        return
    with MilvusStore(str(tmp_path / "milvus.db")) as opened:
        yield opened


def test_a_new_model_goes_live_by_one_switch(store: AliasStore) -> None:
    first = beside(store, "handbook", SPEC)
    store.upsert(first, records(3))
    assert switch(store, "handbook", first, expected={"doc": 3}) is None
    assert store.count("handbook") == 3

    second = beside(store, "handbook", CollectionSpec(name="x", dimension=8))
    store.upsert(second, records(2, vector=[1.0] * 8))
    assert (first, second) == ("handbook_v1", "handbook_v2")
    assert store.count("handbook") == 3, "readers see the old rows while the new collection is built"
    assert switch(store, "handbook", second, expected={"doc": 2, "empty": 0}) == first
    assert len(store.search("handbook", vector=[1.0] * 8)) == 2
    assert store.count(first) == 3, "the old rows stay until they are dropped"
    store.drop(first)


def test_an_incomplete_build_never_goes_live(store: AliasStore) -> None:
    first = beside(store, "handbook", SPEC)
    store.upsert(first, records(3))
    switch(store, "handbook", first, expected={"doc": 3})
    second = beside(store, "handbook", SPEC)
    store.upsert(second, records(2))
    for expected in ({"doc": 3}, {"doc": 2, "other": 1}, {}):
        with pytest.raises(VerificationError, match="not complete"):
            switch(store, "handbook", second, expected=expected)
    store.upsert(second, records(1, generation="g2", prefix="stale"))
    with pytest.raises(VerificationError, match="several generations"):
        verify(store, second, {"doc": 3})
    assert store.alias_target("handbook") == first
    assert beside(store, "handbook", SPEC) == second, "a build that broke off is made anew"
    assert store.count(second) == 0


def test_a_plain_collection_gets_an_alias_in_its_place(store: AliasStore) -> None:
    store.ensure(CollectionSpec(name="handbook", dimension=4))
    store.upsert("handbook", records(3))
    second = beside(store, "handbook", SPEC)
    assert second == "handbook_v2"
    store.upsert(second, records(2))
    assert switch(store, "handbook", second, expected={"doc": 2}) == "handbook_v1"
    assert (store.count("handbook"), store.count("handbook_v1")) == (2, 3)
    with pytest.raises(InvalidOptionError, match="alias already"):
        adopt(store, "handbook")
