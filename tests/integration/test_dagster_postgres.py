"""Dagster's own storage on a real PostgreSQL server: events one by one, or together as `deploy/README.md` advises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from corpus_place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.server


@pytest.fixture
def place(tmp_path: Path, postgres: str) -> Place:
    made = Place(tmp_path, rows=False, storage={"postgres": {"postgres_url": postgres}})
    made.write(**{f"good{n}": f"The valve {n} opens at {n + 3} bar." for n in range(5)}, broken="", spoilt="")
    return made


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of materializations that were written in one go."""
    storage = pytest.importorskip("dagster_postgres").PostgresEventLogStorage
    store, numbers = storage.store_event_batch, []

    def counted(self: Any, events: Sequence[dg.EventLogEntry]) -> None:
        store(self, events)
        if {event.dagster_event_type for event in events} == {dg.DagsterEventType.ASSET_MATERIALIZATION}:
            numbers.append(len(events))

    monkeypatch.setattr(storage, "store_event_batch", counted)
    return numbers


@pytest.mark.parametrize(("size", "batches"), [("", []), ("0", []), ("4", [4]), ("5", [5]), ("100", [5])])
def test_each_document_has_its_truth(
    place: Place, together: list[int], monkeypatch: pytest.MonkeyPatch, size: str, batches: list[int]
) -> None:
    if size:
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", size)
    outcomes = place.run()
    assert {name for name, outcome in outcomes.items() if not outcome.succeeded} == {"broken", "spoilt"}
    assert {outcome.metadata["chunks"] for outcome in outcomes.values() if outcome.succeeded} == {1}
    assert place.statuses() == {"MATERIALIZED": 5, "FAILED": 2}
    assert together == batches

    place.write(broken="Mended: the seal holds 9 bar.")
    again = place.run("broken", "spoilt")
    assert [again[name].succeeded for name in ("broken", "spoilt")] == [True, False]
    assert place.statuses() == {"MATERIALIZED": 6, "FAILED": 1}
