import numpy as np
import pytest

from nemo_retriever_dagster.extract.layout import Line, Looks, lines_of
from nemo_retriever_dagster.model import Box

STEP, SIZE = 50.0, 10.0


def row(*rows: list[str]) -> np.ndarray:
    places = [(at, level) for level, words in enumerate(rows) for at in range(len(words))]
    boxes = [(STEP * at, 30.0 * level, STEP * at + STEP - 4, 30.0 * level + SIZE) for at, level in places]
    return np.array(boxes, dtype=np.float32)


def lines(rows: list[list[str]], bold: list[bool]) -> list[Line]:
    boxes, words = row(*rows), [word for words in rows for word in words]
    plain = Looks.plain(boxes)
    looks = Looks(size=plain.size, bold=np.array(bold), italic=plain.italic, hidden=plain.hidden)
    return lines_of(words, boxes, looks)


def test_words_become_lines_with_the_box_around_them():
    first, second = lines([["One", "line"], ["and", "another", "one"]], [False] * 5)
    assert (first.text, second.text) == ("One line", "and another one")
    assert (first.order, second.order) == (0, 1)
    assert first.box == Box(0.0, 0.0, 96.0, 10.0)
    assert second.box == Box(0.0, 30.0, 146.0, 40.0)
    assert isinstance(first, Line)
    assert isinstance(first.box, Box)


@pytest.mark.parametrize(
    ("words", "bold", "expected"),
    [
        (["all", "bold"], [True, True], True),
        (["none", "bold"], [False, False], False),
        (["eightchr", "22"], [True, False], True),
        (["sevench", "333"], [True, False], False),
        (["333", "sevench"], [False, True], False),
    ],
)
def test_a_line_is_bold_where_four_fifths_of_its_letters_are(words, bold, expected):
    found = lines([["other"], words, ["other"]], [not expected, *bold, not expected])
    assert [line.bold for line in found] == [not expected, expected, not expected]


def test_no_words_are_no_lines():
    boxes = np.zeros((0, 4), dtype=np.float32)
    assert lines_of([], boxes, Looks.plain(boxes)) == []
