"""Runs that wait in the queue: what they take on is not asked for once more, and removals go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from corpus_place import Place, asked, tick
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

if TYPE_CHECKING:
    from pathlib import Path


def queued(place: Place, request: dg.RunRequest) -> dg.DagsterRun:
    """Put what was asked for into the queue, as the daemon does where no run may begin."""
    job = place.corpus.definitions(resources=place.resources).resolve_job_def(str(request.job_name))
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
    return place.instance.create_run_for_job(
        job,
        run_config=request.run_config,
        tags=request.tags,
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=RemoteJobOrigin(repository, job.name),
    )


def test_the_sensor_leaves_documents_to_the_waiting_runs_that_take_them_on(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A", b="B", c="C")
    (request,) = tick(place).run_requests
    waiting = queued(place, request)
    place.write(b="B, second edition", d="D")
    assert asked(place, tick(place).run_requests) == [place.keys("d")]

    assert place.run("a", "b", "c")["b"].succeeded  # as the waiting run will: it reads what is there then
    place.instance.report_run_canceled(waiting)
    assert tick(place).run_requests == []
    place.write(a="A, second edition")
    assert asked(place, tick(place).run_requests) == [place.keys("a")]


def test_the_sensor_asks_again_where_a_waiting_run_was_cancelled(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(a="A")
    (request,) = tick(place).run_requests
    waiting = queued(place, request)
    place.write(a="A, second edition")
    assert tick(place).run_requests == []
    place.instance.report_run_canceled(waiting)
    assert asked(place, tick(place).run_requests) == [place.keys("a")]


def test_the_sensor_asks_for_no_more_runs_than_may_wait(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False, runs_per_tick=2)
    place.write(a="A", b="B", c="C", d="D", e="E")
    place.run()
    place.write(a="A2", c="C2")
    first, second = [queued(place, request) for request in tick(place).run_requests]
    place.write(e="E2", f="F")
    assert tick(place).run_requests == []
    place.instance.report_run_canceled(first)
    place.write(g="G")
    assert asked(place, tick(place).run_requests) == [place.keys("e", "f", "g")], "they wait together"
    place.instance.report_run_canceled(second)


def test_a_removal_that_waits_is_not_asked_for_again_and_goes_first(tmp_path: Path) -> None:
    place = Place(tmp_path, rows=False)
    place.write(**{name: name for name in "abcd"})
    place.run()
    a, b = place.keys("a", "b")
    (place.source / "a.txt").unlink()
    (removal,) = tick(place).run_requests
    assert removal.tags["dagster/priority"] == "1"
    waiting = queued(place, removal)
    (place.source / "b.txt").unlink()
    assert tick(place).skip_message == "2 unchanged, 2 vanished"
    place.instance.report_run_canceled(waiting)
    (both,) = tick(place).run_requests
    assert [sorted(request.run_config["ops"]["remove"]["config"]["keys"]) for request in (removal, both)] == [
        [a],
        sorted([a, b]),
    ]
