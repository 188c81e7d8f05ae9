"""Pages with text that runs to the left, set as programs set it: as it is seen, glyph after glyph."""

import itertools

import pytest
from pdf_writer import FIRST_LETTER, LETTER_WIDTH, PdfPage, lines, pdf_bytes, words

from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.extract.pdf_codes import kinds_of
from nemo_retriever_dagster.extract.pdf_leftward import in_rows
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Box, Kind

ALEF, LAM = "\u0627", "\u0644"
LETTERS = [ALEF, LAM, LAM + ALEF, *"אבגדהוזחטיכלמנסעפצקרשתםןףךץ", "\u061f", "\u05b8"]
MARK = LETTERS[-1]
PLAIN = ExtractOptions(format="pdf", tables=False, charts=False, images=False)
WIDTH, RIGHT = 1000.0, 940.0
PARAGRAPH = [
    "מערכת גדולה של כלים נבדקה השנה אצל רוב המשתמשים הביתיים בכל הארץ",
    "והתוצאות היו טובות מן הצפוי לדעת החוקרים שכתבו את הדוח הזה בסוף",
    "השנה האחרונה לפי בקשת הוועדה.",
]


def coded(seen: list[str] | str) -> str:
    """Return glyphs, from left to right, in the codes of the font."""
    return "".join(chr(FIRST_LETTER + LETTERS.index(one)) if one in LETTERS else one for one in seen)


def shown(seen: list[str] | str, y: float, *, right: float = RIGHT, size: float = 12) -> str:
    """Show glyphs, from left to right, so that they end at ``right``."""
    return words(coded(seen), right - len(seen) * size * LETTER_WIDTH / 1000, y, size=size, font="F4")


def set_leftward(texts: list[str], top: float, *, right: float = RIGHT, size: float = 12) -> str:
    return "".join(shown(text[::-1], top - 14 * row, right=right, size=size) for row, text in enumerate(texts))


@pytest.fixture
def read(tmp_path):
    numbers = itertools.count()

    def read_page(content: str, options: ExtractOptions | None = None, **more) -> Page:
        path = tmp_path / f"{next(numbers)}.pdf"
        page = PdfPage(content, **{"width": WIDTH, **more})
        path.write_bytes(pdf_bytes(page, letters=LETTERS))
        (page,) = PdfExtractor().extract(path, options or ExtractOptions(format="pdf"), Budget(Limits()))
        return page

    return read_page


def test_a_page_is_read_to_the_left(read):
    page = read(
        set_leftward(["כותרת הדוח"], 720, size=20) + set_leftward(PARAGRAPH, 680) + set_leftward(PARAGRAPH, 600)
    )
    assert [(element.text, element.heading) for element in page.elements] == [
        ("כותרת הדוח", 1),
        (" ".join(PARAGRAPH), 0),
        (" ".join(PARAGRAPH), 0),
    ]
    title = page.elements[0].box
    assert (round(title.x0), round(title.x1)) == (RIGHT - 156, RIGHT), "where it stands on the page"


@pytest.mark.parametrize("end", [".", "\u061f"])
def test_a_paragraph_ends_with_a_short_line_that_ends_a_sentence(read, end: str):
    paragraph = [*PARAGRAPH[:2], f"השנה האחרונה{end}"]
    page = read(set_leftward([*paragraph, *paragraph], 700))
    assert [element.text for element in page.elements] == [" ".join(paragraph)] * 2


def test_text_alone_is_read_to_the_left_too(read):
    page = read(set_leftward(PARAGRAPH, 680), PLAIN)
    assert [element.text for element in page.elements] == [" ".join(PARAGRAPH)]


@pytest.mark.parametrize(
    ("turns", "matrix", "size"), [(1, "0 1 -1 0 792 0", (792, 1000)), (2, "-1 0 0 -1 1000 792", (1000, 792))]
)
def test_a_turned_page_is_read_as_it_is_shown(read, turns: int, matrix: str, size: tuple[float, float]):
    upright = read(set_leftward(PARAGRAPH, 680))
    page = read(f"q {matrix} cm {set_leftward(PARAGRAPH, 680)} Q", rotate=90 * turns, width=size[0], height=size[1])
    assert [element.text for element in page.elements] == [element.text for element in upright.elements]
    for turned, straight in zip(page.elements, upright.elements, strict=True):
        assert tuple(turned.box) == pytest.approx(tuple(straight.box), abs=0.1)


def test_the_right_column_comes_first(read):
    right, left = ([line[:28].strip() for line in text] for text in (PARAGRAPH, PARAGRAPH[::-1]))
    page = read(set_leftward(right * 3, 700) + set_leftward(left * 3, 700, right=420))
    assert [element.text for element in page.elements] == [" ".join(right * 3), " ".join(left * 3)]


def test_the_first_column_of_a_table_is_the_right_one(read):
    rows = [["אזור", "הכנסות"], ["צפון", "120"], ["דרום", "95"]]
    table = "".join(
        f"{x} {y} 120 24 re S\n" + shown(text[::-1] if text.isalpha() else text, y + 8, right=x + 114)
        for row, y in zip(rows, (500, 476, 452), strict=True)
        for text, x in zip(row, (820, 700), strict=True)
    )
    page = read(set_leftward(PARAGRAPH, 700) + table)
    (found,) = [element for element in page.elements if element.kind is Kind.TABLE]
    assert found.table.rows() == rows
    assert (round(found.box.x0), round(found.box.x1)) == (700, 940)
    assert found.picture is not None
    assert found.picture.width > found.picture.height


