import pytest

from nemo_retriever_dagster.extract.bidi import in_reading_order, is_leftward, runs_left, spelt

SHALOM = "שלום"


def test_scripts_that_run_to_the_left_are_told():
    assert runs_left("a שלום")
    assert runs_left("\ufedf")  # a letter encoded as it is drawn
    assert not runs_left("naïve “quoted” 漢字")
    assert is_leftward("שלום עולם, in 2025")
    assert not is_leftward("The word שלום means peace")
    assert not is_leftward("2025")


@pytest.mark.parametrize("text", ["a ש", "a س", "a \ufedf", "a \ufb2a"])
def test_what_runs_to_the_left_is_told(text: str):
    assert runs_left(text)


def test_other_text_does_not_run_to_the_left():
    for text in ("plain", "naïve “quoted” \ufb01", "漢字", "\u058f\u0900", ""):
        assert not runs_left(text)


@pytest.mark.parametrize(
    ("seen", "leftward", "word"),
    [
        ("םולש", True, SHALOM),
        (".םולש", True, "שלום."),
        ("2025-ב", True, "ב-2025"),
        ("12.5%", True, "12.5%"),
        ("םולש.", False, "שלום."),
        ('"םולש"', False, '"שלום"'),
        ("Windows", True, "Windows"),
        ("١٢٣", True, "١٢٣"),
        ("\ufef2\ufe91\ufeae\ufecb", True, "عربي"),
    ],
)
def test_a_word_is_spelt_from_its_letters(seen: str, leftward: bool, word: str):
    assert spelt(list(seen), leftward=leftward) == word


def test_marks_stay_on_their_letters():
    assert spelt(["ם", "וֹ", "ל", "שָׁ"], leftward=True) == "שָׁלוֹם"


def test_a_ligature_is_read_after_the_letter_before_it():
    assert spelt(["ل", "لا", "خ"], leftward=True) == "خلال"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["של", "12.5%", "לעומת"], "של 12.5% לעומת"),
        (["מוצרים", "Hub)", "Home", "(Smart", "חדשים"], "מוצרים (Smart Home Hub) חדשים"),
        (["מערכת", "11", "Windows", "יצאה"], "מערכת Windows 11 יצאה"),
        (["צפון", "120", "14"], "צפון 120 14"),
        (["במרץ", ".2026"], "במרץ 2026."),
        (["בנסיעה", "York", ".New"], "בנסיעה New York."),
        (["שקלים", ")NIS(", "לבעלי"], "שקלים (NIS) לבעלי"),
        (["אמר", "...שלום"], "אמר ...שלום"),
        (["Annual", "report"], "report Annual"),
    ],
)
def test_a_row_read_to_the_left(words: list[str], text: str):
    assert in_reading_order(words, leftward=True) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["The", "phrase", "יסודי", "ספר", "בית", "means"], "The phrase בית ספר יסודי means"),
        (["greeting", '"עליכם', 'שלום"', "is"], 'greeting "שלום עליכם" is'),
        (["has", "جديد", "كتاب", ")a", "new", "book("], "has كتاب جديد (a new book)"),
        (["f", ")x(", "and", "g"], "f )x( and g"),
        (["in", "1948", "הארץ", "printed", "12"], "in 1948 הארץ printed 12"),
    ],
)
def test_a_row_read_to_the_right(words: list[str], text: str):
    assert in_reading_order(words, leftward=False) == text


def test_nothing_is_nothing():
    assert in_reading_order([], leftward=True) == ""
    assert in_reading_order([""], leftward=True) == ""


def test_a_row_of_many_is_no_work_of_hours():
    many = 100_000
    assert in_reading_order([*["7"] * many, SHALOM], leftward=True).endswith(SHALOM)
    assert spelt(["."] * many + ["ש"], leftward=True).startswith("ש.")
