"""The partition grid after a look of Dagster's that fell between two runs: it is made anew, and nothing is run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from corpus_place import Place, asked, reconcile, tick

from nemo_retriever_dagster.corpus.partitions import range_tags
from nemo_retriever_dagster.corpus.resources import STATE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of which Dagster's grid is wrong: a and b failed, were mended and are in, and stay red."""
    place = Place(tmp_path, rows=False)
    place.write(a="", b="", c="C", d="D")
    place.run()
    assert place.statuses() == {"FAILED": 2, "MATERIALIZED": 2}
    place.write(a="A", b="B")
    overtake(place)
    assert place.statuses() == {"FAILED": 2, "IN_PROGRESS": 1, "MATERIALIZED": 1}
    (planned,) = place.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED]))
    place.instance.report_run_canceled(planned)
    return place


def overtake(place: Place) -> None:
    """Have a and b materialized, and a run of c planned, while Dagster's next look at the grid is going on."""
    storage = place.instance.event_log_storage
    asking = storage.get_latest_planned_materialization_info

    def overtaken(*args: Any, **options: Any) -> Any:
        del storage.get_latest_planned_materialization_info
        assert all(outcome.succeeded for outcome in place.run("a", "b").values())
        place.instance.create_run_for_job(
            place.corpus.definitions(resources=place.resources).resolve_job_def("notes_ingest"),
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags=range_tags("notes", place.keys("c")),
            asset_selection=frozenset({place.corpus.key}),
        )
        return asking(*args, **options)

    storage.get_latest_planned_materialization_info = overtaken


def test_the_sensor_has_a_wrong_grid_made_anew(place: Place) -> None:
    assert place.statuses() == {"FAILED": 2, "MATERIALIZED": 2}, "Dagster keeps it"
    found = tick(place)
    assert (found.run_requests, found.skip_message) == ([], "4 unchanged")
    assert place.statuses() == {"MATERIALIZED": 4}


def test_the_schedule_runs_nothing_because_of_a_wrong_grid(place: Place) -> None:
    assert reconcile(place).skip_message == "4 unchanged"
    assert place.statuses() == {"MATERIALIZED": 4}


def test_the_sensor_does_not_make_the_grid_anew_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B", c="C")
    place.run("c")
    with monkeypatch.context() as patched:
        patched.setattr("nemo_retriever_dagster.corpus.settle.record", killed)
        place.run("a", "b")  # in, and not green, by all events
    wiped: list[Any] = []
    monkeypatch.setattr(place.instance, "wipe_asset_cached_status", wiped.append)
    cursor, cursors = None, []
    for _ in range(3):
        cursor = look(place, cursor)
        cursors.append(cursor)
    assert wiped == [[place.corpus.key]]
    assert len(set(cursors)) == 1
    assert asked(place, reconcile(place).run_requests) == [place.keys("a", "b")]
    place.run("a", "b")
    assert look(place, cursor) == ""


def look(place: Place, cursor: str | None) -> str | None:
    """Evaluate the sensor, which asks for nothing; return its new cursor."""
    resources = {STATE: place.resources[STATE]}
    with dg.build_sensor_context(instance=place.instance, resources=resources, cursor=cursor) as context:
        assert not place.corpus.sensor.evaluate_tick(context).run_requests
        return context.cursor


def killed(*_: Any) -> None:
    raise KeyboardInterrupt
