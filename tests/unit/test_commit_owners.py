"""One document in one collection by two corpora: rows that one has proven are not swept by the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from commit_rows import MortalStore, document, draft, make_committer, rows, texts

from nemo_retriever_dagster.commit import Committer, DocumentHeldError, OwnedElsewhereError
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import BUILD_MARK, Ledger
from nemo_retriever_dagster.model import Document, Receipt, stable_id

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def first(tmp_path: Path) -> Committer:
    return make_committer(tmp_path)


@pytest.fixture
def second(first: Committer) -> Committer:
    return replace(first, corpus="d", run_id="another")


@pytest.fixture
def store(first: Committer) -> MortalStore:
    return first.store


def commit(committer: Committer, made: Document, count: int, options: str, name: str = "one") -> Receipt:
    """Write a document as made with ``options``, which is its upload's fingerprint."""
    generation = stable_id(made.sha256, options)
    written = {name: [replace(row, generation=generation) for row in rows(made, count, name)[name]]}
    drafted = replace(draft(made), generation=generation, fingerprints={Stage.UPLOAD: options})
    return committer.commit(made, written, drafted)


def test_rows_of_another_corpus_with_other_options_are_not_swept(
    first: Committer, second: Committer, store: MortalStore
) -> None:
    commit(first, document(1), 2, "coarse")
    with pytest.raises(OwnedElsewhereError, match=r"a\.txt is in the collection one by the corpus 'c'") as caught:
        commit(second, document(1), 5, "fine")
    assert "a collection of its own" in caught.value.hint
    assert texts(store) == ["1/0", "1/1"]
    assert first.ledger.open_intents("d") == []
    assert first.ledger.holder("c", document(1).key) is None

    commit(second, document(1), 5, "fine", name="two")
    assert (len(texts(store)), len(texts(store, "two"))) == (2, 5)
    commit(first, document(2), 3, "coarse")
    assert texts(store) == ["2/0", "2/1", "2/2"]


def test_corpora_of_the_same_options_share_rows_also_through_a_change_of_both(
    first: Committer, second: Committer, store: MortalStore
) -> None:
    for version, options in ((1, "coarse"), (2, "coarse"), (2, "fine"), (3, "fine")):
        for committer in (first, second):
            commit(committer, document(version), 2, options)
        assert texts(store) == [f"{version}/0", f"{version}/1"]


def test_of_two_that_swept_each_other_before_the_one_whose_rows_are_there_goes_on(
    first: Committer, second: Committer, store: MortalStore
) -> None:
    commit(first, document(1), 2, "coarse")
    store.delete("one", document(1).key)
    commit(second, document(1), 5, "fine")
    with pytest.raises(OwnedElsewhereError, match="by the corpus 'd'"):
        commit(first, document(2), 2, "coarse")
    commit(second, document(2), 4, "fine")
    assert texts(store) == ["2/0", "2/1", "2/2", "2/3"]


def test_a_corpus_that_moves_away_leaves_rows_that_another_has_proven(
    first: Committer, second: Committer, store: MortalStore
) -> None:
    for committer in (first, second):
        commit(committer, document(1), 2, "coarse")
    commit(second, document(1), 2, "coarse", name="two")
    assert texts(store) == ["1/0", "1/1"]


def test_a_build_beside_asks_nobody(first: Committer, second: Committer, store: MortalStore) -> None:
    commit(first, document(1), 2, "coarse")
    commit(replace(second, corpus=f"d{BUILD_MARK}one_v2"), document(1), 3, "fine")
    assert len(texts(store)) == 3


def test_two_corpora_do_not_write_one_document_at_once(
    first: Committer, second: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nemo_retriever_dagster.document_lease._WAIT_SECONDS", 0.0)
    made = document(1)
    for corpus in ("c", "d"):
        first.ledger.remember(corpus, [made])
    refused = []

    def meanwhile() -> None:
        with pytest.raises(DocumentHeldError, match=r"Another run \(run\)"):
            commit(second, made, 5, "fine")
        refused.append(Ledger(first.ledger.url).holder("d", made.key))

    drafted = replace(draft(made), fingerprints={Stage.UPLOAD: "coarse"})
    first.commit(made, rows(made, 2), drafted, keep_pictures=meanwhile)
    assert refused == ["run"]
    assert [first.ledger.holder(corpus, made.key) for corpus in ("c", "d")] == [None, None]


def test_the_ledger_names_the_other_corpora_of_a_document(first: Committer) -> None:
    for corpus in ("a", "b", "c", f"b{BUILD_MARK}b_v2"):
        first.ledger.remember(corpus, [document(1)])
    first.ledger.remember("e", [replace(document(1), key="another.1")])
    assert first.ledger.others("b", document(1).key) == ["a", "c"]
    assert first.ledger.others("b", "nothing.1") == []
