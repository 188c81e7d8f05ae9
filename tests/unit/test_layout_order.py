import random

from nemo_retriever_dagster.extract.layout_order import reading_order, written_in_columns
from nemo_retriever_dagster.model import Box


def column(x0: float, x1: float, top: float, count: int) -> list[Box]:
    return [Box(x0, top + 14 * row, x1 - (row % 3), top + 14 * row + 12) for row in range(count)]


def test_one_column_keeps_the_written_order():
    boxes = column(50, 500, 100, 6)
    assert reading_order(boxes, range(6)) == list(range(6))


def test_two_columns_written_row_by_row_are_read_column_by_column():
    left, right = column(50, 290, 100, 8), column(310, 550, 100, 8)
    boxes = [box for pair in zip(left, right, strict=True) for box in pair]
    assert reading_order(boxes, range(16)) == [*range(0, 16, 2), *range(1, 16, 2)]


def test_scanned_columns_need_no_written_order():
    boxes = column(50, 290, 100, 8) + column(310, 550, 100, 8)
    shuffled = list(range(16))
    random.Random(4).shuffle(shuffled)
    order = reading_order([boxes[i] for i in shuffled])
    assert [shuffled[i] for i in order] == list(range(16))


def test_a_title_across_divides_the_columns():
    top_left, top_right = column(50, 290, 100, 4), column(310, 550, 100, 4)
    title = Box(50, 180, 550, 195)
    low_left, low_right = column(50, 290, 220, 4), column(310, 550, 220, 4)
    boxes = [title, *top_right, *low_right, *top_left, *low_left]
    order = reading_order(boxes)
    names = ["title", *["tr"] * 4, *["lr"] * 4, *["tl"] * 4, *["ll"] * 4]
    assert [names[i] for i in order] == [*["tl"] * 4, *["tr"] * 4, "title", *["ll"] * 4, *["lr"] * 4]


def test_cells_written_row_by_row_stay_rows():
    boxes, names = [], []
    for row in range(5):
        for place, (x0, x1) in enumerate([(50, 90), (300, 340)]):
            boxes.append(Box(x0, 100 + 20 * row, x1, 112 + 20 * row))
            names.append((row, place))
    assert [names[i] for i in reading_order(boxes, range(10))] == names


def test_three_columns():
    boxes = column(20, 180, 100, 6) + column(200, 380, 100, 6) + column(400, 580, 100, 6)
    shuffled = list(range(18))
    random.Random(1).shuffle(shuffled)
    assert [shuffled[i] for i in reading_order([boxes[i] for i in shuffled])] == list(range(18))


def test_every_box_is_read_once_whatever_their_places():
    source = random.Random(7)
    for _ in range(50):
        boxes = []
        for _ in range(source.randrange(40)):
            x, y = source.uniform(0, 500), source.uniform(0, 700)
            boxes.append(Box(x, y, x + source.uniform(0, 300), y + source.uniform(0, 60)))
        assert sorted(reading_order(boxes)) == list(range(len(boxes)))
        assert sorted(reading_order(boxes, range(len(boxes)))) == list(range(len(boxes)))


def test_prose_columns_are_told_from_a_table():
    left, right = column(50, 290, 100, 6), column(310, 550, 100, 6)
    assert written_in_columns([*left, *right], range(12))
    rows = [box for pair in zip(left, right, strict=True) for box in pair]
    assert not written_in_columns(rows, range(12))
    assert not written_in_columns([], [])
