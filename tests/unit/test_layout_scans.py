import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.geometry import Ruling
from nemo_retriever_dagster.extract.layout_page import Area
from nemo_retriever_dagster.extract.scans import elements_from_words
from nemo_retriever_dagster.model import Box, Element, Kind, Origin, Word

SIZE = (1700.0, 2200.0)


def row(texts: list[str], places: list[float], y: float, *, height: float = 30) -> list[Word]:
    return [
        Word(text=text, box=Box(x, y, x + 15 * len(text), y + height), confidence=0.9)
        for text, x in zip(texts, places, strict=True)
    ]


def sentence(text: str, x: float, y: float, *, height: float = 30) -> list[Word]:
    found = []
    for word in text.split():
        found.append(Word(text=word, box=Box(x, y, x + 15 * len(word), y + height)))
        x += 15 * (len(word) + 1)
    return found


def test_words_in_any_order_become_text_with_their_origin():
    words = sentence("The Heading", 200, 100, height=60)
    words += sentence("the first line of what was recognised", 200, 220)
    words += sentence("and here is the second line of it.", 200, 258)
    heading, text = elements_from_words(words[::-1], SIZE, page=3, options=ExtractOptions(), engine="some-ocr")
    assert (heading.text, heading.heading) == ("The Heading", 1)
    assert text.text == "the first line of what was recognised and here is the second line of it."
    assert (text.page, text.page_size, text.origin, text.engine) == (3, SIZE, Origin.OCR, "some-ocr")
    assert text.box is not None
    assert text.box.x0 == 200


def test_columns_of_a_scan_are_read_one_after_the_other():
    words = []
    for place in range(6):
        words += sentence("left column of running text", 100, 300 + 40 * place)
        words += sentence("right column of running text", 900, 300 + 40 * place)
    text = " ".join(e.text for e in elements_from_words(words, SIZE, page=1, options=ExtractOptions()))
    assert text.index("right") > text.rindex("left")


def test_a_table_is_found_among_recognised_words():
    words = []
    for place, texts in enumerate(
        [
            ["Animal", "Activity", "Place"],
            ["Lion", "Sleeping", "Park"],
            ["Cat", "Jumping", "Office"],
            ["Dog", "Chasing", "Yard"],
        ]
    ):
        words += row(texts, [200, 700, 1200], 300 + 60 * place)
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions())
    table = next(e for e in found if e.kind is Kind.TABLE)
    assert table.table is not None
    assert table.table.rows()[1] == ["Lion", "Sleeping", "Park"]
    assert table.origin is Origin.OCR
    assert any(e.inside is Kind.TABLE and "Jumping" in e.text for e in found)
    plain = elements_from_words(words, SIZE, page=1, options=ExtractOptions(tables=False))
    assert {e.kind for e in plain} == {Kind.TEXT}


PRICES = ["$160.00", "$140.00", "$120.00", "$100.00", "$80.00", "$60.00", "$40.00", "$20.00", "$-"]


