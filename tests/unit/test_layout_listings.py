from nemo_retriever_dagster.extract.layout import Line
from nemo_retriever_dagster.extract.layout_blocks import Run, blocks_of, body_size
from nemo_retriever_dagster.extract.typewriter import with_line_numbers
from nemo_retriever_dagster.model import Box

PITCH, SIZE = 6.0, 10.0


def typed(text: str, row: float, *, column: int = 0) -> Line:
    """Return a line in typewriter, ``row`` and ``column`` counted in lines and characters."""
    x, y = 50 + PITCH * column, 100 + 12 * row
    return Line(
        text, Box(x, y, x + PITCH * len(text), y + SIZE), SIZE, order=round(100 * row + column), typewriter=True
    )


def prose(text: str, row: float) -> Line:
    return typed(text, row)._replace(typewriter=False)


def texts(*lines: Line) -> list[str]:
    (found,) = blocks_of([Run(list(lines))], body_size(lines))
    return [block.text for block in found]


PROSE = [prose("A paragraph of more letters than the listing under it has, which", -4 + row) for row in (0, 1)]


def test_lines_in_typewriter_stay_lines():
    code = [typed("- one;", 0), typed("two", 1, column=4), typed("three.", 2)]
    assert texts(*PROSE, *code)[1:] == ["- one;\n    two\nthree."]


def test_lines_as_wide_as_each_other_are_a_listing_where_the_page_is_of_other_type():
    dump = [typed("00 1f 7c a0 " * 5 + end, row) for row, end in enumerate(["00", "ff"])]
    assert texts(*PROSE, PROSE[0], *dump)[-1] == "\n".join(line.text for line in dump)


def test_a_single_line_in_typewriter_is_no_listing():
    assert texts(prose("the options are listed by", 0), typed("ls --all", 1), prose("and so on", 2)) == [
        "the options are listed by ls --all and so on"
    ]


def test_an_empty_line_belongs_to_a_listing_and_pieces_of_a_line_stay_apart():
    code = [typed("a = 1", 0), typed("# one", 0, column=12), typed("b = 2", 2)]
    assert texts(*PROSE, *code)[1:] == ["a = 1       # one\n\nb = 2"]


def test_prose_of_a_typewriter_is_joined():
    letter = [
        typed("The quick brown fox jumps over the lazy dog and", 0),
        typed("does so again until nobody is left to watch it", 1),
        typed("jump.", 2),
    ]
    assert texts(*letter) == [" ".join(line.text for line in letter)]


def test_lines_of_a_typewriter_that_had_room_are_a_listing():
    body = typed("A line that is as wide as the column of this letter is", 0)
    code = [typed("make", 3), typed("make test", 4), typed("make install", 5)]
    assert texts(body, *code) == [body.text, "make\nmake test\nmake install"]


def test_numbers_of_lines_in_any_face_are_put_into_the_listing():
    numbers = [prose(text, row)._replace(size=6.0) for row, text in enumerate(["7", "8", "9"])]
    code = [typed("if x:", 0, column=4), typed("call()", 2, column=8)]
    found = with_line_numbers([numbers[0], code[0], numbers[1], numbers[2], code[1]])
    assert [(line.text, line.typewriter, line.size) for line in found] == [
        ("7   if x:", True, SIZE),
        ("8", True, SIZE),
        ("9       call()", True, SIZE),
    ]


def test_numbers_beside_prose_stay():
    lines = [prose("7", 0), prose("a line", 0)._replace(box=Box(80, 100, 120, 110)), typed("code", 4)]
    assert with_line_numbers(lines) == lines
