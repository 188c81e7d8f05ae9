"""Tables found on pages made up of words and lines: what is a table, what its cells are, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nemo_retriever_dagster.extract.geometry import Glyphs, PageGeometry, Ruling
from nemo_retriever_dagster.extract.tables import find_tables, may_have_tables
from nemo_retriever_dagster.model import Box

HEIGHT = 10.0
LETTER = 5.0
PAGE = (600.0, 800.0)


def text(x: float, y: float, words: str, *, right: bool = False) -> list[Glyphs]:
    """Set words on a line that starts (or ends) at ``x``, five points a letter, half a letter's blank between."""
    pieces = words.split()
    width = sum(len(piece) for piece in pieces) * LETTER + (len(pieces) - 1) * LETTER / 2
    at = x - width if right else x
    glyphs = []
    for piece in pieces:
        end = at + len(piece) * LETTER
        glyphs.append(Glyphs(text=piece, box=Box(at, y, end, y + HEIGHT), size=HEIGHT))
        at = end + LETTER / 2
    return glyphs


def rows(columns: list[float], lines: list[list[str]], *, top: float = 100, pitch: float = 14) -> list[Glyphs]:
    """Set a grid of texts; a negative column is the right edge of its texts."""
    return [
        word
        for i, line in enumerate(lines)
        for x, cell in zip(columns, line, strict=True)
        if cell
        for word in text(abs(x), top + i * pitch, cell, right=x < 0)
    ]


def across(y: float, x0: float, x1: float) -> Ruling:
    return Ruling(box=Box(x0, y, x1, y), horizontal=True)


def upright(x: float, y0: float, y1: float) -> Ruling:
    return Ruling(box=Box(x, y0, x, y1), horizontal=False)


def page(words: list[Glyphs], rulings: list[Ruling] | None = None, **more: object) -> PageGeometry:
    return replace(PageGeometry(size=PAGE, words=tuple(words), rulings=tuple(rulings or ())), **more)


def grid(x: list[float], y: list[float]) -> list[Ruling]:
    return [across(at, x[0], x[-1]) for at in y] + [upright(at, y[0], y[-1]) for at in x]


PROSE = """
the licence of a work does not end when its owner dies and the heirs may go on to grant it to others for as
long as the law of the land protects it from copies made without their leave which is why most publishers ask
for rights in writing and keep the letters in a safe until long after the last edition of the book has been
sold and even then few of them will throw away a paper that could matter in a court of law
""".split()  # noqa: SIM905 - one word a line would fill a page


def paragraph(x: float, top: float, letters: int, lines: int) -> list[Glyphs]:
    """Set ragged prose with at most ``letters`` a line."""
    words, glyphs = PROSE * 20, []
    for i in range(lines):
        line = ""
        while words and len(line) + len(words[0]) < letters:
            line += " " + words.pop(0)
        glyphs += text(x, top + i * 12, line)
    return glyphs


ACCOUNTS = [
    ["", "2023", "2022"],
    ["Net income", "1,058", "815"],
    ["Depreciation and amortization", "586", "(625)"],
    ["Other", "—", "12"],
    ["Total", "1,644", "202"],
]


def only(geometry: PageGeometry) -> list[list[str]]:
    (found,) = find_tables(geometry)
    return found.table.rows()


def test_a_drawn_grid_gives_its_cells():
    cells = [["Animal", "Activity"], ["Giraffe", "Driving a car"], ["Lion", "Putting on sunscreen"]]
    words = rows([105, 255], cells, top=104, pitch=20)
    (found,) = find_tables(page(words, grid([100, 250, 400], [100, 120, 140, 160])))
    assert found.table.rows() == cells
    assert found.ruled
    assert found.box == Box(100, 100, 400, 160)
    assert [cell.header for cell in found.table.cells] == [True, True, False, False, False, False]


