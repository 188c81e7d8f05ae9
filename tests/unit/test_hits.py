"""How the rows of a page become its text again."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.hits import Hit, text_of_pages
from nemo_retriever_dagster.vdb.contract import Row


def joined(*chunks: tuple[int, str]) -> str:
    """Return the text of chunks, each with the position of its element."""
    rows = [
        Row(
            id=str(place),
            score=0.0,
            distance=0.0,
            text=text,
            source={},
            content_metadata={"page_number": 1, "element": element, "position": place},
        )
        for place, (element, text) in enumerate(chunks)
    ]
    return text_of_pages(reversed(rows), [1])


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("Open the red valve", "the red valve slowly.", "Open the red valve slowly."),
        ("Turn to a", "a stop.", "Turn to a stop."),
        ("Open the valve", "each day.", "Open the valve\n\neach day."),
        ("Wait for a", "and see.", "Wait for a\n\nand see."),
        ("See part 11", "1 is a cap.", "See part 11\n\n1 is a cap."),
        ("弁をゆっくり開けてください", "っくり開けてください。", "弁をゆっくり開けてください。"),
        ("Wait.", "Begin.", "Wait.\n\nBegin."),
    ],
)
def test_what_chunks_of_an_element_share_is_there_once_and_no_letter_is_lost(left: str, right: str, text: str) -> None:
    assert joined((0, left), (0, right)) == text


def test_elements_that_end_and_begin_alike_are_both_whole() -> None:
    assert joined((0, "In all: 5 pumps"), (1, "5 pumps and a valve")) == "In all: 5 pumps\n\n5 pumps and a valve"


def hit(source: dict, fields: dict | None = None, **meta: object) -> Hit:
    return Hit.of(
        Row(id="a", score=0.0, distance=0.0, text="t", source=source, content_metadata=meta, fields=fields or {})
    )


def test_a_hit_is_of_the_path_that_its_row_names_before_any_other_id() -> None:
    assert hit({"source_name": "docs/a.pdf", "source_id": "17"}).source == "docs/a.pdf"
    assert hit({"source_id": "17"}).source == "17"


def test_a_hit_is_of_the_document_that_its_row_names_in_either_place() -> None:
    assert hit({}, {"document": "a-1"}).document == "a-1"
    assert hit({}, document="a-1").document == "a-1"


def test_a_hit_leads_to_the_picture_of_a_table_or_of_whatever_it_is() -> None:
    assert hit({}, table_metadata={"uploaded_image_uri": "s3://b/t.png"}).image_url == "s3://b/t.png"
    assert hit({"source_location": "s3://b/x.png"}, image_metadata={}).image_url == "s3://b/x.png"
