from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.scans import elements_from_words
from nemo_retriever_dagster.model import Box, Kind, Origin, Word

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


def test_a_chart_is_found_among_recognised_words():
    words = [
        w
        for place, v in enumerate(["300", "200", "100", "0"])
        for w in row([v], [300 - 15 * len(v)], 300 + 150 * place)
    ]
    words += row(["North", "South", "East"], [400, 700, 1000], 810)
    found = elements_from_words(words, SIZE, page=1, options=ExtractOptions())
    chart = next(e for e in found if e.kind is Kind.CHART)
    assert chart.text == "North - South - East 0 - 100 - 200 - 300"
    assert not any(
        e.kind is Kind.CHART for e in elements_from_words(words, SIZE, page=1, options=ExtractOptions(charts=False))
    )


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
