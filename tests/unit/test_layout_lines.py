from dataclasses import replace

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
    return lines_of(words, boxes, replace(plain, bold=np.array(bold)))


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


@pytest.mark.parametrize(
    ("words", "typewriter", "expected"),
    [
        (["794", "\\else%"], [False, True], True),  # the number of the line may be in another face
        (["if", "(0)", "}"], [True, True, True], True),
        (["Call", "main()"], [False, True], False),
        (["794"], [False], False),
    ],
)
def test_a_line_is_typewriter_whatever_its_number_is_set_in(
    words: list[str], typewriter: list[bool], *, expected: bool
):
    boxes = row(words)
    (line,) = lines_of(words, boxes, replace(Looks.plain(boxes), typewriter=np.array(typewriter)))
    assert line.typewriter is expected
