"""What is asked of a page's characters as arrays is what the patterns say one by one."""

import re

import pytest

from nemo_retriever_dagster.extract.pdf_codes import cell_starts, kinds_of, suspects, word_ends, words_of

_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufffe\ufeff]+[\ufffe\x02]?")
_MARKS = str.maketrans("\ufffe\x02", "\u00ad\u00ad")
_CELL = re.compile(r"(?<=[!-~][!-~])[A-Z](?=[!-~])|(?<=[!-~][A-Za-z)}])[0-9(](?=[!-~])")
_SIGN = re.compile(r"(?<=[A-Za-z])[@#$%&*+<=>^_`|~{}\[\]\\](?=[a-z])")

TEXTS = [
    "",
    " ",
    "a",
    "One word, then another.\r\nMMLUTruthfulQA GSM8K f(x) 3.14 iPhone",
    "broken\ufffe\r\nword and an\x02other \x02 one",
    "\u00a0thin\u2009blank\u3000wide\x1fcontrol\x07bell\ufeffmark\x85next",
    "Gira@e o@ice me@example.org A@B x{y}z a@",
    "caf\u00e9 na\u00efve \u4e2d\u6587 \U0001f600smile \U0001f600",
]


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_their_ends(text):
    kinds = kinds_of(text)
    firsts, lasts = word_ends(kinds)
    matches = list(_WORD.finditer(text))
    assert words_of(text, kinds, firsts, lasts) == [match[0].translate(_MARKS) for match in matches]
    assert firsts.tolist() == [match.start() for match in matches]
    assert [text[first : last + 1] for first, last in zip(firsts, lasts, strict=True)] == [
        match[0].rstrip("\ufffe\x02") for match in matches
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_places_of_cells_and_of_ligatures(text):
    kinds = kinds_of(text)
    assert cell_starts(kinds) == [match.start() for match in _CELL.finditer(text)]
    assert suspects(kinds) == [match.start() for match in _SIGN.finditer(text)]


def test_every_character_is_a_blank_where_the_pattern_says_so():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    firsts, lasts = word_ends(kinds_of(text))
    spans = [(match.start(), match.end() - match[0].endswith(("\ufffe", "\x02"))) for match in _WORD.finditer(text)]
    assert list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True)) == spans
