from nemo_retriever_dagster.extract.page_markdown import to_markdown
from nemo_retriever_dagster.model import Cell, Element, Kind, Table


def text(value: str, **more) -> Element:
    return Element(kind=Kind.TEXT, text=value, **more)


def test_headings_lists_and_paragraphs():
    found = to_markdown(
        [text("Title", heading=1), text("Deep\nheading", heading=9), text("\u2022 one\n\u2022 two"), text("Prose.")]
    )
    assert found == "# Title\n\n###### Deep heading\n\n- one\n- two\n\nProse.\n"


def test_a_heading_that_was_markdown_already_stays_as_it_is():
    written = ["# One", "   ### Three\tends", "Title\n=====", "Deep\n ---"]
    assert to_markdown([text(value, heading=1) for value in written]) == "\n\n".join(v.strip() for v in written) + "\n"
    assert to_markdown([text("#1 choice", heading=2), text("a\nb = c", heading=1)]) == "## #1 choice\n\n# a b = c\n"


def test_a_table_stands_in_place_of_its_text():
    table = Element(kind=Kind.TABLE, text="ignored", table=Table.of_rows([["a", "b"], ["1", "2"]], headers=1))
    assert to_markdown([text("a b\n1 2", inside=Kind.TABLE), table]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_spans_need_html():
    cells = (
        Cell(row=0, column=0, text="wide", column_span=2),
        Cell(row=1, column=0, text="x"),
        Cell(row=1, column=1, text="y"),
    )
    assert 'colspan="2"' in to_markdown([Element(kind=Kind.TABLE, table=Table(cells=cells))])


def test_pictures_give_their_caption_or_alternative_text_or_nothing():
    pictures = [Element(kind=Kind.IMAGE, **said) for said in ({}, {"caption": "A cat."}, {"alt_text": "A dog."})]
    assert to_markdown(pictures) == "A cat.\n\nA dog.\n"
    assert to_markdown([Element(kind=Kind.IMAGE, caption="A cat.", alt_text="A dog.")]) == "A cat.\n"
    assert to_markdown([]) == "\n"


def test_a_listing_stands_between_fences_with_its_blanks():
    listing = {"part": "listing"}
    found = [
        text("  def f():\n      `x`", attributes=listing),
        text("a ```` b", attributes=listing),
        text("    # c", attributes={**listing, "goes_on": True}),
        text("Prose."),
    ]
    assert to_markdown(found) == "```\n  def f():\n      `x`\n```\n\n`````\na ```` b\n\n    # c\n`````\n\nProse.\n"


def test_signs_that_markdown_would_swallow_are_escaped_where_the_text_is_none():
    row = Element(kind=Kind.TABLE, table=Table.of_rows([["Vec<T>", "a < b \\<c>"]], headers=0))
    shown = [text("Vec<T>", heading=2), text("Vec<T> \\<i> x < y\n# no heading"), row]
    assert to_markdown(shown) == (
        "## Vec\\<T>\n\nVec\\<T> \\\\\\<i> x < y\n\\# no heading\n\n| Vec\\<T> | a < b \\\\\\<c> |\n| --- | --- |\n"
    )
    assert to_markdown([text("a <b>c</b>\n# x"), text("    code\n    more")], written=True) == (
        "a <b>c</b>\n# x\n\n    code\n    more\n"
    )


def test_items_below_items_stay_below_them():
    found = [text("1. one"), text("  a. deeper"), text("    - deepest"), text("Prose."), text("  - alone")]
    assert to_markdown(found) == "1. one\n\n    a. deeper\n\n        - deepest\n\nProse.\n\n- alone\n"
    assert to_markdown([text("2. two\n  - x\n    - y")]) == "2. two\n    - x\n        - y\n"


def test_names_between_double_lines_keep_them():
    assert to_markdown([text("def __init__(self, a__b, __c):")]) == "def \\_\\_init\\_\\_(self, a__b, __c):\n"
    assert to_markdown([text("__all__", heading=1), text("_really_")]) == "# \\_\\_all\\_\\_\n\n_really_\n"
    assert to_markdown([text("__bold__")], written=True) == "__bold__\n"
