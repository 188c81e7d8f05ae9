"""Reading order, joining and boxes of recognised lines: no engine needed."""

import math
from types import SimpleNamespace

import pytest

from nemo_retriever_dagster.engines.local.ocr import _lines, upwards, word_boxes
from nemo_retriever_dagster.engines.local.reading_order import Line, in_reading_order, merged
from nemo_retriever_dagster.engines.local.tesseract import parse_tsv
from nemo_retriever_dagster.model import Box, Word


def line(text, x0, y0, width=None, height=10):
    box = Box(x0, y0, x0 + (width or 6 * len(text)), y0 + height)
    return Line.of(word_boxes(text, box, (), 0.9))


def column(name, x0, y0, rows, width=200):
    return [line(f"{name}{row} some running text here", x0, y0 + 14 * row, width) for row in range(rows)]


def order(lines):
    return [found.words[0].text for found in in_reading_order(lines)]


def shuffled(lines):
    return sorted(lines, key=lambda given: hash(given.box) % 101)


def test_one_column_reads_from_the_top():
    lines = column("a", 50, 0, 6)
    assert order(shuffled(lines)) == ["a0", "a1", "a2", "a3", "a4", "a5"]


def test_two_columns_under_a_title_and_above_a_footer():
    lines = [
        line("title over both columns", 50, 0, 450),
        *column("l", 50, 30, 5),
        *column("r", 300, 30, 5),
        line("footer over both columns", 50, 200, 450),
    ]
    expected = ["title", *(f"l{i}" for i in range(5)), *(f"r{i}" for i in range(5)), "footer"]
    assert order(shuffled(lines)) == expected


def test_a_full_width_line_between_columns_separates_them():
    lines = [
        *column("a", 50, 0, 4),
        *column("b", 300, 0, 4),
        line("middle across the page", 50, 70, 450),
        *column("c", 50, 100, 4),
        *column("d", 300, 100, 4),
    ]
    groups = [f"{name}{i}" for name in "ab" for i in range(4)], [f"{name}{i}" for name in "cd" for i in range(4)]
    assert order(shuffled(lines)) == [*groups[0], "middle", *groups[1]]


def test_three_columns():
    lines = [entry for number, name in enumerate("abc") for entry in column(name, 30 + 180 * number, 0, 4, 160)]
    assert order(shuffled(lines)) == [f"{name}{i}" for name in "abc" for i in range(4)]


def test_a_table_reads_by_rows():
    rows = [
        ("Animal", "Activity", "Place"),
        ("Giraffe", "Driving", "Beach"),
        ("Lion", "Sleeping", "Park"),
        ("Cat", "Jumping", "Home"),
    ]
    lines = [line(text, 50 + 150 * c, 20 * r) for r, row in enumerate(rows) for c, text in enumerate(row)]
    assert order(shuffled(lines)) == [text for row in rows for text in row]


def test_a_wide_table_below_text_reads_by_rows():
    text = column("t", 50, 0, 3, width=450)
    cells = [line(f"r{r}c{c}", x, 80 + 14 * r, width) for r in range(8) for c, (x, width) in enumerate(COLUMNS)]
    assert order(shuffled([*text, *cells])) == ["t0", "t1", "t2", *(f"r{r}c{c}" for r in range(8) for c in range(4))]


COLUMNS = [(50, 180), (270, 40), (360, 40), (450, 40)]


def test_merge_levels():
    lines = [line("one two", 0, 0), line("three four", 0, 14), line("apart", 0, 60)]
    assert [word.text for word in merged(lines, "word")] == ["one", "two", "three", "four", "apart"]
    assert [word.text for word in merged(lines, "sentence")] == ["one two", "three four", "apart"]
    paragraphs = merged(lines, "paragraph")
    assert [word.text for word in paragraphs] == ["one two three four", "apart"]
    assert paragraphs[0].box == Box(0, 0, 60, 24)
    assert paragraphs[0].confidence == pytest.approx(0.9)
    assert merged([], "paragraph") == []


