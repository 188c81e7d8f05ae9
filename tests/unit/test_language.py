"""The language of a text, as results and rows tell it."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.language import UNKNOWN, language_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en"),
        ("Der Ofen ist auf 200 Grad vorzuheizen.", "de"),
        ("Le contrat est résilié.", "fr"),
        ("Это русский текст", "ru"),
        ("これは日本語の文章です", "ja"),
        ("这是一个测试文档", "zh-cn"),
        ("這是一個測試文檔", "zh-tw"),
        ("IMPORTANT NOTICE TO CUSTOMERS", "en"),
    ],
)
def test_a_sentence_is_told(text: str, code: str) -> None:
    assert language_of(text) == code


@pytest.mark.parametrize("text", ["", "  \n", "3.14 2.71", "Hello", "Table 1", "def f(x):\n    return x + 1"])
def test_what_is_too_short_or_no_language_is_unknown(text: str) -> None:
    assert language_of(text) == UNKNOWN


def test_a_long_text_is_told_by_its_beginning() -> None:
    first = "Der Ofen ist auf 200 Grad vorzuheizen. " * 120
    assert language_of(first + "The pump is to be serviced every year. " * 1000) == "de"


def test_half_a_character_is_no_error() -> None:
    assert language_of("Der Ofen ist vorzuheizen, sonst wird das Brot nicht gut \ud83d") == "de"
