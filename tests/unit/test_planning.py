"""What is to be done with a document, by what source and ledger say of it; and how many may vanish at once."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import DocumentState, DocumentStatus
from nemo_retriever_dagster.model import Document, Failure, Receipt
from nemo_retriever_dagster.planning import MassDeletionError, check_deletion, compare

KEY = "a.txt.0123456789"
HERE = Document(uri="a.txt", key=KEY, version="2")
PRINTS = {"txt": {Stage.EXTRACT: "t"}, "pdf": {Stage.EXTRACT: "p"}}


def state(status: DocumentStatus, version: str = "2") -> dict[str, DocumentState]:
    return {KEY: DocumentState(key=KEY, uri="a.txt", version=version, status=status, updated_at="")}


def failure(version: str = "2", category: str = "data", stage: str = "extract", fingerprint: str = "") -> Failure:
    facts = {"uri": "a.txt", "kind": "", "cause": ""}
    return Failure(document=KEY, stage=stage, category=category, version=version, fingerprint=fingerprint, **facts)


def receipt(made_by: str) -> Receipt:
    facts = {"uri": "a.txt", "sha256": "", "collection": "c", "generation": "g", "run_id": "", "finished_at": ""}
    return Receipt(document=KEY, rows=1, fingerprints={"extract": made_by}, **facts)


@pytest.mark.parametrize(
    ("known", "word"),
    [
        ({}, "new"),
        (state(DocumentStatus.CURRENT, "1"), "changed"),
        (state(DocumentStatus.FAILED, "1"), "changed"),
        (state(DocumentStatus.CURRENT), "unchanged"),
        (state(DocumentStatus.WRITING), "unfinished"),
        (state(DocumentStatus.CHANGED), "unfinished"),
        (state(DocumentStatus.NEW), "unfinished"),
    ],
)
def test_a_document_is_what_its_version_and_its_state_say(known: dict[str, DocumentState], word: str) -> None:
    plan = compare([HERE], known)
    assert [name for name, number in plan.counts().items() if number] == [word]
    assert plan.due == (() if word == "unchanged" else (HERE,))
    assert compare([], known).vanished == tuple(known)


@pytest.mark.parametrize(
    ("failed", "outcome", "word"),
    [
        (failure(), "", "failed"),
        (failure(version="1"), "", "unfinished"),
        (failure(category="infrastructure"), "", "unfinished"),
        (failure(category="misuse"), "", "unfinished"),
        (failure(stage="source"), "", "unfinished"),
        (failure(fingerprint="then"), "then", "failed"),
        (failure(fingerprint="then"), "now", "unfinished"),
        (failure(fingerprint="then"), "", "failed"),
        (failure(), "now", "failed"),
    ],
)
def test_a_failure_is_for_good_where_it_would_come_again(failed: Failure, outcome: str, word: str) -> None:
    plan = compare([HERE], state(DocumentStatus.FAILED), [failed], outcome=outcome)
    assert [name for name, number in plan.counts().items() if number] == [word]


@pytest.mark.parametrize(("made_by", "word"), [("t", "unchanged"), ("p", "unchanged"), ("former", "outdated")])
def test_rows_are_outdated_where_no_format_makes_them_so_now(made_by: str, word: str) -> None:
    plan = compare([HERE], state(DocumentStatus.CURRENT), (), [receipt(made_by)], PRINTS)
    assert [name for name, number in plan.counts().items() if number] == [word]


@pytest.mark.parametrize(
    ("known", "most", "given"),
    [(10, 10, None), (12, 10, None), (50, 10, None), (59, 11, None), (100, 20, None), (100, 0, 0), (100, 3, 3)],
)
def test_so_many_may_vanish_and_no_more(known: int, most: int, given: int | None) -> None:
    check_deletion(most, known, max_deletions=given)
    with pytest.raises(MassDeletionError, match=rf"^{most + 1} of {known} documents vanished .*; {most} are allowed"):
        check_deletion(most + 1, known, max_deletions=given)
