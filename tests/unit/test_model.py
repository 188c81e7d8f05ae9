"""The values: geometry, tables, names, failures as pairs, stable ids."""

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster import model
from nemo_retriever_dagster.errors import CorruptFileError, EngineBusyError, Stage
from nemo_retriever_dagster.model import Box, Cell, Document, Element, Failure, Kind, Picture, Table, Usage, stable_id

side = st.integers(-1000, 1000)
box = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), side, side, st.integers(0, 500), st.integers(0, 500))


@given(box, box)
def test_boxes(a: Box, b: Box):
    common, whole = a.intersect(b), a.union(b)
    assert common.area <= min(a.area, b.area)
    assert whole.area >= max(a.area, b.area)
    assert 0 <= a.iou(b) <= 1
    assert a.iou(b) == b.iou(a)
    assert 0 <= a.covered_by(b) <= 1
    assert a.covered_by(whole) == (1 if a.area else 0)
    assert a.iou(a) == (1 if a.area else 0)
    assert a.covered_by(b) == (common.area / a.area if a.area else 0)
    assert a.iou(b) == (common.area / (a.area + b.area - common.area) if common.area else 0)


def test_box_figures():
    a, b = Box(0, 0, 10, 10), Box(5, 0, 15, 20)
    assert (b.width, b.height, b.area) == (10, 20, 200)
    assert a.intersect(b) == Box(5, 0, 10, 10)
    assert a.union(b) == Box(0, 0, 15, 20)
    assert a.covered_by(b) == 0.5
    assert a.iou(b) == pytest.approx(50 / 250)
    assert a.intersect(Box(20, 20, 30, 30)).area == 0
    assert Box(1, 2, 3, 4).scale(2, 10) == Box(2, 20, 6, 40)


def test_pictures_are_known_by_their_bytes():
    picture = Picture(data=b"abc", width=1, height=1, media_type="image/jpeg")
    assert picture.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert picture.suffix == "jpeg"
    assert "abc" not in repr(picture)


def test_table_of_rows():
    rows = [["a", "b"], ["1", "2"]]
    table = Table.of_rows(rows, headers=1)
    assert table.shape == (2, 2)
    assert table.rows() == rows
    assert [cell.header for cell in table.cells] == [True, True, False, False]


def test_table_with_spans():
    table = Table(
        cells=(Cell(row=0, column=0, text="wide", column_span=3), Cell(row=1, column=1, text="x", row_span=2))
    )
    assert table.shape == (3, 3)
    assert table.rows() == [["wide", "", ""], ["", "x", ""], ["", "", ""]]
    assert Table(cells=()).shape == (0, 0)
    assert Table(cells=()).rows() == []


@pytest.mark.parametrize(
    ("uri", "name"),
    [("/a/b.pdf", "b.pdf"), ("b.pdf", "b.pdf"), ("s3://x/y/z", "z"), ("C:\\x\\y.txt", "y.txt"), ("folder/", "folder")],
)
def test_document_name(uri: str, name: str):
    assert Document(uri=uri, key="k").name == name


def test_failure_of_our_own_error():
    failure = Failure.of(
        Document(uri="/a.pdf", key="k"),
        Stage.EXTRACT,
        CorruptFileError("Cut off.", hint="Mend it.", page=3),
        run_id="r",
        index=7,
    )
    assert failure.message == "/a.pdf page 3, extract: Cut off.\nMend it."
    assert (failure.category, failure.kind, failure.document, failure.run_id) == ("data", "CorruptFileError", "k", "r")
    source, message = failure
    assert (source, message) == ("7:/a.pdf", failure.message)
    assert (failure[0], failure[1], len(failure)) == (source, message, 2)
    assert json.loads(json.dumps(failure.to_json()))["stage"] == "extract"


def test_failure_of_a_transient_and_of_a_foreign_error():
    document = Document(uri="/a.pdf", key="k")
    assert Failure.of(document, Stage.EMBED, EngineBusyError()).category == "transient"
    foreign = Failure.of(document, Stage.EMBED, KeyError("api_key=abcdefgh"))
    assert foreign.category == "infrastructure"
    assert foreign.kind == "KeyError"
    assert "abcdefgh" not in foreign.message
    assert "report it" in foreign.hint


def test_usage_adds_up():
    total = Usage(requests=1, tokens=2, seconds=0.5) + Usage(requests=1, retries=3, items=4)
    assert total == Usage(requests=2, retries=3, items=4, tokens=2, seconds=0.5)


@given(
    st.lists(st.text(st.characters(exclude_characters="\x1f", exclude_categories=()))),
    st.lists(st.text(st.characters(exclude_characters="\x1f", exclude_categories=()))),
)
def test_stable_ids_tell_parts_apart(a: list[str], b: list[str]):
    # No parts and one empty part are the one pair that cannot be told apart; no caller has none.
    assert (stable_id(*a) == stable_id(*b)) is (a == b or {tuple(a), tuple(b)} == {(), ("",)})


def test_stable_ids_are_the_same_in_every_process_and_for_ever():
    expected = "b193fa462a482ec4892d2a8936cb8901"
    code = "from nemo_retriever_dagster.model import stable_id; print(stable_id('c', 'é', 3))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "LC_ALL": locale, "TZ": zone},
        ).stdout.strip()
        for seed, locale, zone in (("1", "C", "UTC"), ("2", "C.UTF-8", "Asia/Tokyo"))
    }
    assert found == {stable_id("c", "é", 3)} == {expected}


def test_values_are_frozen_slotted_and_by_keyword():
    values = [kind for kind in vars(model).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)]
    assert len(values) >= 10
    for kind in values:
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        assert hasattr(kind, "__slots__"), kind
        assert all(field.kw_only for field in dataclasses.fields(kind)), kind
    with pytest.raises(dataclasses.FrozenInstanceError):
        Element(kind=Kind.TEXT).text = "x"  # type: ignore[misc]
