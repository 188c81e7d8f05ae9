import numpy as np
import pytest

from nemo_retriever_dagster.extract.layout import Line
from nemo_retriever_dagster.extract.layout_margins import margin_numbers
from nemo_retriever_dagster.extract.layout_page import Paper, arrange
from nemo_retriever_dagster.extract.pdf_words import Frame, PageWords
from nemo_retriever_dagster.model import Box

TEXT = "the plaintiff says that the goods never came to the house"


def line(text: str, row: int, x0: float, width: float) -> Line:
    top = 100 + 24 * row
    return Line(text, Box(x0, top, x0 + width, top + 12), 12.0, order=1000 * row + round(x0))


def numbered(texts: list[str], *, x: float = 40, step: int = 1) -> tuple[list[Line], list[Line]]:
    numbers = [line(str(step * (row + 1)), row, x, 6) for row in range(len(texts))]
    body = [line(text, row, 72, 6 * len(text)) for row, text in enumerate(texts)]
    return numbers, body


@pytest.mark.parametrize(("x", "step"), [(40, 1), (40, 5), (500, 1)])
def test_numbers_beside_prose_are_those_of_its_lines(x: float, step: int):
    numbers, body = numbered([TEXT] * 9, x=x, step=step)
    assert margin_numbers([*numbers, *body]) == numbers


def test_few_numbers_say_nothing():
    numbers, body = numbered([TEXT] * 7)
    assert margin_numbers([*numbers, *body]) == []


def test_numbers_of_a_table_stay():
    numbers, names = numbered(["Ada Lovelace"] * 9)
    amounts = [line("1,815", row, 300, 30) for row in range(9)]
    assert margin_numbers([*numbers, *names, *amounts]) == []


def test_numbers_of_short_entries_stay():
    numbers, names = numbered(["Ada Lovelace", "Grace"] * 5)
    assert margin_numbers([*numbers, *names]) == []


def test_numbers_of_entries_of_a_line_each_stay():
    numbers, entries = numbered([f"Ada Lovelace, {TEXT}"] * 9)
    assert margin_numbers([*numbers, *entries]) == []


def test_numbers_that_do_not_count_stay():
    numbers, body = numbered([TEXT] * 9)
    mixed = [number._replace(text=text) for number, text in zip(numbers, "314159265", strict=True)]
    assert margin_numbers([*mixed, *body]) == []


def test_the_margin_comes_behind_the_text_as_one_block():
    numbers, body = numbered([TEXT] * 9)
    found = arrange(body, [], Paper(number=1, size=(600, 800)), margin=numbers)
    assert [element.text for element in found][-1] == "1 2 3 4 5 6 7 8 9"
    assert found[-1].box == Box(40, 100, 46, 304)


def test_tables_are_looked_for_without_the_margin():
    boxes = np.array([(40, 100, 46, 112), (72, 100, 90, 112), (96, 100, 120, 112)], dtype=np.float32)
    frame = Frame(left=0, bottom=0, right=600, top=800, turns=0)
    words = PageWords(frame=frame, words=["7", "the", "house"], boxes=boxes, style=np.array([0, 1, 1]))
    kept = words.without([Box(40, 100, 46, 112)])
    assert (kept.words, kept.style.tolist(), kept.boxes.tolist()) == (["the", "house"], [1, 1], boxes[1:].tolist())