def test_merged_cells_keep_their_spans():
    lines = [across(y, 100, 400) for y in (100, 140, 160)] + [across(120, 200, 400)]
    lines += [upright(x, 100, 160) for x in (100, 200, 400)] + [upright(300, 120, 160)]
    words = (
        text(105, 115, "Name") + text(260, 105, "Shipcalls") + text(210, 125, "Foreign") + text(310, 125, "Domestic")
    )
    words += text(105, 145, "Manila") + text(210, 145, "2454") + text(310, 145, "6125")
    (found,) = find_tables(page(words, lines))
    spans = {cell.text: (cell.row_span, cell.column_span) for cell in found.table.cells}
    assert spans["Name"] == (2, 1)
    assert spans["Shipcalls"] == (1, 2)
    assert found.table.rows() == [["Name", "Shipcalls", ""], ["", "Foreign", "Domestic"], ["Manila", "2454", "6125"]]


def test_rows_that_no_line_parts_are_parted():
    """A frame, a line under the header, columns drawn: the rows of amounts are lines of one field."""
    lines = grid([100, 250, 350, 450], [100, 120, 190])
    cells = [
        ["Country", "Fund", "Total"],
        ["Bulgaria", "2.3", "5.5"],
        ["Cyprus", "0.21", "0.21"],
        ["Estonia", "1.1", "3.0"],
    ]
    words = rows([105, 255, 355], cells[:1], top=104) + rows([105, 255, 355], cells[1:], top=124)
    assert only(page(words, lines)) == cells


def test_columns_that_no_line_parts_are_parted():
    """Columns drawn in the header only: the rows below are one field each."""
    lines = [across(y, 100, 400) for y in (100, 120, 140, 160)] + [upright(x, 100, 160) for x in (100, 400)]
    lines += [upright(200, 100, 120), upright(300, 100, 120)]
    cells = [["Country", "Units", "Share"], ["Austria", "109", "0.9"], ["Total", "1,123", "0.8"]]
    assert only(page(rows([105, 205, 305], cells, top=104, pitch=20), lines)) == cells


def test_amounts_in_columns_without_lines():
    (found,) = find_tables(page(rows([50, -350, -450], ACCOUNTS)))
    assert found.table.rows() == ACCOUNTS
    assert not found.ruled
    assert 0 < found.confidence < 1


@pytest.mark.parametrize("scale", [0.1, 1, 20])
def test_the_unit_does_not_matter(scale):
    words = [word._replace(box=word.box.scale(scale, scale)) for word in rows([50, -350, -450], ACCOUNTS)]
    assert only(PageGeometry(size=(600 * scale, 800 * scale), words=tuple(words))) == ACCOUNTS


def test_currency_signs_belong_to_their_amounts():
    words = rows([50, -350, -450], ACCOUNTS) + text(300, 114, "$") + text(353, 114, "$")
    assert only(page(words))[1] == ["Net income", "$1,058", "$815"]


def test_a_heading_over_two_columns_spans_them():
    cells = [["", "2023", "2022", "2023", "2022"], ["Sales", "10", "20", "30", "40"], ["Costs", "11", "21", "31", "41"]]
    words = rows([50, -250, -330, -410, -490], cells, top=114)
    words += text(227, 100, "Europe") + text(400, 100, "Asia")
    lines = [across(112, 225, 330), across(112, 385, 490)]
    (found,) = find_tables(page(words, lines))
    spans = {cell.text: (cell.column, cell.column_span) for cell in found.table.cells if cell.row == 0 and cell.text}
    assert spans == {"Europe": (1, 2), "Asia": (3, 2)}
    assert found.table.rows()[1:] == cells


def test_lines_of_one_row_are_joined():
    """Rows stand apart; a cell's second line follows close."""
    words = []
    for i, (name, votes) in enumerate([("People's", "1,652"), ("Candlelight", "1,649"), ("Funcinpec", "715")]):
        top = 100 + 40 * i
        words += text(50, top, name) + text(200, top, votes) + text(50, top + 11, "Party")
    assert only(page(words)) == [
        ["People's Party", "1,652"],
        ["Candlelight Party", "1,649"],
        ["Funcinpec Party", "715"],
    ]


def test_a_label_that_goes_on_joins_its_amounts():
    cells = [
        ["", "2023"],
        ["Income", "5"],
        ["Purchase of property, plant and", ""],
        ["equipment", "(526)"],
        ["Other", "7"],
    ]
    assert only(page(rows([50, -350], cells, pitch=12)))[2] == ["Purchase of property, plant and equipment", "(526)"]


