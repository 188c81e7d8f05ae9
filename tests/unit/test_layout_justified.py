import numpy as np
import pytest

from nemo_retriever_dagster.extract.layout import Line, Looks, lines_of
from nemo_retriever_dagster.extract.layout_justified import is_filled_column
from nemo_retriever_dagster.model import Box

SIZE, LETTER, LEADING = 10.0, 5.0, 12.0


def lines(*rows: list[tuple[float, str]], exact: bool = True, last: float = SIZE) -> list[Line]:
    """Return the lines of rows of words, those of the last row ``last`` high.

    A word is given with where it starts; all letters are as wide.
    """
    words = [(text, x, row * LEADING) for row, line in enumerate(rows) for x, text in line]
    boxes = np.array([(x, y, x + LETTER * len(text), y + SIZE) for text, x, y in words], dtype=np.float32)
    boxes[-len(rows[-1]) :, 3] += last - SIZE
    return lines_of([text for text, *_ in words], boxes, Looks.plain(boxes), exact=exact)


def texts(*rows: list[tuple[float, str]], exact: bool = True, last: float = SIZE) -> list[str]:
    return [line.text for line in lines(*rows, exact=exact, last=last)]


def justified(*words: str, width: float = 160.0, left: float = 0.0, stretched: float = 1.0) -> list[tuple[float, str]]:
    """Return a row with even blanks that fills the width; the first blank is ``stretched`` times as wide."""
    blank = (width - left - LETTER * sum(map(len, words))) / (len(words) - 2 + stretched)
    row, x = [], left
    for place, word in enumerate(words):
        row.append((x, word))
        x += LETTER * len(word) + blank * (stretched if place == 0 else 1)
    return row


LONG, OTHER = justified("bridges", "of", "warehouses"), justified("the", "satellites", "from")
PAIR = justified("Investigations", "in")


def test_wide_blanks_of_a_filled_column_part_no_words():
    assert texts(LONG, OTHER) == ["bridges of warehouses", "the satellites from"]


def test_a_line_of_two_words_is_one_beside_a_longer_line():
    assert texts(LONG, PAIR) == ["bridges of warehouses", "Investigations in"]


def test_two_lines_of_two_words_may_be_labels_with_values():
    assert texts(justified("Revenue", "rising"), PAIR) == ["Revenue", "rising", "Investigations", "in"]


def test_a_line_borne_out_bears_out_the_next():
    alone = [(0.0, "unquestionably")]
    rows = [LONG, alone, alone, PAIR, alone, alone, alone, justified("museums", "and")]
    assert texts(*rows)[3] == "Investigations in"
    assert texts(*rows)[-1] == "museums and"


def test_the_first_line_may_be_indented():
    assert texts(justified("bridges", "of", "estuaries", left=20.0), OTHER)[0] == "bridges of estuaries"


def test_a_blank_behind_a_sentence_may_be_wider():
    assert texts(justified("use.", "The", "warehouses", "on", stretched=2.5), OTHER)[0] == "use. The warehouses on"
    assert texts(justified("used", "The", "warehouses", "on", stretched=2.5), OTHER)[0] == "used"
    assert texts(justified("use.", "The", "warehouses", "on", stretched=6), OTHER)[0] == "use."


@pytest.mark.parametrize(
    "row",
    [
        pytest.param([(0.0, "bridges"), (60.0, "of"), (110.0, "warehouses")], id="blanks uneven"),
        pytest.param(justified("bridges", "of", "warehouses", width=140.0), id="another edge"),
        pytest.param(justified("the", "warehouse", "in", left=40.0), id="another column"),
        pytest.param(justified("12", "of", "9812345678"), id="numbers"),
        pytest.param(justified("the", "seventeen", "bank"), id="cells below each other"),
    ],
)
def test_rows_of_a_table_fall_into_their_cells(row):
    assert [text for _, text in row] == texts(OTHER, row)[-3:]


def test_no_blank_is_wider_than_eleven_times_the_type():
    wide = justified("bridges", "of", width=200.0)
    assert texts(justified("the", "satellites", "from", "orbiting", width=200.0), wide)[-2:] == ["bridges", "of"]


def test_lines_of_one_column_are_of_one_size_and_near():
    assert texts(OTHER, LONG, last=1.2 * SIZE) == ["the", "satellites", "from", "bridges", "of", "warehouses"]
    assert texts(OTHER, *[[]] * 5, LONG) == ["the", "satellites", "from", "bridges", "of", "warehouses"]


def test_more_rows_than_a_page_has_are_left_as_they_are():
    assert texts(*[LONG, OTHER] * 200)[-1] == "the satellites from"
    assert texts(*[LONG, OTHER] * 201)[-1] == "from"


def test_rough_boxes_show_no_filled_lines():
    assert len(texts(LONG, OTHER, exact=False)) == 6


def test_filled_lines_with_nothing_beside_them_are_a_column():
    filled = lines(LONG, OTHER)
    assert [line.filled for line in filled] == [True, True]
    assert is_filled_column(filled)
    assert not is_filled_column([*filled, filled[0]._replace(box=Box(200.0, 0.0, 240.0, SIZE))])


def test_lines_with_narrow_blanks_are_not_called_filled():
    narrow = lines(
        justified("the", "surgeon", "supplied", width=104.0), justified("a", "battery", "from", "it", width=104.0)
    )
    assert [line.filled for line in narrow] == [False, False]
    assert not is_filled_column(narrow)
