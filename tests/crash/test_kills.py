"""SIGKILL at random moments of a run with real parser processes; the next run ends as if nothing had happened."""

from __future__ import annotations

import os
import random

import pytest
from crash.scene_files import Sources
from crash.theatre import Theatre, assert_same, assert_whole

KILLED = -9
CROWD = {"workers": 2, "concurrency": 6}


@pytest.fixture(scope="module")
def undisturbed(theatre: Theatre) -> dict:
    Sources(theatre.live / "documents").many(30)
    theatre.keep()
    found = theatre.finish(**CROWD)
    assert_whole(found)
    assert len(found["receipts"]) == 30
    return found


def _kill_and_recover(theatre: Theatre, undisturbed: dict, chance: random.Random, lease: float) -> int:
    """Kill one to three runs in a row, then let one through; return how many were killed."""
    theatre.rewind()
    killed = 0
    for _ in range(chance.randint(1, 3)):
        wait = chance.uniform(0.0, undisturbed["seconds"])
        ended = theatre.act(**CROWD, lease=lease, kill_after=wait)
        assert ended["code"] in {KILLED, 0}, theatre.words()
        killed += ended["code"] == KILLED
        assert theatre.parsers() == [], "parser processes outlived their owner"
    assert_same(theatre.finish(**CROWD, lease=lease), undisturbed, f"{killed} kills")
    return killed


def test_some_kills(theatre: Theatre, undisturbed: dict) -> None:
    chance = random.Random(1)
    assert sum(_kill_and_recover(theatre, undisturbed, chance, lease=2.0) for _ in range(2)) > 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_kills(theatre: Theatre, undisturbed: dict) -> None:
    chance, killed, wanted = random.Random(2), 0, int(os.environ.get("NRD_TEST_KILLS", "200"))
    while killed < wanted:
        killed += _kill_and_recover(theatre, undisturbed, chance, lease=2.0)
        print(f"{killed} kills, 0 divergences", flush=True)
