"""Post-processing of what the detection models return."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.engines import postprocess
from nemo_retriever_dagster.engines.ports import Region
from nemo_retriever_dagster.model import Box, Picture, Word

PAGE = (1000.0, 1000.0)


def region(label: str, *box: float, confidence: float = 0.9) -> Region:
    return Region(label=label, box=Box(*box), confidence=confidence)


def word(text: str, *box: float) -> Word:
    return Word(text=text, box=Box(*box))


def test_low_confidence_is_left_out_by_label() -> None:
    found = [region("table", 0, 0, 9, 9, confidence=0.05), region("chart", 50, 50, 90, 90, confidence=0.05)]
    assert [one.label for one in postprocess.page_regions(found, PAGE)] == ["chart"]


def test_of_overlapping_boxes_the_surest_stays() -> None:
    found = [region("cell", 0, 0, 10, 10, confidence=0.5), region("cell", 1, 0, 11, 10, confidence=0.8)]
    assert [one.confidence for one in postprocess.distinct(found)] == [0.8]


def test_boxes_of_other_labels_do_not_compete() -> None:
    assert len(postprocess.distinct([region("row", 0, 0, 10, 10), region("cell", 0, 0, 10, 10)])) == 2


def test_overlapping_page_elements_become_the_largest_with_the_best_score() -> None:
    found = [region("table", 0, 0, 500, 500, confidence=0.4), region("table", 100, 100, 300, 300, confidence=0.9)]
    (table,) = postprocess.page_regions(found, PAGE)
    assert (table.box, table.confidence) == (Box(0, 0, 500, 500), 0.9)


def test_overlapping_page_elements_become_the_box_around_them() -> None:
    upper, lower = region("table", 100, 100, 500, 400, confidence=0.5), region("table", 80, 390, 480, 600)
    (table,) = postprocess.page_regions([upper, lower, region("chart", 100, 550, 500, 590)], PAGE)[:1]
    assert (table.box, table.confidence) == (Box(80, 100, 500, 600), 0.9)


def test_a_box_that_joining_made_larger_joins_the_next() -> None:
    found = [region("table", 0, 0, 400, 400), region("table", 350, 350, 600, 600), region("table", 580, 50, 800, 360)]
    assert [one.box for one in postprocess.page_regions(found, PAGE)] == [Box(0, 0, 800, 600)]


@pytest.mark.parametrize(("title", "upper", "lower"), [((360, 380), 300, 360), ((335, 355), 300, 335)])
def test_a_title_between_two_tables_is_that_of_the_nearer_one_or_the_lower(
    title: tuple[int, int], upper: int, lower: int
) -> None:
    tables = [region("table", 100, 100, 500, 300), region("table", 100, 390, 500, 600)]
    found = postprocess.page_regions([*tables, region("title", 100, title[0], 300, title[1])], PAGE)
    assert [one.box for one in found] == [Box(100, 100, 500, upper), Box(100, lower, 500, 600)]


def test_a_second_title_of_a_table_is_not_given_to_another() -> None:
    tables = [region("table", 100, 100, 500, 300), region("table", 100, 390, 500, 600)]
    titles = [region("title", 100, 70, 300, 95), region("title", 100, 305, 300, 325)]
    found = postprocess.page_regions([*tables, *titles], PAGE)
    assert [(one.label, one.box) for one in found] == [
        ("table", Box(100, 70, 500, 300)),
        ("title", Box(100, 305, 300, 325)),
        ("table", Box(100, 390, 500, 600)),
    ]


def test_table_takes_in_the_title_above_it() -> None:
    found = [region("table", 100, 300, 500, 500), region("title", 100, 260, 400, 290)]
    (table,) = postprocess.page_regions(found, PAGE)
    assert table.box == Box(100, 260, 500, 500)


def test_title_far_away_stays_alone() -> None:
    found = [region("table", 100, 300, 500, 500), region("title", 100, 20, 400, 60)]
    assert [one.label for one in postprocess.page_regions(found, PAGE)] == ["title", "table"]


def test_text_under_a_table_is_left_out() -> None:
    found = [region("table", 100, 300, 500, 500), region("paragraph", 110, 310, 400, 350)]
    assert [one.label for one in postprocess.page_regions(found, PAGE)] == ["table"]


def structure() -> list[Region]:
    rows = [region("row", 0, y, 300, y + 20) for y in (0, 20, 40)]
    columns = [region("column", x, 0, x + 100, 60) for x in (0, 100, 200)]
    return [*rows, *columns]


def test_words_go_to_their_cells() -> None:
    words = [word("a", 5, 2, 20, 18), word("b", 25, 2, 40, 18), word("c", 205, 42, 230, 58)]
    table = postprocess.table_from(structure(), words)
    assert table is not None
    assert [(cell.row, cell.column, cell.text) for cell in table.cells] == [(0, 0, "a b"), (2, 2, "c")]


def test_cell_over_two_columns_spans_them() -> None:
    regions = [*structure(), region("cell", 0, 0, 200, 20), region("cell", 200, 0, 300, 20)]
    table = postprocess.table_from(regions, [word("both", 80, 2, 120, 18), word("one", 210, 2, 240, 18)])
    assert table is not None
    assert [(c.text, c.column, c.column_span) for c in table.cells] == [("both", 0, 2), ("one", 2, 1)]


def test_row_under_a_header_is_one() -> None:
    regions = [*structure(), region("header", 0, 0, 300, 20)]
    table = postprocess.table_from(regions, [word("h", 5, 2, 20, 18), word("v", 5, 22, 20, 38)])
    assert table is not None
    assert [cell.header for cell in table.cells] == [True, False]


def test_cells_alone_make_rows_and_columns() -> None:
    cells = [region("cell", x, y, x + 100, y + 20) for y in (0, 20) for x in (0, 100)]
    table = postprocess.table_from(cells, [word("x", 110, 22, 130, 38)])
    assert table is not None
    assert table.rows() == [["", ""], ["", "x"]]


def test_no_structure_is_no_table() -> None:
    assert postprocess.table_from([region("border", 0, 0, 9, 9)], [word("x", 0, 0, 9, 9)]) is None


coordinate = st.floats(0, 300, allow_nan=False)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=30))
def test_no_word_is_lost(places: list[tuple[float, float]]) -> None:
    words = [word(f"w{i}", x, y, x + 8, y + 8) for i, (x, y) in enumerate(places)]
    regions = [*structure(), region("cell", 0, 0, 200, 40)]
    table = postprocess.table_from(regions, words)
    assert table is not None
    assert sorted(" ".join(cell.text for cell in table.cells).split()) == sorted(one.text for one in words)


CHART = [
    region("ylabel", 0, 20, 20, 80),
    region("xlabel", 20, 90, 100, 100),
    region("x_title", 40, 102, 80, 110),
]


def test_chart_parts_stand_in_their_order() -> None:
    words = [
        word("100", 2, 22, 18, 30),
        word("200", 2, 42, 18, 50),
        word("Mice", 25, 91, 40, 99),
        word("Rats", 60, 91, 80, 99),
        word("Kind", 45, 103, 60, 109),
        word("stray", 150, 10, 180, 20),
    ]
    text = postprocess.chart_text(CHART, words, (200, 120))
    assert text == "Kind Mice - Rats 100 - 200 stray"


def test_wide_other_text_is_the_title() -> None:
    regions = [*CHART, region("other", 20, 0, 150, 12)]
    text = postprocess.chart_text(regions, [word("Animals", 30, 2, 90, 10), word("Mice", 25, 91, 40, 99)], (200, 120))
    assert text == "Animals Mice"


def test_phrases_join_what_a_blank_parts() -> None:
    words = [word("Power", 0, 0, 40, 10), word("drill", 44, 0, 70, 10), word("Saw", 120, 0, 140, 10)]
    assert [one.text for one in postprocess.phrases(words)] == ["Power drill", "Saw"]


def test_text_is_read_line_by_line() -> None:
    words = [word("second", 0, 20, 30, 30), word("line", 35, 21, 50, 31), word("First", 0, 0, 30, 10)]
    assert postprocess.text_of(words) == "First second line"


def test_padded_box_goes_back_to_the_picture() -> None:
    picture = Picture(data=b"", width=500, height=500)
    place = Box(0, 128, 1024, 1152)  # a square, centred in 1024 x 1280
    whole = postprocess.unpadded(Box(0, 0.1, 1, 0.9), place, (1024, 1280), picture)
    assert whole == pytest.approx((0, 0, 500, 500))
    half = postprocess.unpadded(Box(0, 0.1, 0.5, 0.5), place, (1024, 1280), picture)
    assert half == pytest.approx((0, 0, 250, 250))
