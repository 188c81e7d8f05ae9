"""The shelf of stage results: which of many are there, and what is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.errors import ArtifactDamagedError, Stage
from nemo_retriever_dagster.model import Chunk, Element, Kind, Picture
from nemo_retriever_dagster.shelf import ResultGoneError, Shelf, place_of

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


def test_a_result_of_another_version_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(Stage.SPLIT, "a", "1")
    with monkeypatch.context() as patch:
        patch.setattr("nemo_retriever_dagster.codec._VERSION", 0)
        shelf = Shelf(Artifacts(tmp_path))
        shelf.put_chunks(place, [CHUNK])
        shelf.finish(place, {})
    shelf = Shelf(Artifacts(tmp_path))
    with pytest.raises(ArtifactDamagedError, match="of another version"):
        shelf.chunks(place)
    assert shelf.lacking({place}) == {place}
    shelf.put_chunks(place, [CHUNK])
    assert Shelf(Artifacts(tmp_path)).chunks(place) == (CHUNK,)


def test_a_result_that_is_gone_or_lacks_a_picture_is_made_anew(tmp_path: Path) -> None:
    chunks, elements = place_of(Stage.SPLIT, "a", "1"), place_of(Stage.EXTRACT, "a", "1")
    shelf = Shelf(Artifacts(tmp_path))
    shelf.put_chunks(chunks, [CHUNK])
    shelf.put_elements(elements, [Element(kind=Kind.IMAGE, picture=Picture(data=b"1", width=1, height=1))])
    for place in (chunks, elements):
        shelf.finish(place, {})
    next(tmp_path.glob("split/*/*.data")).unlink()
    next(tmp_path.glob("picture/*/*.blob")).unlink()
    later = Shelf(Artifacts(tmp_path))
    with pytest.raises(ResultGoneError, match="result split/"):
        later.chunks(chunks)
    with pytest.raises(ResultGoneError, match="picture"):
        later.elements(elements)
    assert [later.note(place) for place in (chunks, elements)] == [None, None]


def test_what_is_kept_in_memory_is_bounded_by_number_and_size(tmp_path: Path) -> None:
    def picture(number: int, size: int) -> Element:
        return Element(kind=Kind.IMAGE, picture=Picture(data=number.to_bytes(4) + bytes(size), width=1, height=1))

    shelf = Shelf(Artifacts(tmp_path))
    places = [place_of(Stage.EXTRACT, "a", str(n)) for n in range(20)]
    for number, place in enumerate(places):
        shelf.put_elements(place, [picture(number, 10)])
    assert list(shelf._memory) == places[-16:]
    shelf.elements(places[4])
    assert list(shelf._memory) == [*places[5:], places[4]], "what was read last goes last"
    for number, place in enumerate(places[:5]):
        shelf.put_elements(place, [picture(number, 20 << 20)])
    assert list(shelf._memory) == places[2:5]
    shelf.put_elements(places[5], [picture(9, 70 << 20)])
    assert list(shelf._memory) == [places[5]], "the last one stays, however large"