def test_words_of_both_ways_in_one_row_and_in_a_cell(read):
    seen = ["דוח"[::-1], "Smart Home 12", "של"[::-1]]
    row = " ".join(seen)
    boxes = "".join(f"{x} {y} {width} 24 re S " for y in (452, 428) for x, width in ((600, 346), (480, 120)))
    cells = shown(row, 460) + shown("5", 460, right=590) + shown("אב"[::-1], 436) + shown("7", 436, right=590)
    page = read(set_leftward(PARAGRAPH, 700) + shown(row, 600) + boxes + cells)
    texts = [element.text for element in page.elements if element.kind is Kind.TEXT and element.inside is None]
    assert texts[-1] == "של Smart Home 12 דוח"
    (found,) = [element for element in page.elements if element.kind is Kind.TABLE]
    assert found.table.rows() == [["של Smart Home 12 דוח", "5"], ["אב", "7"]]


def test_rows_of_a_page_read_to_the_right_keep_their_order(read):
    english = ["The greeting in this book is old and was in", "use before the print was known to anybody."]
    page = read(
        lines(english, 72, 700)
        + words("It says ", 72, 672)
        + shown("ספר בית"[::-1], 672, right=188)
        + words("today.", 192, 672)
    )
    assert [element.text for element in page.elements] == [" ".join([*english, "It says ספר בית today."])]


def test_a_ligature_is_not_turned_around(read):
    page = read(shown([LAM, LAM + ALEF, LAM, " ", ALEF, LAM + ALEF], 700))
    assert [element.text for element in page.elements] == [f"{LAM}{ALEF}{ALEF} {LAM}{LAM}{ALEF}{LAM}"]


def test_a_mark_stays_on_its_letter_and_in_its_row(read):
    mark = words(coded(MARK), RIGHT - 36, 705, size=2, font="F4")
    page = read(shown("שלום"[::-1], 700) + mark + set_leftward(["עוד שורה"], 686))
    assert [element.text for element in page.elements] == [f"שלום{MARK} עוד שורה"]


def test_a_narrow_blank_parts_words_where_it_is_written(read):
    apart = 1.9  # points, a seventh of the height
    content = shown("שלום"[::-1], 700, right=RIGHT) + shown(
        "עולם"[::-1] + " ", 700, right=RIGHT - 4 * 9.36 - apart + 9.36
    )
    page = read(content)
    assert [element.text for element in page.elements] == ["שלום עולם"]


def test_a_latin_row_of_a_page_read_to_the_left(read):
    page = read(set_leftward(PARAGRAPH, 700) + words("Plain English words, all of a row.", 700, 640))
    assert [element.text for element in page.elements] == [" ".join(PARAGRAPH), "Plain English words, all of a row."]


def test_rows_that_pdfium_gives_as_one_are_told_by_their_height():
    text = "אב גד"
    boxes = [Box(30, 10, 40, 20), Box(20, 10, 30, 20), None, Box(30, 40, 40, 50), Box(20, 40, 30, 50)]
    found = in_rows(text, kinds_of(text), [], lambda places: [boxes[place] for place in places], leftward=True)
    assert [(word.text, word.first, word.last) for word in found] == [("אב", 1, 0), ("גד", 4, 3)]


def test_a_mark_far_above_its_row_is_in_it():
    text = f"אב{MARK}ג"
    boxes = [Box(30, 10, 40, 20), Box(20, 10, 30, 20), Box(24, 0, 26, 1), Box(10, 10, 20, 20)]
    found = in_rows(text, kinds_of(text), [], lambda places: [boxes[place] for place in places], leftward=True)
    assert [word.text for word in found] == [text]


def test_a_bullet_is_drawn_to_the_right_of_its_item(read):
    items = "".join(f"{RIGHT + 4} {y + 3} 3 3 re f\n" + shown("פריט ראשון"[::-1], y) for y in (640, 620))
    page = read(set_leftward(PARAGRAPH, 700) + items)
    assert page.elements[-1].text == "\u2022 פריט ראשון\n\u2022 פריט ראשון"


def test_white_text_is_seen_on_what_is_drawn_under_it(read):
    dark = f"0 0 0.5 rg {RIGHT - 300} 630 310 30 re f "
    white = shown("כותרת לבנה"[::-1], 640).replace("BT ", "BT 1 g ")
    page = read(set_leftward(PARAGRAPH, 700) + dark + white)
    assert [element.attributes for element in page.elements if "לבנה" in element.text] == [{}]
    page = read(set_leftward(PARAGRAPH, 700) + white)
    assert [element.attributes for element in page.elements if "לבנה" in element.text] == [{"hidden": True}]


def test_marks_and_blanks_of_a_long_row_are_no_work_of_hours():
    many = 20_000
    text = "אב " * many + MARK * many
    boxes = [Box(i, 0, i + 1, 10) for i in range(len(text))]
    found = in_rows(text, kinds_of(text), [], lambda places: [boxes[place] for place in places], leftward=False)
    assert len(found) == 1, "blanks are as narrow as letters"
    assert found[0].text.count(MARK) == many
