"""The order of things on a slide: rows, columns and what lies under others."""

from __future__ import annotations

import time

import pytest

from nemo_retriever_dagster.extract.pptx_order import reading_order
from nemo_retriever_dagster.model import Box


def read(**boxes: tuple[float, float, float, float]) -> str:
    """Return the names in reading order; a box is left, top, width, height, in the file's order."""
    names = list(boxes)
    placed = [Box(x, y, x + width, y + height) for x, y, width, height in boxes.values()]
    return " ".join(names[place] for place in reading_order(placed))


LEFT, RIGHT = (36, 290), (374, 290)


def cell(column: tuple[float, float], row: int) -> tuple[float, float, float, float]:
    return (column[0], 100 + 80 * row, column[1], 60)


def test_columns_that_stand_together_in_the_file_are_read_one_after_the_other():
    left = {f"a{n}": cell(LEFT, n) for n in range(3)}
    right = {f"b{n}": cell(RIGHT, n) for n in range(3)}
    assert read(**left, **right) == "a0 a1 a2 b0 b1 b2"
    assert read(**right, **left) == "a0 a1 a2 b0 b1 b2"


def test_rows_that_stand_together_in_the_file_are_read_across():
    rows = {f"{name}{n}": cell(side, n) for n in range(3) for name, side in (("a", LEFT), ("b", RIGHT))}
    assert read(**rows) == "a0 b0 a1 b1 a2 b2"


@pytest.mark.parametrize("order", ["head left right foot", "foot right left head"])
def test_what_spans_the_columns_stands_above_or_below_them(order):
    boxes = {
        "head": (36, 40, 628, 40),
        "left": (36, 100, 290, 300),
        "right": (374, 100, 290, 120),
        "foot": (36, 420, 628, 40),
    }
    assert read(**{name: boxes[name] for name in order.split()}) == "head left right foot"


def test_columns_below_a_spanning_row_are_cut_for_themselves():
    columns = {f"{name}{n}": cell(side, n) for name, side in (("a", LEFT), ("b", RIGHT)) for n in range(2)}
    assert read(foot=(36, 300, 628, 40), **columns, head=(36, 40, 628, 40)) == "head a0 a1 b0 b1 foot"


def test_a_column_of_many_beside_one_tall_thing_is_read_whole():
    assert read(tall=(374, 100, 290, 300), **{f"a{n}": cell(LEFT, n) for n in range(3)}) == "a0 a1 a2 tall"


def test_frames_that_reach_a_little_into_each_other_are_columns_still():
    left = {f"a{n}": (36, 100 + 80 * n, 345, 60) for n in range(2)}
    assert read(**left, **{f"b{n}": cell(RIGHT, n) for n in range(2)}) == "a0 a1 b0 b1"


def test_what_lies_under_all_others_comes_first_and_parts_nothing():
    columns = {f"{name}{n}": cell(side, n) for name, side in (("a", LEFT), ("b", RIGHT)) for n in range(2)}
    assert read(**columns, ground=(0, 0, 720, 540)) == "ground a0 a1 b0 b1"


def test_what_no_gap_parts_is_read_line_by_line():
    crossed = {"c": (100, 130, 300, 300), "b": (250, 105, 300, 300), "a": (50, 100, 300, 300)}
    assert read(**crossed) == "a b c"


def test_nothing_and_one_thing():
    assert (read(), read(a=(0, 0, 0, 0))) == ("", "a")


@pytest.mark.parametrize(
    "boxes",
    [
        [Box(n, n, n, n) for n in range(100_000)],
        [Box(n, n, n + 0.5, n + 0.5) for n in range(200)],
        [Box(n, n, 1000 - n, 1000 - n) for n in range(200)],
        [Box(n % 2 * 50, n, n % 2 * 50 + 40, n + 0.5) for n in range(200)],
        [Box(0, 0, 0, 0)] * 200,
    ],
)
def test_many_things_are_each_read_once_and_soon(boxes):
    started = time.monotonic()
    assert sorted(reading_order(boxes)) == list(range(len(boxes)))
    assert time.monotonic() - started < 5
