import pytest

from nemo_retriever_dagster.extract.charts import chart_from_words, find_charts, value_of
from nemo_retriever_dagster.model import Box, Word

SIZE = (600, 400)


def label(text: str, x: float, y: float, *, height: float = 12) -> Word:
    """A word right of x, centred on y."""
    return Word(text=text, box=Box(x, y - height / 2, x + 7 * len(text), y + height / 2))


def scale(values: list[str], *, right: float = 60, top: float = 60, step: float = 50) -> list[Word]:
    """Labels of an upright axis, the last value at the top, right-aligned."""
    return [label(v, right - 7 * len(v), top + step * place) for place, v in enumerate(reversed(values))]


BARS = [
    label("Sales", 280, 20),
    label("of", 320, 20),
    label("fruit", 340, 20),
    *scale(["$-", "$50", "$100", "$150", "$200"]),
    *(label(name, 100 + 120 * place, 290) for place, name in enumerate(["Apples", "Pears", "Plums", "Figs"])),
    label("2024", 300, 330),
]


def test_a_bar_chart_reads_title_then_x_then_y_then_the_rest():
    expected = "Sales of fruit Apples - Pears - Plums - Figs $- - $50 - $100 - $150 - $200 2024"
    assert chart_from_words(BARS, SIZE) == expected
    assert chart_from_words(BARS[::-1], SIZE) == expected


def test_a_logarithmic_scale_counts():
    words = [*scale(["1", "10", "100", "1000", "10000"]), label("Low", 150, 290), label("High", 400, 290)]
    assert chart_from_words(words, SIZE) == "Low - High 1 - 10 - 100 - 1000 - 10000"


def test_an_upright_axis_title_stands_before_its_labels():
    words = [*BARS, Word(text="Dollars", box=Box(5, 120, 17, 180))]
    assert "Figs Dollars $- - $50" in (chart_from_words(words, SIZE) or "")


@pytest.mark.parametrize("upwards", [True, False])
def test_words_of_an_upright_axis_title_come_in_reading_direction(upwards):
    places = [(200, 250), (150, 190), (90, 140)] if upwards else [(90, 140), (150, 190), (200, 250)]
    pairs = zip(["Hertz", "(log", "scale)"], places, strict=True)
    title = [Word(text=text, box=Box(5, y0, 17, y1)) for text, (y0, y1) in pairs]
    assert "Figs Hertz (log scale) $- - $50" in (chart_from_words([*BARS, *title], SIZE) or "")


def test_one_misread_label_does_not_hide_the_chart():
    misread = [Word(text="$10O0", box=w.box) if w.text == "$100" else w for w in BARS]
    assert "Apples - Pears" in (chart_from_words(misread, SIZE) or "")
    wrong = [Word(text="$999", box=w.box) if w.text == "$100" else w for w in BARS]
    assert "$50 - $999 - $150" in (chart_from_words(wrong, SIZE) or "")


def test_level_bars_have_names_on_the_left_and_values_below():
    names = [label(name, 100 - 7 * len(name), 60 + 50 * place) for place, name in enumerate(["Oak", "Beech", "Elm"])]
    values = [label(str(value), 110 + 5 * value, 220) for value in (0, 20, 40, 60)]
    assert chart_from_words([*names, *values], SIZE) == "0 - 20 - 40 - 60 Elm - Beech - Oak"


def test_a_table_of_years_is_no_chart():
    rows = []
    for place in range(5):
        y = 60 + 50 * place
        rows += [label(str(2020 + place), 32, y), *(label(f"{place * 7 + c}.5", 150 + 120 * c, y) for c in range(4))]
    rows += [label("Total", 150 + 120 * c, 310) for c in range(4)]
    assert chart_from_words(rows, SIZE) is None
    assert find_charts(rows) == []


def test_prose_and_nothing_are_no_chart():
    assert chart_from_words([], SIZE) is None
    prose = [
        label(word, 50 + 70 * (i % 8), 50 + 20 * (i // 8))
        for i, word in enumerate(["many", "words", "of", "prose", "here"] * 10)
    ]
    assert chart_from_words(prose, SIZE) is None


def test_a_pie_is_known_by_shares_that_make_a_whole():
    pie = [
        label("Red", 100, 50),
        label("50%", 100, 70),
        label("Blue", 400, 50),
        label("30%", 400, 70),
        label("Green", 250, 300),
        label("20%", 250, 320),
    ]
    assert chart_from_words(pie, SIZE) == "Red - Blue - 50% - 30% - Green - 20%"
    assert chart_from_words(pie[:4], SIZE) is None


def test_two_charts_on_a_page_are_two():
    lower = [Word(text=w.text, box=Box(w.box.x0, w.box.y0 + 600, w.box.x1, w.box.y1 + 600)) for w in BARS]
    found = find_charts([*BARS, *lower])
    assert len(found) == 2
    assert {round(chart.box.y0) > 300 for chart in found} == {True, False}


def test_heights_read_into_bars_are_left_out():
    assert chart_from_words([*BARS, Word(text="_", box=Box(120, 70, 200, 280))], SIZE) == chart_from_words(BARS, SIZE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,200", 1200),
        ("15 %", 15),
        ("-3.5", -3.5),
        ("(12)", -12),
        ("$-", 0),
        ("2.5k", 2500),
        ("3,5", 3.5),
        ("1,234,567", 1234567),
        ("apples", None),
        ("", None),
        ("12 apples", None),
        ("1.2.3", 12.3),
    ],
)
def test_values(text, value):
    assert value_of(text) == (None if value is None else pytest.approx(value))
