"""How the rows of a page become its text again."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.hits import text_of_pages
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