def test_a_word_that_is_broken_at_the_end_of_a_line_is_mended():
    words = text(105, 104, "Environ-") + text(105, 115, "ment") + text(255, 104, "Soft\u00ad") + text(255, 115, "ware")
    words += text(105, 135, "one") + text(255, 135, "two")
    assert only(page(words, grid([100, 250, 400], [100, 130, 150])))[0] == ["Environment", "Software"]


def test_captions_and_prose_around_stay_out():
    words = paragraph(50, 20, 90, 4) + text(50, 84, "Table 1. Statement of income of the group")
    words += rows([50, -350, -450], ACCOUNTS, top=110) + paragraph(50, 200, 90, 4)
    assert only(page(words)) == ACCOUNTS


def test_two_tables_with_prose_between_are_two():
    words = rows([50, -350, -450], ACCOUNTS, top=50) + paragraph(50, 140, 90, 4)
    words += rows([50, -300, -400], ACCOUNTS, top=220)
    first, second = find_tables(page(words))
    assert first.table.rows() == second.table.rows() == ACCOUNTS
    assert first.box.y1 < second.box.y0


def test_keys_beside_paragraphs_are_a_table():
    words = []
    for i, key in enumerate(["Knowledge", "Skills", "Attitudes"]):
        words += text(50, 100 + 80 * i, key) + paragraph(150, 100 + 80 * i, 60, 3)
    table = only(page(words))
    assert [row[0] for row in table] == ["Knowledge", "Skills", "Attitudes"]
    assert table[0][1].startswith("the licence of a work")


def numbered(marks: list[str]) -> list[Glyphs]:
    return [
        word
        for i, mark in enumerate(marks)
        for word in text(50, 100 + 14 * i, mark) + text(70, 100 + 14 * i, "an item here")
    ]


NO_TABLES = {
    "two columns of prose": paragraph(50, 100, 45, 30) + paragraph(320, 100, 45, 30),
    "narrow columns of prose": paragraph(50, 100, 25, 20) + paragraph(200, 100, 25, 20) + paragraph(350, 100, 25, 20),
    "one column of prose": paragraph(50, 100, 90, 30),
    "a list with bullets": numbered(["•"] * 5),
    "a numbered list": numbered(["1.", "2.", "3.", "4."]),
    "references": numbered(["[1]", "[2]", "[3]", "[4]"]),
    "contents": rows([50, -500], [["Introduction", "1"], ["Scope", "4"], ["Methods", "9"], ["Results", "15"], ["Index", "90"]]),
    "contents with dots": rows([50, -500], [["Scope " + "." * 40, "3"], ["Terms " + "." * 39, "5"], ["Index " + "." * 38, "9"]]),
    "code": rows([50], [["def f ( x ) :"]]) + rows([70], [["if x :"], ["return 1"]], top=114) + rows([50], [["f ( 2 )"]], top=142),
    "header and footer": text(50, 20, "Annual report") + text(500, 20, "17") + text(50, 780, "Draft") + text(500, 780, "2023"),
    "nothing": [],
}  # fmt: skip


@pytest.mark.parametrize("name", NO_TABLES)
def test_what_is_no_table(name):
    assert find_tables(page(NO_TABLES[name])) == []


def test_justified_prose_is_no_table():
    """Blanks as wide as between columns, in other places on every line."""
    words = []
    for i in range(12):
        line = PROSE[i * 5 : i * 5 + 6] or PROSE[:6]
        length = sum(len(word) for word in line) * LETTER
        blank, at = (300 - length) / 5, 50.0
        for word in line:
            words.append(
                Glyphs(text=word, box=Box(at, 100 + 12 * i, at + len(word) * LETTER, 110 + 12 * i), size=HEIGHT)
            )
            at += len(word) * LETTER + blank
    assert find_tables(page(words)) == []


def test_a_chart_is_no_table():
    """Grid lines of a plot with the labels of its axes beside them."""
    lines = grid([100, 200, 300, 400, 500], [100, 150, 200, 250])
    labels = [word for i, y in enumerate((95, 145, 195, 245)) for word in text(70, y, str(40 - 10 * i))]
    labels += [word for i in range(4) for word in text(130 + 100 * i, 260, f"Q{i}")]
    assert find_tables(page(labels, lines)) == []


