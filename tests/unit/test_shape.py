"""The row of a chunk: where it stands, and that what cannot be found has none."""

from __future__ import annotations

import numpy as np

from nemo_retriever_dagster.model import Box, Chunk, Document, Element, Kind, Place
from nemo_retriever_dagster.shape import Made, to_json, to_records

BOX, PAGE = Box(1.234, 2.345678, 30, 40.004), (600.128, 800.0)


def made(vectors: np.ndarray | None, *places: Place) -> Made:
    """Return a document of one element and two equal chunks."""
    chunks = [
        Chunk(element=0, position=n, kind=Kind.TEXT, text="A valve.", begins=0, places=places or (Place(page=1),))
        for n in range(2)
    ]
    document = Document(uri="a.txt", key="a.txt.0123456789", sha256="ab" * 32, format="txt")
    elements = [Element(kind=Kind.TEXT, text="A valve.", page=1)]
    return Made(document=document, elements=elements, chunks=chunks, vectors=vectors, page_count=3)


def test_a_chunk_without_a_vector_has_no_row() -> None:
    half = np.array([[1.0, 2.0], [np.nan, np.nan]], dtype="f4")
    (row,) = to_records(made(half), collection="c", generation="g", run_id="r")
    assert (row.vector, row.content_metadata["position"]) == ([1.0, 2.0], 0)
    assert to_records(made(None), collection="c", generation="g", run_id="r") == []


def test_a_place_is_told_in_hundredths_of_a_point_and_only_where_there_is_one() -> None:
    place = Place(page=2, box=BOX, page_size=PAGE)
    section = to_json(made(None, place), 0)["metadata"]["text_metadata"]
    assert section["text_location"] == [1.23, 2.35, 30, 40.0]
    assert section["text_location_max_dimensions"] == [600.13, 800.0]
    section = to_json(made(None, place, Place(page=3, box=BOX, page_size=PAGE)), 0)["metadata"]["text_metadata"]
    assert section["text_location"] == [-1, -1, -1, -1]
    (row, _) = to_records(made(np.ones((2, 2)), place), collection="c", generation="g", run_id="r")
    assert row.content_metadata["location"] == [1.23, 2.35, 30, 40.0]


def test_a_chunk_of_all_pages_has_no_page_and_one_of_some_the_first() -> None:
    pages = [Place(page=number) for number in (1, 2, 3)]
    told = [to_json(made(None, *some), 0)["metadata"]["content_metadata"]["page_number"] for some in (pages, pages[1:])]
    assert told == [-1, 2]