def test_a_heading_is_not_joined_to_the_text_below():
    lines = [line("Heading", 0, 0, height=22), line("body text", 0, 26)]
    assert [word.text for word in merged(lines, "paragraph")] == ["Heading", "body text"]


BOX = Box(0, 0, 90, 10)


def test_words_take_the_boxes_of_the_engine():
    pieces = [("to", Box(0, 0, 20, 10)), ("be", Box(30, 0, 55, 10))]
    assert [word.box for word in word_boxes("to be", BOX, pieces, 1)] == [pieces[0][1], pieces[1][1]]


def test_single_characters_are_joined_to_words():
    pieces = [(character, Box(10 * i, 0, 10 * i + 10, 10)) for i, character in enumerate("ab€c")]
    words = word_boxes("ab €c", BOX, pieces, 1)
    assert [(word.text, word.box.x0, word.box.x1) for word in words] == [("ab", 0, 20), ("€c", 20, 40)]


@pytest.mark.parametrize("pieces", [(), [("other", BOX)], [("tob", BOX), ("e!", BOX)]])
def test_a_line_without_matching_pieces_is_shared_out(pieces):
    words = word_boxes("to be!", BOX, pieces, 1)
    assert [(word.text, word.box.x0, word.box.x1) for word in words] == [("to", 0, 30), ("be!", 45, 90)]


def test_an_upright_line_is_shared_out_downwards():
    first, second = word_boxes("up down", Box(0, 0, 10, 70), (), 1)
    assert (first.box.y1, second.box.y0) == (20, 30)


def test_the_words_of_a_line_that_reads_upwards_start_at_its_foot():
    line = Box(0, 100, 10, 170)
    first, second = (upwards(word.box, line) for word in word_boxes("up down", line, (), 1))
    assert (first.y0, first.y1, second.y1) == (150, 170, 140)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_boxes_are_turned_back(turns):
    np = pytest.importorskip("numpy")
    page = np.zeros((40, 60), dtype=int)
    page[5:9, 10:30] = 1
    ys, xs = np.nonzero(np.rot90(page, turns))
    seen = Box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert seen.turned_back(turns, 60, 40) == Box(10, 5, 30, 9)


TSV = "\n".join(
    "\t".join(row.split())
    for row in (
        "level page_num block_num par_num line_num word_num left top width height conf text",
        "4 1 1 1 1 0 0 0 50 10 -1",
        "5 1 1 1 1 1 0 0 20 10 96.5 Hello",
        '5 1 1 1 1 2 25 0 25 10 90 "quoted',
        "5 1 1 1 2 1 0 12 20 10 80 below",
        "5 1 2 1 1 1 0 50 20 10 70 apart",
    )
)


def test_tesseract_output():
    assert parse_tsv(TSV)[0] == Word(text="Hello", box=Box(0, 0, 20, 10), confidence=0.965)
    assert [word.text for word in parse_tsv(TSV)] == ["Hello", '"quoted', "below", "apart"]
    assert [word.text for word in parse_tsv(TSV, "sentence")] == ['Hello "quoted', "below", "apart"]
    assert [word.text for word in parse_tsv(TSV, "paragraph")] == ['Hello "quoted below', "apart"]


def test_lines_of_a_leaning_page_are_ordered_as_if_it_stood_upright():
    lean = math.tan(math.radians(2))

    def corners(x, y):
        return [(px, py - px * lean) for px, py in ((x, y), (760, y), (760, y + 12), (x, y + 12))]

    result = SimpleNamespace(
        txts=[f"line{row} and more words that fill it" for row in range(8)],
        boxes=[corners(90 if row % 2 else 60, 100 + 16 * row) for row in (range(8))],
        scores=[0.9] * 8,
        word_results=None,
    )
    assert [line.words[0].text for line in in_reading_order(_lines(result))] == [f"line{row}" for row in range(8)]
