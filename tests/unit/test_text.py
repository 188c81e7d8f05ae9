"""Plain texts, Markdown, JSON, and the encodings they come in."""

# ruff: noqa: RUF001 -- other scripts are the point here

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.errors import CorruptFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.encoding import decode
from nemo_retriever_dagster.extract.text import TextExtractor, paragraphs
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from pathlib import Path


def read(
    path: Path, data: bytes | str, kind: str = "txt", limits: Limits | None = None, **wanted: object
) -> list[Element]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    options = ExtractOptions(format=kind, **wanted)
    return [e for page in TextExtractor().extract(path, options, Budget(limits or Limits())) for e in page.elements]


def texts(*args: object, **more: object) -> list[str]:
    return [element.text for element in read(*args, **more)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x"


def test_a_paragraph_is_an_element(file):
    assert texts(file, "one\ntwo\n\n\n  three\n \t\nfour\r\n") == ["one\ntwo", "  three", "four"]


@pytest.mark.parametrize("blank", ["", " ", "\n\n\n", "\ufeff", "\ufeff \r\n"])
def test_a_text_without_words_has_no_elements(file, blank):
    assert texts(file, blank) == []


def test_json_and_shell_stay_as_they_are(file):
    source = '{\n\t"a": 4,\n\n\t"b": "\\ud800"\n}'
    assert texts(file, source, "json") == [source]
    assert texts(file, 'echo "Hello"\n', "sh") == ['echo "Hello"']


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe – 報告"),
        ("utf-8-sig", "Größe – 報告"),
        ("utf-16", "Größe – 報告"),
        ("utf-16-le", "This is a test of plain words."),
        ("utf-16-be", "This is a test of plain words."),
        ("utf-32", "Größe – 報告"),
        ("utf-32-be", "This is a test of plain words."),
        ("cp1252", "Die schöne Frau sagte: „Das war köstlich!“ – 15,50 €."),
        ("cp1252", "Café"),
        ("cp1252", "Les êtres humains naissent libres et égaux. Où êtes-vous? Très bien, à côté."),
        ("cp1250", "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności."),
        ("cp1250", "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az erkölcs őre."),
        ("cp1251", "Все люди рождаются свободными и равными в своем достоинстве и правах."),
        ("koi8_r", "Все люди рождаются свободными и равными в своем достоинстве и правах."),
        ("cp1253", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια."),
        ("cp1254", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler."),
        ("cp1255", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם"),
        ("shift_jis", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
        ("euc_jp", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
        ("iso2022_jp", "すべての人間は、生まれながらにして自由であり"),
        ("gb18030", "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。"),
        ("big5", "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神相對待。"),
        ("euc_kr", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
    ],
)
def test_the_encoding_is_found(file, encoding, text):
    (element,) = read(file, text.encode(encoding))
    assert (element.text, element.warnings) == (text, ())


def test_a_declared_encoding_is_used_where_the_bytes_are_not_unicode():
    assert decode("Wszyscy ludzie są wolni".encode("iso-8859-2"), "ISO-8859-2").text == "Wszyscy ludzie są wolni"
    assert decode("naïve".encode(), "iso-8859-1").text == "naïve"
    assert decode("naïve".encode("cp1252"), "utf-8").text == "naïve"
    assert decode("“naïve”".encode("cp1252"), "iso-8859-1").text == "“naïve”"
    assert decode(b"abc", "no-such-thing").text == "abc"
    assert decode("été, où êtes-vous".encode("cp1252"), "base64").text == "été, où êtes-vous"


def test_text_comes_in_one_normal_form(file):
    assert texts(file, "e\u0301\r\nA\u030a\rx\x00y\x1b" + "z" * 99) == ["é\nÅ\nxy" + "z" * 99]


def test_damage_is_replaced_and_told(file):
    (element,) = read(file, "Größe ".encode() * 100 + b"\xff end")
    assert element.text.endswith("\ufffd end")
    assert "1 damaged" in element.warnings[0]
    (heading, words) = read(file, "# Größe\n\n".encode() + "größer ".encode() * 100 + b"\xff end", "md")
    assert heading.warnings == words.warnings == element.warnings
    (surrogate,) = read(file, "ab".encode("utf-16") + b"\x00\xd8" + "cd".encode("utf-16-le"))
    assert surrogate.text == "ab\ufffdcd"
    assert surrogate.warnings


def test_a_replacement_character_of_the_author_is_no_damage(file):
    (element,) = read(file, "what \ufffd means")
    assert element.warnings == ()


def test_binary_is_no_text(file):
    with pytest.raises(CorruptFileError):
        read(file, bytes(range(32)) * 100)


def test_a_text_over_the_limit_is_refused_unread(file):
    with pytest.raises(LimitExceededError, match="text_chars"):
        read(file, "x" * 1000, limits=Limits(text_chars=100))
    with pytest.raises(LimitExceededError, match="text_chars"):
        read(file, "x" * 200, limits=Limits(text_chars=100))


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_corrupt(data):
    try:
        text = decode(data).text
    except CorruptFileError:
        return
    assert unicodedata.is_normalized("NFC", text)
    text.encode()


@given(st.text(alphabet="ab \n\t", max_size=400))
def test_no_word_is_lost_between_paragraphs(text):
    assert "".join("".join(paragraphs(text)).split()) == "".join(text.split())


def test_very_many_and_very_long_paragraphs_are_bounded():
    many = paragraphs("\n\n".join(f"line {n}" for n in range(100_000)))
    assert len(many) <= 20_000
    assert " ".join(many).split() == [word for n in range(100_000) for word in ("line", str(n))]
    for text in ("x" * 120_000, "word " * 30_000, "line\n" * 30_000):
        long = paragraphs(text)
        assert max(map(len, long)) <= 50_000
        assert "".join("".join(long).split()) == "".join(text.split())


MARKDOWN = """\
# Title #

First line
second line

Section
-------

| a \\| b | c |
|:--|---|
| 1 | `x` |
| 2 |
| 3 | 4 | 5 |

```python
# not a heading

| no | table |
|----|-------|
```
text before a fence
~~~
open to the end

## not a heading
"""


def test_markdown_blocks(file):
    elements = read(file, MARKDOWN, "md")
    assert [(e.kind, e.heading, e.text.split("\n")[0]) for e in elements] == [
        (Kind.TEXT, 1, "# Title #"),
        (Kind.TEXT, 0, "First line"),
        (Kind.TEXT, 2, "Section"),
        (Kind.TABLE, 0, "| a \\| b | c |  |"),
        (Kind.TEXT, 0, "```python"),
        (Kind.TEXT, 0, "text before a fence"),
        (Kind.TEXT, 0, "~~~"),
    ]
    assert elements[3].table.rows() == [["a | b", "c", ""], ["1", "`x`", ""], ["2", "", ""], ["3", "4", "5"]]
    assert "| no | table |" in elements[4].text
    assert elements[6].text.endswith("## not a heading")


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        (
            "---\ntitle: My post\ntags: [a]\n---\n\nIntro\n# Real",
            [(0, "---\ntitle: My post\ntags: [a]\n---"), (0, "Intro"), (1, "# Real")],
        ),
        (
            "---\n# set by hand\ntitle: x\n...\nIntro\n---",
            [(0, "---\n# set by hand\ntitle: x\n..."), (2, "Intro\n---")],
        ),
        ("---\n---\ntext", [(0, "---\n---"), (0, "text")]),
        ("---\ntitle: never closed\n# Real", [(0, "---"), (0, "title: never closed"), (1, "# Real")]),
        ("---\n\n# Real\n\nwords\n\n---", [(0, "---"), (1, "# Real"), (0, "words"), (0, "---")]),
        ("- one\n- two\n---\nafter", [(0, "- one\n- two"), (0, "---"), (0, "after")]),
        ("1. one\n   more\n---\n", [(0, "1. one\n   more"), (0, "---")]),
        ("> quote\n---", [(0, "> quote"), (0, "---")]),
        ("    code\n---", [(0, "    code"), (0, "---")]),
        ("Regards\n-- \nBob", [(0, "Regards\n-- \nBob")]),
        ("words\n* * *\nmore\n___\nlast", [(0, "words"), (0, "* * *"), (0, "more"), (0, "___"), (0, "last")]),
        ("*emphasis*\n---\n**bold**\n--", [(2, "*emphasis*\n---"), (2, "**bold**\n--")]),
        ("```npm install```\n# Usage", [(0, "```npm install```"), (1, "# Usage")]),
        ("~~~ a`b\n# code\n~~~", [(0, "~~~ a`b\n# code\n~~~")]),
        (
            "words\n<!-- note\n# no heading\n-->\n# Real\n<!-- short -->\n# Too",
            [(0, "words"), (0, "<!-- note\n# no heading\n-->"), (1, "# Real"), (0, "<!-- short -->"), (1, "# Too")],
        ),
    ],
)
def test_markdown_lines_that_only_look_like_headings(file, source, blocks):
    assert [(e.heading, e.text) for e in read(file, source, "md")] == blocks


def test_markdown_without_tables_keeps_their_source(file):
    assert "".join(texts(file, MARKDOWN, "md", tables=False)).replace("\n", "") == MARKDOWN.replace("\n", "")


@given(
    st.lists(
        st.sampled_from(
            [
                "# a",
                "text",
                "",
                "|x|y|",
                "|-|-|",
                "```",
                "~~~~",
                "---",
                "- item",
                "    code",
                "|",
                "<!--",
                "-->",
                "a: b",
            ]
        )
    )
)
def test_markdown_loses_no_line(lines):
    from nemo_retriever_dagster.extract.markdown import markdown_elements

    elements = markdown_elements("\n".join(lines), ExtractOptions(tables=False))
    kept = [line for element in elements for line in element.text.split("\n") if line.strip()]
    assert kept == [line for line in lines if line.strip()]


def test_what_is_not_wanted_is_left_out(file):
    assert [e.kind for e in read(file, MARKDOWN, "md", text=False)] == [Kind.TABLE]
    assert read(file, "x", text=False) == []


def test_the_corpus(shared):
    folder = shared / "corpora/dev/files"
    for name, words in {
        "fake-text-utf-16-be.txt": "This is a test document to use for unit tests.",
        "fake-text-utf-32.txt": "This is a test document to use for unit tests.",
        "book-war-and-peace-1225p.txt": '"Well, Prince, so Genoa and Lucca are now just family estates of the',
        "test.md": "# Hello World!",
    }.items():
        options = ExtractOptions(format=name.rpartition(".")[2])
        pages = TextExtractor().extract(folder / name, options, Budget(Limits()))
        assert any(words in element.text for page in pages for element in page.elements)
