"""Partition keys of a corpus and the ranges they are run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
_CHUNK = 10_000
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


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
    return {key for ends in _ranges_in_use(instance) for key in ends}


def under_way(instance: dg.DagsterInstance, order: Sequence[str]) -> set[str]:
    """Return the keys of a corpus, whose keys are in this ``order``, that unfinished runs take on."""
    place = {key: i for i, key in enumerate(order)}
    spans = [(place[first], place[last]) for first, last in _ranges_in_use(instance) if {first, last} <= place.keys()]
    return {key for first, last in spans for key in order[first : last + 1]}


def _ranges_in_use(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    tags = [run.tags for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))]
    return [(some[RANGE_START], some[RANGE_END]) for some in tags if {RANGE_START, RANGE_END} <= some.keys()]


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """Return the run tags that select the range from the first to the last of ``keys``."""
    return {RANGE_START: keys[0], RANGE_END: keys[-1]}
