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
