"""A Dagster run that is killed in the middle of its upload or while it tells what became of the documents."""

from __future__ import annotations

from crash.scene_files import Sources
from crash.theatre import DEAD, Theatre, assert_same, assert_whole

RUN = {"act": "materialize"}


def test_a_killed_run_is_made_good_by_the_next(theatre: Theatre) -> None:
    Sources(theatre.live / "documents").first()
    theatre.keep()
    undisturbed = theatre.finish(**RUN)
    assert_whole(undisturbed)
    for point, name in _moments(undisturbed["points"]):
        theatre.rewind()
        assert theatre.act(**RUN, at=point)["code"] == DEAD, theatre.words()
        assert theatre.parsers() == []
        found = theatre.finish(**RUN)
        assert_same(found, undisturbed, f"point {point} ({name})")
        assert found["failed"] == []
        assert len(found["partitions"]) == 6
        assert set(found["partitions"].values()) == {"MATERIALIZED"}


def _moments(points: list[str]) -> list[tuple[int, str]]:
    """Return points amid the rows of one document, between two documents, and while the run is being settled."""
    upserts = [i for i, name in enumerate(points) if name == "after upsert"]
    chosen = [upserts[1], upserts[3] - 1, (upserts[-1] + len(points)) // 2]
    return [(i, points[i]) for i in chosen]
