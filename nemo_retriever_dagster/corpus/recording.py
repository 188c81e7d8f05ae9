"""Writing into Dagster's event log what became of each document."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dagster as dg

_TOGETHER = "DAGSTER_EVENT_BATCH_SIZE"


def record(context: dg.OpExecutionContext, events: Sequence[dg.AssetMaterialization]) -> None:
    """Write materializations from an op: one by one, or together where ``DAGSTER_EVENT_BATCH_SIZE`` is set.

    Dagster itself writes together only what an output gives rise to, and that says the same of every partition. Its way
    of doing so is not public, so it is taken only where that variable asks for it.
    """
    if int(os.environ.get(_TOGETHER, "0")) > 0:
        _together(context, events)
        return
    for event in events:
        context.log_event(event)


def _together(context: dg.OpExecutionContext, events: Sequence[dg.AssetMaterialization]) -> None:
    from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata

    step, batch = context.get_step_execution_context(), uuid4().hex
    for number, event in enumerate(events, 1):
        DagsterEvent.asset_materialization(step, event, DagsterEventBatchMetadata(batch, number == len(events)))
