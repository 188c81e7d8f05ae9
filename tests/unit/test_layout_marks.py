"""Bullets and numbers set apart from their lines come before them."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.extract.layout import Line
from nemo_retriever_dagster.extract.layout_marks import dots_among, leads_on, with_drawn_bullets, with_markers
from nemo_retriever_dagster.model import Box

SIZE = 10.0


def line(text: str, x0: float, y0: float, order: int) -> Line:
    return Line(text, Box(x0, y0, x0 + 5 * len(text), y0 + SIZE), SIZE, order=order)


def test_bullets_written_after_all_items_come_before_their_own():
    items = [line("The first item", 80, 100, 0), line("goes on", 80, 112, 1), line("The second item", 80, 124, 2)]
    bullets = [line("\u2022", 65, 100, 3), line("\u2022", 65, 124, 4)]
    found = with_markers([*items, *bullets])
    assert [(each.text, each.order) for each in found] == [
        ("\u2022 The first item", 0),
        ("goes on", 1),
        ("\u2022 The second item", 2),
    ]
    assert found[0].box == Box(65, 100, 150, 110)


def test_of_two_marks_both_come_before_the_line():
    found = with_markers([line("1.", 50, 100, 0), line("(a)", 65, 100, 1), line("Words", 85, 100, 2)])
    assert [each.text for each in found] == ["1. (a) Words"]
    assert found[0].order == 0


@pytest.mark.parametrize("mark", [line("\u2022", 65, 140, 1), line("\u2022", 20, 100, 1), line("No", 65, 100, 1)])
def test_what_stands_elsewhere_or_is_no_mark_stays_a_line(mark):
    lines = [line("The only item", 80, 100, 0), mark]
    assert with_markers(lines) == lines


def test_a_dot_before_a_line_is_its_bullet():
    lines = [line("Item", 80, 100, 0), line("goes on", 80, 112, 1), line("2. Item", 80, 124, 2)]
    dots = [Box(68, 103.5, 71.5, 107), Box(68, 127.5, 71.5, 131)]
    found = with_drawn_bullets(lines, dots_among(dots))
    assert [each.text for each in found] == ["\u2022 Item", "goes on", "2. Item"]
    assert found[0].box == Box(68, 100, 100, 110)


@pytest.mark.parametrize(
    "shape",
    [
        Box(68, 104.9, 71.5, 105.2),  # a dash
        Box(60, 97, 74, 111),  # a picture as high as the line
        Box(20, 103.5, 23.5, 107),  # far off
        Box(68, 109, 71.5, 112.5),  # below it
        Box(68, 105, 68, 105),  # nothing
    ],
)
def test_other_shapes_are_no_bullets(shape):
    lines = [line("Item", 80, 100, 0)]
    assert with_drawn_bullets(lines, dots_among([shape])) == lines


def test_a_page_of_marks_or_dots_has_no_lists():
    """A plot of thousands of points, a table of dashes: compared with every line they would take minutes."""
    assert dots_among([Box(i, 0, i + 3, 3) for i in range(5_000)]) == []
    dashes = [line("-", 50 + 20 * (i % 20), 10 * (i // 20), i) for i in range(5_000)]
    assert with_markers(dashes) == dashes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.1 Photocopied subject . . . . . . . . . . 65", True),
        ("arrays........... 12, 14", True),
        ("Preface . . . . . . . . . . xii", True),
        ("Cash and equivalents . . . . . . . . 1,234", False),
        ("and so on ... 65", False),
        ("Chapter 65", False),
    ],
)
def test_dots_lead_to_pages(text: str, *, expected: bool):
    assert leads_on(text) is expected
