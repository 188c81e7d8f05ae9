from nemo_retriever_dagster.extract.page_markdown import to_markdown
from nemo_retriever_dagster.model import Cell, Element, Kind, Table


def text(value: str, **more) -> Element:
    return Element(kind=Kind.TEXT, text=value, **more)


def test_headings_lists_and_paragraphs():
    found = to_markdown(
        [text("Title", heading=1), text("Deep\nheading", heading=9), text("\u2022 one\n\u2022 two"), text("Prose.")]
    )
    assert found == "# Title\n\n###### Deep heading\n\n- one\n- two\n\nProse.\n"


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


def test_pictures_give_their_caption_or_nothing():
    assert to_markdown([Element(kind=Kind.IMAGE), Element(kind=Kind.IMAGE, caption="A cat.")]) == "A cat.\n"
    assert to_markdown([]) == "\n"
