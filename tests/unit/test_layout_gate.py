"""A cheap look at a page: a table is looked for where lines draw a grid or rows have cells, nowhere else."""

import numpy as np
import pytest

from nemo_retriever_dagster.extract.geometry import Ruling
from nemo_retriever_dagster.extract.layout import Line
from nemo_retriever_dagster.extract.layout_gate import may_hold_cells, may_hold_table
from nemo_retriever_dagster.model import Box


def line(text: str, x0: float, top: float, width: float = 60, order: int = 0) -> Line:
    return Line(text=text, box=Box(x0, top, x0 + width, top + 12), size=10, order=order)


def paragraph(top: float, lines: int) -> list[Line]:
    return [line("words that fill the line from its start to its end", 50, top + 14 * row, 450) for row in range(lines)]


def rows(top: float, count: int, step: float = 40) -> list[Line]:
    return [line(text, x0, top + step * row) for row in range(count) for text, x0 in (("left", 60), ("right", 300))]


def level(y: float, x0: float = 50, x1: float = 500) -> Ruling:
    return Ruling(box=Box(x0, y, x1, y + 0.5), horizontal=True)


def upright(x: float, y0: float, y1: float) -> Ruling:
    return Ruling(box=Box(x, y0, x + 0.5, y1), horizontal=False)


GRID = [level(100), level(130), level(160), upright(50, 100, 160), upright(275, 100, 160), upright(500, 100, 160)]
BOX = [level(100), level(160), upright(50, 100, 160), upright(500, 100, 160)]
RULES = [level(60), level(400), level(740)]


@pytest.mark.parametrize(
    ("lines", "rulings", "expected"),
    [
        pytest.param(paragraph(100, 40), [], False, id="prose"),
        pytest.param(rows(100, 3), [], True, id="rows of cells"),
        pytest.param(rows(100, 2), [], True, id="two rows on a page of their own"),
        pytest.param([*paragraph(100, 40), *rows(700, 2)], [], False, id="two rows on a page full of prose"),
        pytest.param([*paragraph(100, 40), *rows(700, 3)], [], True, id="three rows on a page full of prose"),
        pytest.param([*paragraph(100, 40), *rows(700, 2)], RULES, True, id="two rows and rules"),
        pytest.param(paragraph(100, 40), RULES, False, id="prose between rules"),
        pytest.param(paragraph(100, 40), GRID, True, id="a grid around prose"),
        pytest.param(paragraph(100, 40), [*BOX, *RULES], False, id="prose in a box"),
        pytest.param([], GRID, False, id="a grid around nothing"),
    ],
)
def test_where_a_table_is_looked_for(lines, rulings, expected):
    assert may_hold_table(lines, rulings) is expected


def cells(*places: tuple[float, float, float]) -> tuple[list[str], np.ndarray]:
    boxes = [(x0, top, x1, top + 12) for x0, x1, top in places]
    return ["word"] * len(boxes), np.array(boxes, dtype=np.float32)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param((60, 90, 120), True, id="the next row"),
        pytest.param((62, 90, 120), True, id="at the right edge alone"),
        pytest.param((64, 99, 120), False, id="at no common edge"),
        pytest.param((60, 90, 200), False, id="far below"),
    ],
)
def test_cells_closer_than_lines_are_seen(second, expected):
    rows = [(10, 50, 100), (60, 90, 100), (10, second[0] - 10, second[2]), second]
    assert may_hold_cells(*cells(*rows)) is expected


def test_items_behind_their_bullets_are_no_cells():
    words, boxes = cells((10, 16, 100), (60, 90, 100), (10, 16, 120), (60, 90, 120))
    assert may_hold_cells(words, boxes)
    assert not may_hold_cells(["1.", "item", "2.", "item"], boxes)
    assert not may_hold_cells(["\u2022", "item", "\u2022", "item"], boxes)


def test_few_or_no_words_are_no_cells():
    assert not may_hold_cells(*cells((10, 50, 100), (60, 90, 100)))
    assert not may_hold_cells([], np.zeros((0, 4), dtype=np.float32))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Pump", "Oil", "Filter", "Water"], True),
        (["2019.", "Reading", "1999,", "2,000"], False),  # the marks of notes, blanks in sentences
        (["ends,", "then", "again;", "more"], False),
        (["left", "right,", "left", "right\u00ad"], False),
        (["14", "May", "15", "Epstein"], False),
        (["14", "3.5", "15", "4.5"], True),
        (["x", "=", "y", "="], False),
    ],
)
def test_blanks_in_sentences_and_behind_notes_part_no_cells(words: list[str], expected: bool):
    _, boxes = cells((10, 16, 100), (60, 90, 100), (10, 16, 120), (60, 90, 120))
    assert may_hold_cells(words, boxes) is expected