def chart_words(x: float = 300, values: list[str] = PRICES, *, title: str = "Dollars") -> list[Word]:
    """The labels of a chart's axes: the values end at ``x``, the first stands at 300 from the top."""
    places = [300.0 + 60 * place for place in range(len(values))]
    words = [w for value, y in zip(values, places, strict=True) for w in row([value], [x - 15 * len(value)], y)]
    words += row(["North", "South", "East"], [x + 100, x + 300, x + 500], places[-1] + 50)
    return [*words, *row([title], [x - 250], places[len(places) // 2])] if title else words


def found_in_picture(kind: Kind, box: Box) -> Area:
    element = Element(kind=kind, text="as the picture has it", page=1, box=box, page_size=SIZE, origin=Origin.OCR)
    return Area(element=element, box=box)


def lines_around(xs: list[float], ys: list[float]) -> list[Ruling]:
    across = [Ruling(box=Box(xs[0], y, xs[-1], y + 1), horizontal=True) for y in ys]
    return [*across, *(Ruling(box=Box(x, ys[0], x + 1, ys[-1]), horizontal=False) for x in xs)]


def test_a_chart_is_found_among_recognised_words():
    words = chart_words(values=["300", "200", "100", "0"], title="")
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions())
    chart = next(e for e in found if e.kind is Kind.CHART)
    assert chart.text == "North - South - East 0 - 100 - 200 - 300"
    assert not any(
        e.kind is Kind.CHART for e in elements_from_words(words, SIZE, page=1, options=ExtractOptions(charts=False))
    )


def test_the_labels_of_a_charts_axis_are_no_table():
    inner, chart = elements_from_words(chart_words(), SIZE, page=1, options=ExtractOptions())
    assert (chart.kind, inner.inside) == (Kind.CHART, Kind.CHART)
    assert inner.text.split() == [*PRICES[:4], "Dollars", *PRICES[4:], "North", "South", "East"]
    assert Kind.TABLE in {
        e.kind for e in elements_from_words(chart_words(), SIZE, page=1, options=ExtractOptions(charts=False))
    }, "the words do look like a table"


def test_a_table_in_lines_of_its_own_under_a_charts_axis_stays():
    words = [*chart_words(title=""), *row(["12", "14", "18"], [400, 600, 800], 885)]
    cells = lines_around([380, 580, 780, 980], [815, 870, 930])
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions(), rulings=cells)
    (table,) = (e for e in found if e.kind is Kind.TABLE)
    (chart,) = (e for e in found if e.kind is Kind.CHART)
    assert table.table is not None
    assert table.table.rows() == [["North", "South", "East"], ["12", "14", "18"]]
    assert table.box is not None
    assert chart.box is not None
    assert table.box.covered_by(chart.box) > 0.5


@pytest.mark.parametrize("box", [Box(150, 280, 960, 900), Box(40, 200, 1000, 950), Box(180, 290, 500, 860)])
def test_a_chart_known_from_a_picture_is_not_taken_again(box: Box):
    known = found_in_picture(Kind.CHART, box)
    found = elements_from_words(chart_words(), SIZE, page=1, options=ExtractOptions(), known=[known])
    assert [e for e in found if e.kind is not Kind.TEXT] == [known.element]
    assert any(e.inside is Kind.CHART and "$100.00" in e.text for e in found)
    said = sorted(" ".join(e.text for e in found if e.kind is Kind.TEXT).split())
    assert said == sorted([*PRICES, "Dollars", "North", "South", "East"])


def test_charts_of_two_pictures_side_by_side_are_not_taken_for_one():
    words = [*chart_words(title=""), *row(["West", "Centre", "Coast"], [1100, 1300, 1500], 830)]
    known = [found_in_picture(Kind.CHART, Box(x, 280, x + 700, 870)) for x in (180.0, 940.0)]
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions(), known=known)
    assert [e for e in found if e.kind is not Kind.TEXT] == [area.element for area in known]


def test_a_table_known_from_a_picture_is_not_taken_again():
    words = [
        w
        for y, texts in ((300, ["Animal", "Legs"]), (360, ["Cat", "4"]), (420, ["Bird", "2"]), (480, ["Snake", "0"]))
        for w in row(texts, [200, 700], y)
    ]
    cells = lines_around([180, 680, 1000], [290, 350, 410, 470, 530])
    known = found_in_picture(Kind.TABLE, Box(150, 250, 1020, 560))
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions(), rulings=cells, known=[known])
    assert [(e.kind, e.inside) for e in found] == [(Kind.TEXT, Kind.TABLE), (Kind.TABLE, None)]
    assert found[1] is known.element
    elsewhere = found_in_picture(Kind.TABLE, Box(150, 900, 1020, 1200))
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions(), rulings=cells, known=[elsewhere])
    assert [e.kind for e in found if e.kind is not Kind.TEXT] == [Kind.TABLE, Kind.TABLE]


def test_what_is_known_stays_where_nothing_was_read():
    known = found_in_picture(Kind.CHART, Box(0, 0, 100, 100))
    blank = [Word(text=" ", box=Box(1, 2, 3, 4))]
    assert elements_from_words(blank, SIZE, page=1, options=ExtractOptions(), known=[known]) == (known.element,)


def test_nothing_recognised_is_nothing():
    assert elements_from_words([], SIZE, page=1, options=ExtractOptions()) == ()
    assert elements_from_words([Word(text=" ", box=Box(1, 2, 3, 4))], SIZE, page=1, options=ExtractOptions()) == ()


def test_boxes_of_whole_lines_are_fine():
    words = [
        Word(text="a whole line at once", box=Box(100, 100, 700, 130)),
        Word(text="and another one", box=Box(100, 140, 600, 170)),
    ]
    (element,) = elements_from_words(words, SIZE, page=1, options=ExtractOptions())
    assert element.text == "a whole line at once and another one"


def test_columns_a_blank_apart_are_told_by_an_engine_that_reads_line_by_line():
    left = [sentence("left column of running text", 100, 300 + 40 * place) for place in range(6)]
    start = 100 + 15 * len("left column of running text") + 33  # little more than a letter is high
    right = [sentence("right column of running text", start, 300 + 40 * place) for place in range(6)]
    words = [word for line in (*left, *right) for word in line]
    text = " ".join(e.text for e in elements_from_words(words, SIZE, page=1, options=ExtractOptions()))
    assert text.index("right") > text.rindex("left")
    by_row = [word for pair in zip(left, right, strict=True) for line in pair for word in line]
    mixed = " ".join(e.text for e in elements_from_words(by_row, SIZE, page=1, options=ExtractOptions()))
    assert mixed.startswith("left column of running text right column"), "nothing tells such columns apart by place"
