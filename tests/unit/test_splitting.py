"""Splitting: what no piece may lose, whatever the text."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.splitting import Span, fit_bytes, sentence_windows, windows
from nemo_retriever_dagster.tokens import load_tokenizer

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("ab .!?\n\u0301\x00中。🎉")), max_size=120)
SIZES = st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))
PROSE = (
    "Milvus stores vectors. It was written by Dr. Smith et al. in 2019, e.g. for search! Does it scale? Yes.\n\n"
    "1. The second paragraph follows here.\nIt has two lines and ends soon.\n\nA short one."
)


class PiecesTokenizer:
    """A tokenizer of another kind: blanks are tokens or lead them, one character may be several tokens."""

    def spans(self, text):
        found = []
        for match in re.finditer(r" ?[^\W_]+|[ \t]+|\n+|[^\w\s]|_", text):
            times = 3 if match.group() > "\uffff" else 1
            found += [match.span()] * times
        return found


TOKENIZERS = [load_tokenizer(), PiecesTokenizer()]


def uncovered(text, pieces):
    covered = bytearray(len(text))
    for piece in pieces:
        covered[piece.start : piece.end] = b"\x01" * (piece.end - piece.start)
    return "".join(character for character, seen in zip(text, covered, strict=True) if not seen)


def check(text, pieces):
    assert not uncovered(text, pieces).strip()
    for piece in pieces:
        assert text[piece.start : piece.end] == text[piece.start : piece.end].strip() != ""
    for before, after in pairwise(pieces):
        assert before.start <= after.start
        assert before.end <= after.end


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("split", [windows, sentence_windows])
@given(text=TEXTS, sizes=SIZES)
@example(text="\u0301\x00 \x00", sizes=(1, 0))
@example(text="🎉🎉", sizes=(2, 1))
@settings(max_examples=150)
def test_nothing_is_lost_and_order_is_kept(tokenizer, split, text, sizes):
    pieces = split(text, tokenizer, *sizes)
    check(text, pieces)
    assert all(piece.tokens <= sizes[0] for piece in pieces)


@given(count=st.integers(1, 60), sizes=SIZES)
@settings(max_examples=100)
def test_windows_advance_by_size_minus_overlap(count, sizes):
    size, overlap = sizes
    text = "ab " * count
    pieces = windows(text, load_tokenizer(), size, overlap)
    assert [piece.start // 3 for piece in pieces] == list(range(0, max(count - overlap, 1), size - overlap))
    assert all(piece.tokens == size for piece in pieces[:-1])
    assert pieces[-1].end == len(text) - 1  # the last token is whole


def test_windows_of_a_known_text():
    text = "one two three four five"
    assert windows(text, load_tokenizer(), 3, 1) == [Span(start=0, end=13, tokens=3), Span(start=8, end=23, tokens=3)]
    assert windows(text, load_tokenizer(), 99, 0) == [Span(start=0, end=23, tokens=5)]


@pytest.mark.parametrize("split", [windows, sentence_windows])
@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_blank_text_has_no_pieces(split, text):
    assert split(text, load_tokenizer(), 5, 1) == []


@pytest.mark.parametrize("split", [windows, sentence_windows])
@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (5, 5), (5, -1)])
def test_impossible_sizes(split, size, overlap):
    with pytest.raises(InvalidOptionError, match=r"chunk_(size|overlap)"):
        split("text", load_tokenizer(), size, overlap)


def texts(text, pieces):
    return [text[piece.start : piece.end] for piece in pieces]


def test_sentences_stay_whole():
    """Initials, abbreviations and list numbers end no sentence."""
    assert texts(PROSE, sentence_windows(PROSE, load_tokenizer(), 20, 0)) == [
        "Milvus stores vectors.",
        "It was written by Dr. Smith et al. in 2019, e.g. for search!",
        "Does it scale? Yes.\n\n1. The second paragraph follows here.",
        "It has two lines and ends soon.\n\nA short one.",
    ]


def test_a_piece_ends_with_a_paragraph_where_it_is_half_full_by_then():
    pieces = texts(PROSE, sentence_windows(PROSE, load_tokenizer(), 45, 0))
    assert pieces == [PROSE[: PROSE.index("\n\n")], PROSE[PROSE.index("1.") :]]


def test_overlap_repeats_whole_sentences():
    text = "Alpha is one. Beta is two. Gamma is three. Delta is four."
    pieces = texts(text, sentence_windows(text, load_tokenizer(), 8, 4))
    assert pieces == ["Alpha is one. Beta is two.", "Beta is two. Gamma is three.", "Gamma is three. Delta is four."]


@given(
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=20),
    sizes=st.integers(4, 15).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
@settings(max_examples=200)
def test_a_sentence_that_fits_is_never_cut(lengths, sizes):
    size, overlap = sizes
    sentences = [" ".join(["It", *["goes"] * (length - 1)]) + "." for length in lengths]
    text = " ".join(sentences)
    pieces = sentence_windows(text, load_tokenizer(), size, overlap)
    check(text, pieces)
    start = 0
    for sentence, length in zip(sentences, lengths, strict=True):
        if length + 1 <= size:
            end = start + len(sentence)
            assert any(piece.start <= start and end <= piece.end for piece in pieces)
        start += len(sentence) + 1


def test_cjk_sentences_end_without_blanks():
    text = "今日は晴れです。明日は雨です。"
    assert texts(text, sentence_windows(text, load_tokenizer(), 8, 0)) == ["今日は晴れです。", "明日は雨です。"]


@given(text=TEXTS, limit=st.integers(4, 30))
@settings(max_examples=300)
def test_bytes_fit_and_nothing_is_lost(text, limit):
    pieces = fit_bytes(text, limit)
    check(text, pieces)
    assert all(len(text[p.start : p.end].encode("utf-8", "surrogatepass")) <= limit for p in pieces)
    assert all(a.end <= b.start for a, b in pairwise(pieces))


def test_bytes_are_cut_between_sentences_then_words():
    text = "One sentence is here. And another one is here too. End"
    assert texts(text, fit_bytes(text, 52)) == ["One sentence is here. And another one is here too.", "End"]
    assert texts(text, fit_bytes(text, 30)) == ["One sentence is here.", "And another one is here too.", "End"]
    assert texts("a" * 10, fit_bytes("a" * 10, 4)) == ["aaaa", "aaaa", "aa"]
    with pytest.raises(InvalidOptionError):
        fit_bytes("x", 3)


def test_a_text_that_fits_is_one_piece():
    text = "x" * 65_535
    assert fit_bytes(text, 65_535) == [Span(start=0, end=65_535)]
    assert len(fit_bytes(text + "x", 65_535)) == 2


@pytest.mark.parametrize("unit", [".", ". ", "\n", " ", "a.\n", '"', "a b ", "1."])
def test_hostile_repetition_takes_linear_time(unit):
    text = "x" + unit * 40_000 + "x"
    check(text, sentence_windows(text, load_tokenizer(), 254, 20))
    check(text, fit_bytes(text, 1000))
