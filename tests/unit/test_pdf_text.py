import pytest

from nemo_retriever_dagster.extract.pdf_text import is_garbage, repaired_text

PROSE = "The quick brown fox jumps over the lazy dog while the sun goes down behind the hills. "


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("one\r\ntwo", "one\ntwo"),
        ("repre\ufffesentation", "representation"),
        ("repre\x02\r\nsentation", "representation"),
        ("Jean\ufffePaul", "Jean-Paul"),
        ("\ufb01nd the \ufb02ow of e\ufb03cient sta\ufb00", "find the flow of efficient staff"),
        ("a\x00b\x10c", "abc"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("plain (ASCII) stays - as it is", "plain (ASCII) stays - as it is"),
        ("\u4e2d\u6587 \u0627\u0644", "\u4e2d\u6587 \u0627\u0644"),
        ("", ""),
    ],
)
def test_repairs(raw, expected):
    assert repaired_text(raw) == expected


def test_a_wrong_mapping_is_not_guessed_at():
    assert repaired_text("Gira@e in a home o@ice") == "Gira@e in a home o@ice"


@pytest.mark.parametrize(
    "text",
    [
        "\ufffd\ufffd \ufffd\ufffd a",
        "\ue001\ue002\ue003 \ue004",
        "\x01\x02\x03\x04\x05",
        "xkcd bcdf ghjk lmnp qrst " * 4,
    ],
)
def test_garbage_is_told(text):
    assert is_garbage(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        PROSE,
        "12.5 33.1 99\n4 5 6",
        "RTX 4090",
        "\u4e2d\u6587\u6587\u672c" * 20,
        PROSE + "\ue001 \ue002",
        "\u0421\u043b\u043e\u0432\u043e " * 20,
    ],
)
def test_text_is_not_taken_for_garbage(text):
    assert not is_garbage(text)
