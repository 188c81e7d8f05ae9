"""The life of a corpus, drawn from a seed: whatever happened, quiet ticks leave what one undisturbed run would have."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any
from unittest import mock

import dagster as dg
import pytest
from corpus_place import Place, asked, reconcile, remove, tick

from nemo_retriever_dagster import EnginesResource, MilvusResource, materialize_documents
from nemo_retriever_dagster.corpus.partitions import range_tags
from nemo_retriever_dagster.corpus.resources import ENGINES, STORE
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import EngineUnavailableError
from nemo_retriever_dagster.testing import InMemoryStore, WatchedEmbedder
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder
from nemo_retriever_dagster.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STORES: dict[str, InMemoryStore] = {}
EMBEDDERS: dict[str, WatchedEmbedder] = {}
NAMES = "abcde"
ROUNDS = 5
KILLED_AT = ("corpus.settle.judge", "corpus.settle.record")


class KeptStore(MilvusResource):
    def open(self, *_: Any, **__: Any) -> InMemoryStore:
        return STORES[self.uri]


class WatchedEngines(EnginesResource):
    root: str

    def engines(self, *_: Any) -> Engines:
        return Engines(embedder=EMBEDDERS[self.root])


class Life:
    """A corpus, and what may happen to it. ``during`` happens at the next call of the embedder."""

    def __init__(self, root: Path, seed: int, source: Path | None = None) -> None:
        root.mkdir()
        self.chance, self.told, self.day, self.count = random.Random(seed), [f"seed {seed}"], 0, 0
        self.place, self.away = Place(root, batch_size=3, retry_policy=dg.RetryPolicy(max_retries=0)), root / "away"
        self.away.mkdir()
        self.place.source = source or self.place.source
        self.place.resources |= {STORE: KeptStore(uri=str(root)), ENGINES: WatchedEngines(root=str(root))}
        self.store = STORES[str(root)] = InMemoryStore()
        self.embedder = EMBEDDERS[str(root)] = WatchedEmbedder(HashEmbedder(16), self._fault)
        self.during: Callable[[], Exception | None] | None = None
        self.choose(200)

    def _fault(self, *_: Any) -> Exception | None:
        happens, self.during = self.during, None
        return happens() if happens is not None else None

    def choose(self, chunk_size: int) -> None:
        self.place.corpus = self.place.make(chunk_size=chunk_size, chunk_overlap=0)
        self.chunk_size = chunk_size

    # -- what happens to the source

    def path(self, name: str) -> Path:
        return self.place.source / f"{name}.txt"

    def write(self, name: str) -> None:
        self.count += 1
        self.place.write(**{name: " ".join(f"Valve {self.count} opens at {n} bar." for n in range(1 + self.count % 7))})

    def touch(self, name: str) -> None:
        self.path(name).touch()

    def delete(self, name: str) -> None:
        if self.path(name).exists():
            self.path(name).rename(self.away / f"{name}.txt")

    def restore(self, name: str) -> None:
        if (self.away / f"{name}.txt").exists():
            (self.away / f"{name}.txt").rename(self.path(name))  # with the time it had

    def spoil(self, name: str) -> None:
        self.delete(name)
        self.place.write(**{name: ""})

    def swap(self, name: str) -> None:
        other, held = self.path(self.chance.choice(NAMES)), self.away / "held"
        if self.path(name).exists() and other.exists() and other != self.path(name):
            self.path(name).rename(held)
            other.rename(self.path(name))
            held.rename(other)

    # -- what is run

    def materialize(self, keys: Sequence[str]) -> None:
        corpus, resources = self.place.corpus, {**self.place.corpus.resources(), **self.place.resources}
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        instance, tags = self.place.instance, range_tags("notes", keys)
        dg.materialize(
            [corpus.asset], tags=tags, instance=instance, resources=resources, run_config=quiet, raise_on_error=False
        )

    def carry_out(self, requests: Sequence[dg.RunRequest]) -> int:
        for request in requests:
            if request.job_name == "notes_remove":
                remove(self.place, request)
            else:
                self.materialize(asked(self.place, [request])[0])
        return len(requests)

    def sensor(self) -> int:
        return self.carry_out(tick(self.place).run_requests)

    def schedule(self) -> int:
        self.day += 1
        engines = WatchedEngines(root=str(self.place.root))
        return self.carry_out(reconcile(self.place, day=self.day, engines=engines).run_requests or [])

    def lost(self) -> None:
        tick(self.place)

    def some(self) -> None:
        keys = self.place.instance.get_dynamic_partitions("notes_documents")
        if keys:
            first = self.chance.randrange(len(keys))
            self.materialize(keys[first : first + self.chance.randint(1, len(keys))])

    def elsewhere(self) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            materialize_documents(
                self.place.corpus, instance=instance, resources=self.place.resources, log_level="CRITICAL"
            )

    def killed(self) -> None:
        where = self.chance.choice(KILLED_AT)
        with mock.patch(f"nemo_retriever_dagster.{where}", side_effect=KeyboardInterrupt):
            self.sensor()

    def changed_meanwhile(self) -> None:
        self.during = lambda: self.write(self.chance.choice(NAMES))
        self.sensor()

    def engine_down(self) -> None:
        self.during = lambda: EngineUnavailableError("The embedder is down.")
        self.sensor()

    def other_option(self) -> None:
        self.choose(8 if self.chance.random() < 0.5 else 200)

    def step(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            name = self.chance.choice(NAMES)
            happens = self.chance.choice(
                [self.write, self.write, self.touch, self.delete, self.restore, self.spoil, self.swap]
            )
            self.told.append(f"{happens.__name__} {name}")
            happens(name)
        acts: list[Callable[[], object]] = [self.sensor, self.schedule, self.lost, self.some, self.elsewhere]
        act = self.chance.choice([*acts, self.killed, self.changed_meanwhile, self.engine_down, self.other_option])
        self.told.append(f"-> {act.__name__}")
        act()

    def settle(self) -> None:
        self.during = None
        for _ in range(ROUNDS):
            if self.sensor() + self.schedule() == 0:
                return
        pytest.fail(f"It comes to no rest: {self.told}")

    # -- what is there

    def facts(self) -> dict[str, Any]:
        place, keys = self.place, self.place.instance.get_dynamic_partitions("notes_documents")
        found = place.instance.get_status_by_partition(place.corpus.key, keys, place.corpus.partitions_def) or {}
        with place.ledger() as ledger:
            states = {key: state.status for key, state in ledger.versions("notes").items()}
            problems = verify("notes", place.corpus.pipeline, ledger, self.store).problems
            assert ledger.open_intents("notes") == []
        good = {key for key, state in states.items() if state == "current"}
        return {
            "grid": {key: status.value if status else "" for key, status in found.items()},
            "states": states,
            "failures": {key: (f.stage, f.category, f.kind) for key, f in place.failures().items()},
            "rows": {key: rows for key, rows in self.rows().items() if key in good},
            "known": set(self.rows()) <= set(place.receipts()),
            "problems": [problem.what for problem in problems],
        }

    def rows(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        if self.store.exists("notes"):
            for row in self.store.select("notes", where="pk != {none}", values={"none": ""}, limit=None):
                told = {name: value for name, value in row.content_metadata.items() if name != "run_id"}
                found.setdefault(str(row.fields["document"]), []).append((row.id, row.text, row.fields, told))
        return found


def undisturbed(root: Path, life: Life) -> dict[str, Any]:
    """Return what one run of what the source has now leaves in a place of its own."""
    fresh = Life(root, 0, source=life.place.source)
    fresh.choose(life.chunk_size)
    fresh.sensor()
    return fresh.facts()


def assert_as_undisturbed(root: Path, life: Life) -> None:
    life.settle()
    assert life.facts() == undisturbed(root, life), life.told
    asked_before = len(life.embedder.calls)
    life.elsewhere()
    assert len(life.embedder.calls) == asked_before, life.told


def live(root: Path, seed: int, steps: int) -> None:
    life = Life(root / f"life{seed}", seed)
    for _ in range(steps):
        life.step()
    assert_as_undisturbed(root / f"fresh{seed}", life)


@pytest.mark.parametrize(
    "told",
    ["write a/sensor/spoil a/elsewhere", "spoil a/sensor/write a/lost", "write a/sensor/spoil a/some/restore a"],
)
def test_lives_that_once_ended_wrong(tmp_path: Path, told: str) -> None:
    life = Life(tmp_path / "life", 0)
    for happens, *name in map(str.split, told.split("/")):
        getattr(life, happens)(*name)
    assert_as_undisturbed(tmp_path / "fresh", life)


def test_a_short_life(tmp_path: Path) -> None:
    live(tmp_path, seed=1, steps=4)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_lives(tmp_path: Path) -> None:
    lives = int(os.environ.get("NRD_TEST_LIVES", "100"))
    for seed in range(lives):
        live(tmp_path, seed, steps=8)
        print(f"{seed + 1} lives, 0 divergences", flush=True)
