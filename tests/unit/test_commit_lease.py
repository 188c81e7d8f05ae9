"""The lease on a document: kept while it is written, given back, and never presumed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from commit_rows import Interrupted, MortalStore, commit, document, draft, make_committer, rows, texts

from nemo_retriever_dagster import document_lease as protocol
from nemo_retriever_dagster.commit import Committer, DocumentHeldError, generation_of
from nemo_retriever_dagster.errors import InfrastructureError, StorageError
from nemo_retriever_dagster.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def committer(tmp_path: Path) -> Committer:
    return make_committer(tmp_path)


@pytest.fixture
def store(committer: Committer) -> MortalStore:
    return committer.store


@pytest.mark.parametrize("run_id", ["run", ""])
def test_a_document_is_free_after_a_commit_and_after_one_that_failed(
    committer: Committer, store: MortalStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_WAIT_SECONDS", 0.0)
    mine, key = replace(committer, run_id=run_id), document(1).key
    commit(mine, document(1), 2)
    assert committer.ledger.holder("c", key) is None
    store.left = 1
    with pytest.raises(Interrupted):
        commit(mine, document(2), 2)
    assert committer.ledger.holder("c", key) is None
    assert committer.ledger.claim("c", key, "another run", 60)
    with pytest.raises(DocumentHeldError):
        commit(mine, document(3), 2)
    assert committer.ledger.holder("c", key) == "another run"


def test_the_lease_is_kept_while_storing_pictures_takes_longer_than_it_lasts(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.3)
    other, made, taken = Ledger(committer.ledger.url), document(1), []

    def store_slowly() -> None:
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            taken.append(other.claim("c", made.key, "another run", 0.3))
            time.sleep(0.05)

    committer.commit(made, rows(made, 1), draft(made), keep_pictures=store_slowly)
    assert taken
    assert not any(taken)
    assert other.claim("c", made.key, "another run", 0.3), "and given back at the end"


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_a_run_that_lost_its_lease_after_writing_leaves_the_document_to_be_written_again(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch, count: int, *, held: bool
) -> None:
    """Also where its rows took the place of just as many (the counts alone would be right), or the lease is free."""
    made, late = document(2), document(1)

    def stopped() -> None:  # the machine stands still; the lease ends, and another run takes a newer version through
        committer.ledger.release("c", late.key, "run")
        commit(replace(committer, run_id="another"), made, 2)
        if held:
            committer.ledger.claim("c", late.key, "a third", 60)

    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.0)
    with pytest.raises(DocumentHeldError):
        committer.commit(late, rows(late, count), draft(late), keep_pictures=stopped)
    assert [intent.generation for intent in committer.ledger.open_intents("c")] == [generation_of(late, "f")]
    committer.ledger.release("c", late.key, "a third")
    assert committer.holds(made, ["one"], generation_of(made, "f")) is None
    commit(committer, made, 2)
    assert texts(store) == ["2/0", "2/1"]


def test_a_run_that_lost_its_lease_while_it_counted_sweeps_nothing(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(committer, document(1), 3)
    late, count = document(2), store.count

    def counted(*given: Any, **options: Any) -> int:
        found = count(*given, **options)
        committer.ledger.release("c", late.key, "run")
        committer.ledger.claim("c", late.key, "another run", 60)
        return found

    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.0)
    monkeypatch.setattr(store, "count", counted)
    with pytest.raises(DocumentHeldError):
        commit(committer, late, 1)
    assert texts(store) == ["1/1", "1/2", "2/0"]


@pytest.mark.parametrize("after", [1, 2])
def test_a_run_that_lost_its_lease_at_its_last_count_writes_no_receipt(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The lease is thought to last; then the machine stands still, and another run puts a newer version in."""
    late, newer, count, counts = document(1), document(2), store.count, []

    def counted(*given: Any, **options: Any) -> int:
        found = count(*given, **options)
        counts.append(found)
        if len(counts) == after:
            committer.ledger.release("c", late.key, "run")
            commit(replace(committer, run_id="another"), newer, 2, "two")
        return found

    monkeypatch.setattr(store, "count", counted)
    with pytest.raises(InfrastructureError):
        commit(committer, late, 1)
    assert committer.ledger.committed_version("c", late.key) == "2"
    (intent,) = committer.ledger.open_intents("c")
    assert intent.details["collections"] == ["one", "two"]
    commit(committer, newer, 2, "two")
    assert (texts(store), texts(store, "two")) == ([], ["2/0", "2/1"])


@pytest.mark.parametrize("way", ["commit", "clear"])
def test_the_lease_is_prolonged_though_the_ledger_is_away_for_a_moment(
    committer: Committer, store: MortalStore, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    made, prolong, prolonged, beats = document(1), Ledger.prolong, threading.Event(), []
    commit(committer, made, 1)
    delete = store.delete

    def prolonging(*given: Any) -> bool:
        beats.append(threading.current_thread().name)
        if beats.count("nemo-retriever-lease") == 1:
            raise StorageError("The ledger is away.")
        if beats.count("nemo-retriever-lease") == 3:
            prolonged.set()
        return prolong(*given)

    def slowly(*given: Any, **options: Any) -> None:
        assert prolonged.wait(30)
        delete(*given, **options)

    monkeypatch.setattr(protocol, "_LEASE_SECONDS", 0.3)
    monkeypatch.setattr(Ledger, "prolong", prolonging)
    if way == "commit":
        committer.commit(made, rows(made, 1), draft(made), keep_pictures=lambda: prolonged.wait(30))
    else:
        monkeypatch.setattr(store, "delete", slowly)
        committer.clear(made.key)
    assert prolonged.is_set()
