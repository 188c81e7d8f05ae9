"""The shelf of stage results: which of many are there, and what is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.model import Chunk, Kind
from nemo_retriever_dagster.shelf import Shelf, place_of

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = Chunk(element=0, position=0, kind=Kind.TEXT, text="text", begins=0)


@pytest.mark.parametrize("others", [0, 200])
def test_results_that_are_not_there_are_told_one_by_one_and_in_one_listing(tmp_path: Path, others: int) -> None:
    shelf = Shelf(Artifacts(tmp_path))
    whole, cut, captions = (
        place_of(Stage.SPLIT, "a", "1"),
        place_of(Stage.SPLIT, "b", "1"),
        place_of(Stage.CAPTION, "a", "1"),
    )
    for place in (whole, cut):
        shelf.put_chunks(place, [CHUNK])
        shelf.finish(place, {})
    shelf.finish(captions, {})
    assert len(list(tmp_path.rglob("*.data"))) == 2
    Artifacts(tmp_path).delete(f"split/{cut.partition('/')[2][:2]}/{cut.partition('/')[2]}.data")
    gone = {place_of(Stage.EXTRACT, "a", str(n)) for n in range(others)} | {cut}
    assert shelf.lacking(gone | {whole, captions}) == gone
    shelf.forget(whole)
    assert shelf.lacking({whole, captions}) == {whole}
    assert shelf.note(whole) is None