def test_a_box_around_text_is_no_table():
    assert find_tables(page(paragraph(60, 110, 80, 6), grid([50, 550], [100, 200]))) == []


def test_labels_in_a_picture_are_no_table():
    words = rows([50, 200, 350], [["Alpha", "Beta", "Gamma"], ["Delta", "Eta", "Theta"], ["Iota", "Kappa", "Mu"]])
    assert find_tables(page(words)) != []
    assert find_tables(page(words, pictures=(Box(40, 90, 420, 150),))) == []


def test_hidden_words_count_only_where_they_are_the_page():
    hidden = [word._replace(hidden=True) for word in rows([50, -350, -450], ACCOUNTS)]
    assert only(page(hidden)) == ACCOUNTS
    assert find_tables(page(hidden[:4] + paragraph(50, 300, 90, 10))) == []


def test_tables_are_sorted_and_apart():
    words = rows([105, 255], [["a", "b"], ["c", "d"], ["e", "f"]], top=404, pitch=20)
    words += rows([50, -350, -450], ACCOUNTS) + rows(
        [105, 255], [["1", "2"], ["3", "4"], ["5", "6"]], top=604, pitch=20
    )
    lines = grid([100, 250, 400], [400, 420, 440, 460]) + grid([100, 250, 400], [600, 620, 640, 660])
    found = find_tables(page(words, lines))
    assert [round(table.box.y0) for table in found] == [100, 400, 600]
    assert [table.ruled for table in found] == [False, True, True]


def test_the_gate_lets_tables_through_and_stops_prose():
    assert may_have_tables(page(rows([50, -350, -450], ACCOUNTS)))
    assert may_have_tables(page(text(105, 104, "a"), grid([100, 250], [100, 120])))
    assert not may_have_tables(page(paragraph(50, 100, 90, 40)))
    assert not may_have_tables(page([]))


def test_amounts_and_the_words_right_behind_them_are_two_columns():
    lines = [
        ["Part", "Weight", "Colour"],
        ["Valve", "31.50", "Grey"],
        ["Long spindle", "4.25", "Pale blue"],
        ["Ring", "12.00", "Red"],
        ["Seal", "7.80", "Black"],
    ]
    words = [*rows([50, -200, 205], lines), *paragraph(50, 300, 90, 4)]  # five points apart; a blank has two and a half
    (found,) = find_tables(page(words))
    assert found.table.rows() == lines


def test_a_table_right_below_a_paragraph_and_right_above_another_keeps_its_labels():
    lines = [
        ["Site", "Opened", "Share"],
        ["Old harbour", "1950", "31%"],
        ["Canal", "1962", "4%"],
        ["Mill", "1975", "9%"],
    ]
    words = [*paragraph(50, 100, 90, 6), *rows([50, -330, -430], lines, top=175), *paragraph(50, 233, 90, 6)]
    (found,) = find_tables(page(words))
    assert found.table.rows() == lines


def test_amounts_that_happen_to_rise_under_a_heading_are_no_contents():
    lines = [["Town", "Sites"], ["Salem", "12"], ["Dover", "36"], ["Leeds", "90"], ["Bath", "95"]]
    (found,) = find_tables(page(rows([50, -300], lines)))
    assert found.table.rows() == lines
    assert not find_tables(page(rows([50, -300], [["Chapter", "Page"], *lines[1:]])))


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([["Name:", "Town:"], ["Street:", "Telephone:"], ["Employer:", "Place:"]], id="a form"),
        pytest.param([["1", "Valve"], ["2", "The seal"], ["3", "Ring"], ["4", "Cover"]], id="a counted list"),
    ],
)
def test_forms_and_counted_lists_are_no_tables(lines):
    assert find_tables(page(rows([50, 300], lines))) == []


def test_addresses_side_by_side_are_no_table_unless_they_are_set_as_one():
    lines = [
        ["Ines Silva", "Emil Rossi"],
        ["The Mill", "Canal House"],
        ["West Street", "East Street"],
        ["Hull", "Bath"],
    ]
    words = rows([50, 300], lines, pitch=12)
    assert find_tables(page(words)) == []
    assert len(find_tables(page(rows([50, 300], lines, pitch=18)))) == 1
    assert len(find_tables(page(words, [across(111, 50, 360)]))) == 1
    heads = [word._replace(bold=True) if word.box.y0 == 100 else word for word in words]
    assert len(find_tables(page(heads))) == 1


