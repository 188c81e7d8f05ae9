from pathlib import Path

import pytest

from nemo_retriever_dagster.testing.store_suite import record
from nemo_retriever_dagster.vdb.contract import CollectionSpec
from nemo_retriever_dagster.vdb.lite_words import WordStatisticsWarning, pool, question
from nemo_retriever_dagster.vdb.milvus import MilvusStore
from nemo_retriever_dagster.vdb.milvus_client import Address


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("What is the torque of the bolt? The bolt of the saddle!", "what torque bolt saddle"),
        ("to be or not to be", "to be or not to be"),
        ("Drehmoment für Schraube", "drehmoment für schraube"),
        ("泵如何复位", "泵如何复位"),
        ("!?", "!?"),
    ],
)
def test_a_question_is_its_words_once_without_padding(asked: str, words: str) -> None:
    assert question(asked) == words


def test_counts_are_those_of_one_segment_with_all_rows(tmp_path: Path) -> None:
    texts = [f"the pump {word} turns" for word in ("red", "blue", "green", "old")] * 5 + ["a valve that is red"] * 7
    rows = [record(at, document=f"d{at // 8}", text=f"{text} {at}") for at, text in enumerate(texts)]
    spec = CollectionSpec(name="parts", dimension=4, sparse=True)
    found = []
    for name, size in (("whole.db", len(rows)), ("parts.db", 8)):
        with MilvusStore(str(tmp_path / name)) as store:
            store.ensure(spec)
            for start in range(0, len(rows), size):
                store.upsert("parts", rows[start : start + size])
                store.flush("parts")
            hits = store.search("parts", text="a red pump", mode="sparse", top_k=len(rows))
            found.append({hit.id: round(hit.score, 4) for hit in hits})
    assert len(found[0]) > 20
    assert found[0] == found[1]


def test_a_milvus_lite_without_these_parts_is_warned_about(tmp_path: Path) -> None:
    with pytest.warns(WordStatisticsWarning, match="milvus-lite 3.2.2"):
        pool(Address(uri=str(tmp_path / "never opened.db")), "parts")
