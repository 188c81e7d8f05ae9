"""The crash sweep: a process dies at its i-th side effect, for every i; the next run ends as if nothing had happened."""

from __future__ import annotations

import pytest
from crash.scene_files import Sources
from crash.theatre import DEAD, Theatre, assert_same, assert_whole

SHORT = 13
UNHURRIED = 60.0
"""Seconds of a lease that is never renewed: renewals come by the clock, and a run that dies must have no fewer points."""


@pytest.fixture(scope="module")
def undisturbed(theatre: Theatre) -> dict:
    """Ingest the first version, change the source, keep that state, and let the second run go through undisturbed."""
    Sources(theatre.live / "documents").first()
    first = theatre.finish()
    Sources(theatre.live / "documents").second()
    theatre.keep()
    second = theatre.finish(lease=UNHURRIED)
    words = {word for name in second["points"] for word in name.split()[:2]}
    assert {"upsert", "delete", "flush", "commit", "os.rename", "os.remove", "open"} <= words
    assert_whole(first)
    assert_whole(second)
    assert second["rows"].keys() != first["rows"].keys()
    return second


def _die_and_recover(theatre: Theatre, point: int, undisturbed: dict) -> int:
    """Return how many unfinished files the dead process left."""
    name = f"point {point} ({undisturbed['points'][point]})"
    theatre.rewind()
    ended = theatre.act(at=point)
    assert ended["code"] == DEAD, f"{name} was not reached: {ended['code']} {theatre.words()}"
    found = theatre.finish()
    assert_same(found, undisturbed, name)
    return found["unfinished"]


def test_death_at_some_points(theatre: Theatre, undisturbed: dict) -> None:
    total = len(undisturbed["points"])
    assert total > 100
    chosen = sorted({round(i * (total - 1) / (SHORT - 1)) for i in range(SHORT)})
    for point in chosen:
        _die_and_recover(theatre, point, undisturbed)
    print(f"{len(chosen)} of {len(chosen)} crash points converge ({total} in the long form)")


def test_death_amid_a_flush_of_the_store(theatre: Theatre, undisturbed: dict) -> None:
    """Milvus Lite's own weak spot: the manifest is written, the log it no longer needs is still there, or half of it."""
    points = [i for i, name in enumerate(undisturbed["points"]) if "os.remove" in name and "wal_" in name]
    assert points
    for point in points[:4]:
        _die_and_recover(theatre, point, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("half", [0, 1])
def test_death_at_every_point(theatre: Theatre, undisturbed: dict, half: int) -> None:
    total = len(undisturbed["points"])
    points, left, diverged = range(half, total, 2), 0, []
    for point in points:
        try:
            left += _die_and_recover(theatre, point, undisturbed)
        except AssertionError as error:
            diverged.append(f"point {point} ({undisturbed['points'][point]}): {str(error)[-300:]}")
    print(f"{len(points) - len(diverged)} of {len(points)} crash points converge (of {total}); {left} unfinished files")
    assert diverged == []