def test_two_tables_side_by_side_are_two_where_one_is_written_after_the_other():
    left = [["Pump", "Sites"], ["Old", "12"], ["New", "36"], ["Spare", "90"]]
    right = [["Valve", "Price"], ["Ball", "4.50"], ["Gate", "8.20"], ["Check", "7.00"]]
    words = [*rows([50, -180], left), *rows([300, -430], right)]
    assert [table.table.rows() for table in find_tables(page(words))] == [left, right]
    both = [[*a, *b] for a, b in zip(left, right, strict=True)]
    assert only(page(rows([50, -180, 300, -430], both))) == both


def test_headings_over_even_groups_of_columns_span_them():
    lower = [
        ["", "2023", "2024", "2023", "2024"],
        ["Oak", "1.5", "2.5", "3.5", "4.5"],
        ["Elm", "5.5", "6.5", "7.5", "8.5"],
    ]
    columns = [50, -180, -260, -340, -420]
    upper = [*text(50, 86, "Wood"), *text(175, 86, "Sales"), *text(332, 86, "Stock")]
    (found,) = find_tables(page([*upper, *rows(columns, lower)]))
    assert [(cell.column, cell.column_span) for cell in found.table.cells if cell.text in {"Sales", "Stock"}] == [
        (1, 2),
        (3, 2),
    ]


def test_the_codes_of_parts_are_words_not_formulas():
    found = only(page(rows([60, 160, 260], [["Part", "Owner", "Code"], *CODES])))
    assert found == [["Part", "Owner", "Code"], *CODES]


CODES = [
    ["K1000", "Goran Eriksen", "D-1145"],
    ["K1007", "Hanna Okafor", "R-1554"],
    ["K1014", "Kofi Brandt", "B-8258"],
    ["K1021", "Hanna Silva", "B-1651"],
    ["K1028", "Petra Kowalski", "B-2541"],
]


def test_remarks_of_several_lines_between_short_cells_are_a_column():
    notes = [
        ["X-9699", "The joint glacier limits the sample of surveys", "Heavy"],
        ["K-6157", "The private hospital replaced the hospital in", "Direct"],
        ["", "every case", ""],
        ["B-8909", "The quiet region reported the contract where a", "Average"],
        ["", "station carried its common use", ""],
        ["C-1240", "The digital mineral reduced the garden in the", "Canal"],
    ]
    shown = [[word for word in row if word] for row in notes]
    words = [
        one
        for number, row in enumerate(shown)
        for place, cell in zip([60, 150, 480] if len(row) == 3 else [150], row, strict=True)
        for one in text(place, 100 + 14 * number, cell)
    ]
    assert [row[0] for row in only(page(words)) if row[0]] == ["X-9699", "K-6157", "B-8909", "C-1240"]


def test_a_title_in_larger_type_is_no_row():
    above = [*text(50, 72, "Museum"), *text(500, 72, "2024")]
    title = [word._replace(box=word.box._replace(y1=word.box.y0 + 2 * HEIGHT)) for word in text(50, 86, "Accounts")]
    found = find_tables(page([*above, *title, *rows([50, -350, -450], ACCOUNTS, top=112)]))
    assert [table.table.rows() for table in found] == [ACCOUNTS]


@pytest.mark.parametrize(("font", "tables"), [("LiberationMono", 0), ("LiberationSans", 1)])
def test_a_blank_of_a_typewriter_face_parts_no_cells(font: str, tables: int):
    lines = [["alpha", "1,058", "815"], ["gamma", "2,400", "625"], ["delta", "3,117", "140"]]
    code = []
    for i, words in enumerate(lines):
        at = 100.0
        for word in words:
            box = Box(at, 100 + 14 * i, at + 6 * len(word), 110 + 14 * i)
            code.append(Glyphs(text=word, box=box, size=10, font=font))
            at = box.x1 + 6
    assert len(find_tables(page([*paragraph(50, 200, 60, 12), *code]))) == tables
