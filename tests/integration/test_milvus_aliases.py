from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.testing.store import InMemoryStore
from nemo_retriever_dagster.testing.store_suite import records
from nemo_retriever_dagster.vdb.aliases import Beside, adopt, drop_former, former, next_names, serving, switch
from nemo_retriever_dagster.vdb.contract import AliasStore, CollectionSpec
from nemo_retriever_dagster.vdb.milvus import MilvusStore

SPEC = CollectionSpec(name="handbook", dimension=4)


@pytest.fixture(params=["memory", "lite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AliasStore]:
    if request.param == "memory":
        yield InMemoryStore()
        return
    with MilvusStore(str(tmp_path / "milvus.db")) as opened:
        yield opened


def test_a_new_model_goes_live_by_one_switch(store: AliasStore) -> None:
    names = next_names(store, ["handbook"])
    beside = Beside(store, names)
    beside.ensure(SPEC)
    beside.upsert("handbook", records(3))
    assert (names, serving(store, ["handbook"])) == ({"handbook": "handbook_v1"}, {"handbook": ""})
    assert switch(store, "handbook", "handbook_v1") == ""
    assert store.count("handbook") == 3

    beside = Beside(store, next_names(store, ["handbook"]))
    beside.ensure(CollectionSpec(name="handbook", dimension=8))
    beside.upsert("handbook", records(2, vector=[1.0] * 8))
    assert store.count("handbook") == 3, "readers see the old rows while the new collection is built"
    assert beside.census("handbook") == {"doc": {"g1": 2}}
    assert switch(store, "handbook", "handbook_v2") == "handbook_v1"
    assert switch(store, "handbook", "handbook_v2") == "", "once more changes nothing"
    assert len(store.search("handbook", vector=[1.0] * 8)) == 2
    assert (former(store, "handbook"), store.count("handbook_v1")) == (["handbook_v1"], 3), "kept until it is dropped"
    assert drop_former(store, "handbook") == ["handbook_v1"]
    assert (store.exists("handbook_v1"), store.count("handbook")) == (False, 2)


def test_what_is_built_is_never_what_somebody_has_rows_in(store: AliasStore) -> None:
    store.ensure(SPEC)
    for name, rows in (("handbook_v2", 1), ("handbook_v3", 0)):
        store.ensure(CollectionSpec(name=name, dimension=4))
        store.upsert(name, records(rows))
    names = next_names(store, ["handbook", "pictures"])
    assert names == {"handbook": "handbook_v3", "pictures": "pictures_v3"}
    beside = Beside(store, names)
    beside.ensure(CollectionSpec(name="handbook", dimension=8))  # empty: made anew in the shape that is wanted
    beside.upsert("handbook", records(1, vector=[1.0] * 8))
    with pytest.raises(InvalidOptionError, match="dimension"):
        beside.ensure(SPEC)


def test_a_plain_collection_gets_an_alias_in_its_place(store: AliasStore) -> None:
    store.ensure(SPEC)
    store.upsert("handbook", records(3))
    assert serving(store, ["handbook"]) == {"handbook": "handbook"}
    beside = Beside(store, next_names(store, ["handbook"]))
    beside.ensure(SPEC)
    beside.upsert("handbook", records(2))
    assert beside.name("handbook") == "handbook_v2"
    assert switch(store, "handbook", "handbook_v2") == "handbook_v1"
    assert (store.count("handbook"), store.count("handbook_v1")) == (2, 3)
    with pytest.raises(InvalidOptionError, match="alias already"):
        adopt(store, "handbook")


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("last", ["rename", "set_alias", "drop_alias"])
def test_an_adoption_that_was_killed_is_ended_by_whoever_writes_next(
    store: AliasStore, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    def killed(*_: str) -> None:
        raise KilledError

    def begun(alias: str, collection: str) -> None:
        set_alias(alias, collection) if alias != "handbook" else killed()

    store.ensure(SPEC)
    store.upsert("handbook", records(3))
    set_alias = store.set_alias
    with monkeypatch.context() as patch:
        patch.setattr(store, last, begun if last == "set_alias" else killed)
        with pytest.raises(KilledError):
            adopt(store, "handbook")
    store.ensure(SPEC)  # what an ordinary run does
    assert store.count("handbook") == 3
    Beside(store, next_names(store, ["handbook"])).ensure(SPEC)
    assert switch(store, "handbook", "handbook_v2") == "handbook_v1"
    assert (store.count("handbook"), store.count("handbook_v1")) == (0, 3)
    assert drop_former(store, "handbook") == ["handbook_v1"]


def test_a_name_that_is_taken_does_not_stand_in_the_way_of_a_switch(store: AliasStore) -> None:
    for name, rows in (("handbook_v1", 1), ("handbook", 2), ("handbook_v2", 4)):
        store.ensure(CollectionSpec(name=name, dimension=4))
        store.upsert(name, records(rows))
    assert switch(store, "handbook", "handbook_v2") == "handbook_v3"
    assert [store.count(name) for name in ("handbook", "handbook_v1", "handbook_v3")] == [4, 1, 2]


def test_a_view_is_the_store_under_other_names(store: AliasStore) -> None:
    beside = Beside(store, {"handbook": "handbook_v7"})
    beside.ensure(SPEC)
    beside.upsert("handbook", [*records(3), *records(2, document="other")])
    beside.delete("handbook", "other")
    beside.flush("handbook")
    assert (beside.count("handbook"), beside.count("handbook", "other"), store.count("handbook_v7")) == (3, 0, 3)
    assert beside.search("handbook", vector=[2, 0, 0, 1], top_k=1)[0].id == "doc-0002"
    rows = beside.select("handbook", where="document == {d}", values={"d": "doc"}, limit=2)
    assert [row.id for row in rows] == ["doc-0000", "doc-0001"]
    assert beside.capabilities == store.capabilities
    assert (beside.exists("handbook"), store.exists("handbook")) == (True, False)
    beside.close()
    beside.drop("handbook")
    assert not store.exists("handbook_v7")
