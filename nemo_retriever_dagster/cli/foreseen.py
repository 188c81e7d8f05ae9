"""What a run would take, as ``plan`` shows it: documents by stage, and what they would ask of engines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from nemo_retriever_dagster.cli.shown import console
from nemo_retriever_dagster.forecast import asked, forecast, stages_due

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemo_retriever_dagster.corpus import DocumentCorpus
    from nemo_retriever_dagster.engines.ports import Engines
    from nemo_retriever_dagster.errors import Stage
    from nemo_retriever_dagster.forecast import Demand
    from nemo_retriever_dagster.ledger import Ledger
    from nemo_retriever_dagster.model import Usage, type_json
    from nemo_retriever_dagster.planning import Plan

_NUMBERS = ("requests", "items", "tokens", "seconds")


def foresee(
    corpus: DocumentCorpus, plan: Plan, ledger: Ledger, engines: Engines
) -> tuple[dict[Stage, int], list[Demand]]:
    """Return how many documents would go through each stage, and what they would ask of engines."""
    pipeline, receipts = corpus.pipeline, ledger.receipts(corpus.name)
    prints = pipeline.all_fingerprints(engines)
    due = stages_due(plan, pipeline.stages(), prints, receipts, sidecar=pipeline.sidecar())
    demands = forecast(due, plan.present(), receipts, ledger.usage(corpus.name), asked(engines))
    return {stage: len(documents) for stage, documents in due.items()}, demands


def show_foreseen(due: Mapping[Stage, int], demands: Sequence[Demand]) -> None:
    """Print what a run would take; nothing where there is nothing to do."""
    if not any(due.values()):
        return
    stages = ", ".join(f"{stage} {number}" for stage, number in due.items() if number)
    console.print(f"To do, where no results are kept: {stages}", highlight=False)
    if demands:
        _show_demands(demands)


def _show_demands(demands: Sequence[Demand]) -> None:
    columns = (Column(name, justify="right") for name in ("documents", *_NUMBERS))
    table = Table("stage", Column("engine", overflow="fold"), *columns, box=None)
    table.title, table.title_justify = _title(demands), "left"
    for demand in demands:
        table.add_row(demand.stage, Text(demand.engine), f"{demand.documents:,}", *_cells(demand))
    console.print(table)


def _title(demands: Sequence[Demand]) -> str:
    seen = max(demand.seen for demand in demands)
    past = f"by what {seen:,} documents took before" if seen else "of which the first runs will tell more"
    return f"What they would ask of engines, {past}"


def _cells(demand: Demand) -> list[str]:
    if demand.expected is None or demand.margin is None:
        return ["not known yet"]
    return [_about(name, demand.expected, demand.margin) for name in _NUMBERS]


def _about(name: str, expected: Usage, margin: Usage) -> str:
    number, more = getattr(expected, name), getattr(margin, name)
    return f"{number:,.0f}" + (f" ± {more:,.0f}" if round(more) else "")


def foreseen_as_json(due: Mapping[Stage, int], demands: Sequence[Demand]) -> dict[str, type_json]:
    """Return the same for other programs."""
    return {
        "stages": {str(stage): number for stage, number in due.items()},
        "forecast": [asdict(one) for one in demands],
    }
