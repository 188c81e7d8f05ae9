"""Partition keys of a corpus and the ranges they are run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
"""The tag of a run of one partition that has no range: somebody launched it in the UI, or by ``dg.materialize``."""
CORPUS = "nemo_retriever/corpus"
"""The tag of a run that says whose documents it takes on: corpora of one source have the same partition keys."""
_CHUNK = 10_000
WAITING = (dg.DagsterRunStatus.QUEUED,)
UNFINISHED = (
    *WAITING,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def keys_in(instance: dg.DagsterInstance, partitions: dg.DynamicPartitionsDefinition) -> Sequence[str]:
    """Return the keys that the instance has, in the order they were added."""
    return instance.get_dynamic_partitions(str(partitions.name))


def add_keys(instance: dg.DagsterInstance, partitions: dg.DynamicPartitionsDefinition, keys: Iterable[str]) -> None:
    """Add the keys that are not there yet, in the given order; ranges follow the order of adding."""
    assert partitions.name is not None
    there = set(keys_in(instance, partitions))
    new = [key for key in dict.fromkeys(keys) if key not in there]
    for start in range(0, len(new), _CHUNK):
        instance.add_dynamic_partitions(partitions.name, new[start : start + _CHUNK])


def ranges(wanted: Iterable[str], order: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Group the wanted keys into runs of neighbours in ``order``, at most ``size`` long."""
    place = {key: i for i, key in enumerate(order)}
    groups: list[list[str]] = []
    for key in sorted(wanted, key=place.__getitem__):
        if groups and len(groups[-1]) < size and place[groups[-1][-1]] + 1 == place[key]:
            groups[-1].append(key)
        else:
            groups.append([key])
    return [tuple(group) for group in groups]


def ends_in_use(instance: dg.DagsterInstance) -> set[str]:
    """Return the keys that the ranges of unfinished runs begin or end with: without them such a run cannot go on."""
    return {key for run in _ranged(instance) for key in _ends(run)}


def runs_of(
    instance: dg.DagsterInstance, corpus: str, asset: dg.AssetKey, statuses: Sequence[dg.DagsterRunStatus] = UNFINISHED
) -> list[dg.DagsterRun]:
    """Return the runs of a corpus's ranges that are in one of ``statuses``."""
    return [run for run in _ranged(instance, statuses) if not _of_others(run, corpus, asset)]


def taken_on(runs: Iterable[dg.DagsterRun], order: Sequence[str]) -> set[str]:
    """Return the keys of a corpus, whose keys are in this ``order``, that ``runs`` take on."""
    place = {key: i for i, key in enumerate(order)}
    ends = [_ends(run) for run in runs]
    spans = [(place[first], place[last]) for first, last in ends if {first, last} <= place.keys()]
    return {key for first, last in spans for key in order[first : last + 1]}


def _ranged(instance: dg.DagsterInstance, statuses: Sequence[dg.DagsterRunStatus] = UNFINISHED) -> list[dg.DagsterRun]:
    """Return the runs in one of ``statuses`` that take on partitions, one or a range."""
    runs = instance.get_runs(dg.RunsFilter(statuses=statuses))
    return [run for run in runs if PARTITION in run.tags or {RANGE_START, RANGE_END} <= run.tags.keys()]


def _ends(run: dg.DagsterRun) -> tuple[str, str]:
    one = run.tags.get(PARTITION)
    return (one, one) if one is not None else (run.tags[RANGE_START], run.tags[RANGE_END])


def _of_others(run: dg.DagsterRun, corpus: str, asset: dg.AssetKey) -> bool:
    """Whether a run is known to be of other assets only: by its tag, or by what was selected for it."""
    named, selected = run.tags.get(CORPUS, corpus), run.asset_selection
    return named != corpus or (selected is not None and asset not in selected)


def range_tags(corpus: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the tags of a run that takes on the range from the first to the last of a corpus's ``keys``."""
    return {CORPUS: corpus, RANGE_START: keys[0], RANGE_END: keys[-1]}
