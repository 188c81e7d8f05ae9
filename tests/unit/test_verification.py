"""What a look at a corpus tells of stage results; rows and pictures are looked at in ``integration/test_verify.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Pipeline
from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Chunk, Kind, Receipt
from nemo_retriever_dagster.shelf import Shelf, place_of
from nemo_retriever_dagster.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

SHA = "ab" * 32


@pytest.mark.parametrize("stage", [Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION])
def test_a_document_of_which_a_result_is_gone_is_told_and_is_no_problem(tmp_path: Path, stage: Stage) -> None:
    shelf, ledger = Shelf(Artifacts(tmp_path / "artifacts")), Ledger(f"sqlite:///{tmp_path}/ledger.db")
    prints = {str(one): f"{one}-1" for one in Stage}
    for uri in ("a.txt", "b.txt"):
        receipt = Receipt(
            document=f"{uri}.0123456789",
            uri=uri,
            sha256=SHA if uri == "a.txt" else SHA[::-1],
            collection="",
            generation="g",
            rows=0,
            run_id="r",
            finished_at="",
            fingerprints=prints,
        )
        ledger.commit("c", receipt)
        for one in (Stage.EXTRACT, Stage.SPLIT, Stage.CAPTION):
            place = place_of(one, receipt.sha256, prints[one])
            shelf.put_chunks(place, [Chunk(element=0, position=0, kind=Kind.TEXT, text="text", begins=0)])
            shelf.finish(place, {})
    assert verify("c", Pipeline(), ledger, None, shelf=shelf).remade == ()
    shelf.forget(place_of(stage, SHA, prints[stage]))
    found = verify("c", Pipeline(), ledger, None, shelf=shelf)
    assert (found.documents, found.remade, found.problems) == (2, ("a.txt",), ())
