"""Scanned pages that lie on their side or stand on their head: laid out upright, boxes on the page as it is."""

import asyncio

import pytest
from test_recognise import Reader, grid
from test_recognise_tilt import SIZE, encoded, page_of_lines, turned

from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Element, Kind, Word
from nemo_retriever_dagster.recognise import recognise
from nemo_retriever_dagster.recognise.tilt import leaning
from nemo_retriever_dagster.recognise.turn import turns_of

ROWS = [["Country", "Capital", "Rivers"], ["France", "Paris", "Seine"], ["Austria", "Vienna", "Danube"]]
PROSE = ["Seven wizards watch quietly", "from behind the old mill", "near the river bank today"]


def written() -> list[Word]:
    """Words of an upright page in reading order: three lines, a table."""
    lines = [
        Word(text=word, box=Box(x, y, x + 11 * len(word), y + 20))
        for y, line in zip((100, 130, 160), PROSE, strict=True)
        for x, word in zip((80, 200, 320, 440, 560), line.split(), strict=False)
    ]
    return [*lines, *grid(100, 400, ROWS, dx=200, dy=40)]


def lying(words: list[Word], turns: int) -> list[Word]:
    """The words on a page that takes ``turns`` quarter turns to the left to be upright."""
    size = SIZE[::-1] if turns % 2 else SIZE
    return [Word(text=word.text, box=word.box.turned_back(turns, *size)) for word in words]


def recognised(page: Page, words: list[Word]) -> tuple[Element, ...]:
    assert page.size is not None
    reader = Reader({(int(page.size[0]), int(page.size[1])): words})
    return asyncio.run(recognise(page, ExtractOptions(format="png", tables=True), Engines(ocr=reader)))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_words_tell_which_way_up_the_page_is(turns: int) -> None:
    assert turns_of(lying(written(), turns)) == turns


def test_words_that_run_to_the_left_by_their_script_do_not_turn_the_page() -> None:
    texts = ["\u05e9\u05dc\u05d5\u05dd", "\u05e2\u05d5\u05dc\u05dd", "\u05d9\u05e4\u05d4", "PDF"]
    line = [Word(text=text, box=Box(500 - 100 * i, 0, 580 - 100 * i, 20)) for i, text in enumerate(texts)]
    assert turns_of(line * 3) == 0


def test_whole_lines_under_each_other_do_not_turn_the_page() -> None:
    lines = [Word(text=text, box=Box(80, 30 * y, 400, 30 * y + 20)) for y, text in enumerate(PROSE)]
    assert turns_of(lines) == turns_of([]) == turns_of(lines[:1]) == 0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_page_is_laid_out_upright_and_its_boxes_lie_as_it_does(turns: int) -> None:
    size = SIZE[::-1] if turns % 2 else SIZE
    scan = encoded(page_of_lines().rotate(-90 * turns, expand=True))
    stamp = Element(kind=Kind.IMAGE, page=1, box=Box(30, 30, 90, 60), picture=scan)
    page = Page(number=1, total=1, size=size, elements=(stamp,), scan=scan, needs_ocr=True)
    upright = Page(number=1, total=1, size=SIZE, scan=turned(0), needs_ocr=True)
    found = recognised(page, lying(written(), turns))
    wanted = recognised(upright, written())
    assert [one for one in found if one.kind is Kind.IMAGE] == [stamp]
    made = [one for one in found if one.kind is not Kind.IMAGE]
    assert [(one.kind, one.text) for one in made] == [(one.kind, one.text) for one in wanted]
    assert Kind.TABLE in {one.kind for one in made}
    assert {one.page_size for one in made} == {size}
    for one, other in zip(made, wanted, strict=True):
        assert one.box is not None
        assert other.box is not None
        assert one.box == pytest.approx(other.box.turned_back(turns, *size))
        shown, like = one.picture, other.picture
        assert (shown is None) == (like is None)
        assert shown is None or like is None or (shown.width, shown.height) == (like.width, like.height)


def test_a_page_on_its_side_that_leans_is_set_upright_too() -> None:
    scan = encoded(page_of_lines().rotate(3, fillcolor=255).rotate(-90, expand=True))
    page = Page(number=1, total=1, size=SIZE[::-1], scan=scan, needs_ocr=True)
    leaning_words = [Word(text=word.text, box=leaning(word.box, 3, SIZE)) for word in written()]
    found = recognised(page, lying(leaning_words, 1))
    straight = recognised(Page(number=1, total=1, size=SIZE, scan=turned(0), needs_ocr=True), written())
    assert [one.text for one in found] == [one.text for one in straight]
    for one, other in zip(found, straight, strict=True):
        assert one.box is not None
        assert other.box is not None
        wanted = leaning(other.box, 3, SIZE).turned_back(1, *SIZE[::-1])
        assert one.box == pytest.approx(wanted, abs=40)
