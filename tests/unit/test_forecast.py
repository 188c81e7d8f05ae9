"""What a run would ask of engines: which documents go through which stage, and what their past and others' tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.forecast import Demand, asked, forecast, stages_due
from nemo_retriever_dagster.ledger_usage import UsageRow
from nemo_retriever_dagster.model import Document, Receipt, Usage
from nemo_retriever_dagster.planning import Plan
from nemo_retriever_dagster.testing.engines import WatchedEmbedder
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES = (Stage.EXTRACT, Stage.SPLIT, Stage.EMBED, Stage.UPLOAD)
NOW = dict.fromkeys(STAGES, "now")
ENGINES = {Stage.CAPTION: ["vlm", "ocr"], Stage.EMBED: ["e"]}


def document(name: str, size: int = 100) -> Document:
    return Document(uri=name, key=f"{name}.0123456789", size=size)


def receipt(of: Document, **former: str) -> Receipt:
    prints = {str(stage): value for stage, value in NOW.items()} | former
    facts = {"collection": "c", "generation": "g", "rows": 1, "run_id": "r", "finished_at": ""}
    return Receipt(document=of.key, uri=of.uri, sha256="", fingerprints=prints, **facts)


def spent(of: Document, tokens: int, *, run: str = "r", stage: str = "embed", engine: str = "e") -> UsageRow:
    usage = Usage(requests=1, retries=3, items=2, tokens=tokens, seconds=tokens / 1000)
    return UsageRow(document=of.key, run_id=run, stage=stage, engine=engine, usage=usage)


def demand(due: Sequence[Document], past: dict[Document, int], *more: UsageRow) -> Demand:
    """Return the one demand of documents to embed; of each of ``past`` it is known what tokens it took."""
    rows = [*(spent(one, tokens) for one, tokens in past.items()), *more]
    (found,) = forecast({Stage.EMBED: due}, [*past, *due], map(receipt, past), rows, ENGINES)
    return found


def tokens(found: Demand) -> tuple[int, int]:
    assert found.expected is not None
    assert found.margin is not None
    return found.expected.tokens, found.margin.tokens


def test_new_documents_go_through_all_stages_and_outdated_ones_through_those_touched() -> None:
    new, changed, longer, other = map(document, ("new.txt", "changed.txt", "longer.txt", "other.txt"))
    plan = Plan(new=(new,), changed=(changed,), outdated=(longer, other), unchanged=(document("same.txt"),))
    formats = {"txt": NOW, "pdf": dict.fromkeys(STAGES, "of PDF")}
    receipts = [receipt(longer, split="a", embed="a", upload="a"), receipt(other, upload="a"), receipt(changed)]
    due = stages_due(plan, STAGES, formats, receipts)
    assert due == {
        Stage.EXTRACT: [new, changed],
        Stage.SPLIT: [new, changed, longer],
        Stage.EMBED: [new, changed, longer],
        Stage.UPLOAD: [new, changed, longer, other],
    }


def test_a_document_that_was_done_takes_what_it_took() -> None:
    a, b, c = document("a.txt"), document("b.txt"), document("c.txt", 900)
    found = demand([a, c], {a: 100, b: 200, c: 50})
    usage = Usage(requests=2, items=4, tokens=150, seconds=0.15)
    assert found == Demand(stage="embed", engine="e", documents=2, seen=3, expected=usage, margin=Usage())


def test_of_several_runs_of_a_document_their_mean_counts() -> None:
    a, b = document("a.txt"), document("b.txt")
    assert tokens(demand([a], {a: 100, b: 7}, spent(a, 300, run="another"))) == (200, 0)


def test_new_documents_take_what_their_kind_took_for_their_sizes() -> None:
    done = {document(f"{size}.txt", size): size // 10 for size in (100, 200, 300)}
    other = {document("a.pdf", 10_000): 5}
    assert tokens(demand([document("new.txt", 400), document("more.txt", 600)], done | other)) == (100, 0)


def test_where_few_are_of_a_kind_new_documents_take_what_any_took() -> None:
    done = {document("a.txt", 10): 10, document("b.pdf", 90_000): 30, document("c.md", 7): 20}
    expected, margin = tokens(demand([document("new.txt", 5_000)], done))
    # one document of a mean of 20 and a standard deviation of 10, and the mean of three
    assert (expected, margin) == (20, round(2 * (100 + 100 / 3) ** 0.5))


def test_documents_that_asked_nothing_of_an_engine_are_counted() -> None:
    seen = [document(f"{n}.pdf") for n in range(4)]
    rows = [spent(one, 8) for one in seen] + [spent(seen[0], 40, stage="caption", engine="vlm")]
    prints = [receipt(one, caption="now") for one in seen]
    new = document("new.pdf")
    again, first = (forecast({Stage.CAPTION: [one]}, [*seen, new], prints, rows, ENGINES)[0] for one in (seen[1], new))
    assert tokens(again) == (0, 0)
    assert tokens(first)[0] == 10


def test_documents_of_which_nothing_was_noted_tell_nothing() -> None:
    noted, silent, new = [document(f"{n}.txt") for n in range(2)], document("silent.txt"), document("new.txt")
    rows = [spent(one, 30) for one in noted]
    due = {Stage.EMBED: [new]}
    (found,) = forecast(due, [*noted, silent, new], map(receipt, (*noted, silent)), rows, ENGINES)
    assert (found.seen, tokens(found)) == (2, (30, 0))


def test_documents_that_were_never_at_a_stage_tell_nothing_of_it() -> None:
    seen = [document(f"{n}.pdf") for n in range(6)]
    rows = [spent(one, 8) for one in seen] + [spent(one, 40, stage="caption", engine="vlm") for one in seen[:3]]
    prints = [receipt(one, caption="now") for one in seen[:3]] + [receipt(one) for one in seen[3:]]
    (found,) = forecast({Stage.CAPTION: seen[3:]}, seen, prints, rows, ENGINES)
    assert (found.seen, tokens(found)) == (3, (120, 0))


@pytest.mark.parametrize("past", [{}, {document("a.txt"): 5}])
def test_fewer_than_two_documents_tell_nothing_of_others(past: dict[Document, int]) -> None:
    found = demand([document("new.txt")], past)
    assert found == Demand(stage="embed", engine="e", documents=1, seen=len(past))


def test_an_engine_that_is_asked_no_more_is_left_out_and_one_asked_for_the_first_time_is_named() -> None:
    a, b = document("a.txt"), document("b.txt")
    rows = [spent(one, 5, engine="former") for one in (a, b)]
    found = forecast({Stage.EMBED: [a, b], Stage.CAPTION: [a]}, [a, b], map(receipt, (a, b)), rows, ENGINES)
    assert found == [
        Demand(stage="embed", engine="e", documents=2, seen=0),
        Demand(stage="caption", engine="vlm", documents=1, seen=0),
    ]


def test_nothing_due_asks_nothing() -> None:
    a = document("a.txt")
    assert forecast({Stage.EMBED: []}, [a], [receipt(a)], [spent(a, 5)], ENGINES) == []


def test_engines_are_asked_by_their_stages() -> None:
    embedder = WatchedEmbedder(HashEmbedder(8))
    assert asked(Engines(embedder=embedder)) == {Stage.EXTRACT: [], Stage.CAPTION: [], Stage.EMBED: [embedder.name]}
