"""The user's own fields of documents: from a data frame, records, or a file."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.errors import InvalidOptionError, Stage
from nemo_retriever_dagster.model import Chunk, Document, Element, Kind, Place
from nemo_retriever_dagster.shape import Made, to_record
from nemo_retriever_dagster.sidecar import Sidecar, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROWS = [
    {"file": "a.txt", "team": "paint", "year": np.int64(2024), "weight": 1.5},
    {"file": "docs/b.txt", "team": None, "year": np.int64(2025), "weight": float("nan")},
    {"file": "a.txt", "team": "the second row of a document", "year": 0, "weight": 0.0},
]
NAMES = ("team", "year", "weight")
A = {"team": "paint", "year": 2024, "weight": 1.5}
B = {"team": None, "year": 2025, "weight": None}


def document(uri: str) -> Document:
    return Document(uri=uri, key=uri)


def written(folder: Path, form: str) -> Any:
    """Return the rows as a table of some form."""
    frame = pd.DataFrame(ROWS)
    path = folder / f"table.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "json":
        frame.to_json(path, orient="records")
    elif form == "parquet":
        frame.to_parquet(path)
    return {"records": ROWS, "frame": frame, "csv": str(path), "json": path, "parquet": f"file://{path}"}[form]


@pytest.fixture
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["records", "frame", "csv", "json", "parquet"])
def test_fields_are_found_by_path_or_name(tmp_path: Path, form: str) -> None:
    found = read_sidecar(written(tmp_path, form), "file", NAMES)
    assert found.of(document("docs/a.txt")) == A
    assert found.of(document("docs/b.txt")) == B
    assert found.of(document("b.txt")) == {}
    json.dumps(found.of(document("docs/b.txt")), allow_nan=False)


def test_a_path_as_it_is_given_names_one_document_and_its_last_part_all_others() -> None:
    found = read_sidecar([{"file": "a.txt", "team": "any"}, {"file": "docs/a.txt", "team": "one"}], "file", ("team",))
    assert [found.of(document(uri))["team"] for uri in ("docs/a.txt", "more/a.txt")] == ["one", "any"]


def test_a_date_of_a_data_frame_is_text_and_a_missing_one_is_none() -> None:
    frame = pd.DataFrame({"file": ["a", "b"], "since": [pd.Timestamp("2024-05-06"), pd.NaT]})
    found = read_sidecar(frame, "file", ("since",))
    assert [found.of(document(name)) for name in "ab"] == [{"since": "2024-05-06 00:00:00"}, {"since": None}]


def test_fields_have_no_names_that_rows_have_of_their_own() -> None:
    rows = [{"file": "a.txt", "version": "v2", "kind": "memo"}]
    with pytest.raises(InvalidOptionError, match="kind, version"):
        read_sidecar(rows, "file", ["version", "kind"])
    for name in _content_metadata_of_a_row():
        with pytest.raises(InvalidOptionError, match=name):
            read_sidecar([{"file": "a.txt", name: 1}], "file", [name])


def _content_metadata_of_a_row() -> Mapping[str, Any]:
    element = Element(kind=Kind.TEXT, text="A valve.")
    chunk = Chunk(text="A valve.", element=0, position=0, begins=0, kind=Kind.TEXT, places=(Place(page=1),))
    made = Made(document=document("a.txt"), elements=(element,), chunks=(chunk,), vectors=np.ones((1, 2)))
    record = to_record(made, 0, collection="c", generation="g", run_id="r")
    assert record is not None
    return record.content_metadata


def test_fields_inside_fields_become_json() -> None:
    own = {"file": "a.txt", "own": {"when": dt.date(2026, 1, 2), "sizes": [np.int64(1), np.float32("nan")]}}
    sidecar = read_sidecar([own], "file", ["own"])
    assert sidecar.of(document("a.txt")) == {"own": {"when": "2026-01-02", "sizes": [1, None]}}


def test_fields_change_the_fingerprint_of_their_documents_upload_and_nothing_else() -> None:
    prints = {Stage.EMBED: "e", Stage.UPLOAD: "u"}

    def marked(rows: list[dict[str, Any]], names: tuple[str, ...], name: str = "a.txt") -> str:
        found = read_sidecar(rows, "file", names).marked(prints, document(name))
        assert found[Stage.EMBED] == "e"
        return found[Stage.UPLOAD]

    team = marked(ROWS, ("team",))
    assert len({team, marked(ROWS, ("year",)), marked(ROWS, ("team",), "docs/b.txt"), "u"}) == 4
    assert marked(ROWS, ("team", "year")) == marked(ROWS, ("year", "team"))
    assert marked([{**row, "unasked": 1} for row in ROWS], ("team",)) == team
    assert marked([*ROWS, {"file": "c.txt", "team": "new"}], ("team",)) == team
    assert marked(ROWS, ("team",), "c.txt") == Sidecar().marked(prints, document("a.txt"))[Stage.UPLOAD] == "u"


@pytest.mark.parametrize(
    ("table", "field", "names", "words"),
    [
        ("absent.csv", "file", ("team",), "absent.csv.* cannot be read"),
        ("notes.txt", "file", ("team",), "no table"),
        (5, "file", ("team",), "is no table"),
        ([ROWS], "file", ("team",), "is no table"),
        (iter(ROWS), "file", ("team",), "is no table"),
        (ROWS, "path", ("team",), "no 'path'. It has file, team, year, weight"),
        (ROWS, "file", ("team", "colour"), "no 'colour'"),
        (ROWS, None, ("team",), "meta_source_field"),
        (ROWS, "file", (), "meta_fields"),
    ],
)
@pytest.mark.usefixtures("_in_a_folder")
def test_what_is_wrong_is_said_before_any_document_is_read(
    table: Any, field: str | None, names: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("The bolt.")
    chain = Ingestor().files("a.txt").extract().embed()
    chain = chain.vdb_upload(milvus_uri="m.db", meta_dataframe=table, meta_source_field=field, meta_fields=names)
    with pytest.raises(InvalidOptionError, match=words):
        chain.ingest(return_failures=True)
    assert not (tmp_path / "m.db").exists()
