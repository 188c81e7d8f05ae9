"""Running heads and feet stand apart from the text they run over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract import layout_page
from nemo_retriever_dagster.extract.layout import Line
from nemo_retriever_dagster.extract.layout_page import Paper, arrange
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    import pytest

PAPER = Paper(number=1, size=(600.0, 800.0))


def line(text: str, x0: float, y0: float, order: int, *, size: float = 10.0) -> Line:
    return Line(text, Box(x0, y0, x0 + 0.5 * size * len(text), y0 + size), size, order=order)


def texts(lines: list[Line]) -> list[str]:
    return [element.text for element in arrange(lines, [], PAPER)]


def test_a_running_head_comes_first_though_the_text_starts_near_the_edge():
    body = [line(f"left column, line {i}, which goes on", 60, 62 + 13 * i, 2 + i) for i in range(40)]
    body += [line(f"right column, line {i}, which goes on", 320, 58 + 13 * i, 42 + i) for i in range(40)]
    found = texts([line("The name of it", 60, 26, 0, size=8), line("15 July", 500, 26, 1, size=8), *body])
    assert found[:2] == ["The name of it", "15 July"]
    assert found[-1].startswith("right column")


def test_a_head_that_no_blank_sets_off_is_text():
    body = [line(f"line {i} of the text, which goes on", 60, 40 + 13 * i, i) for i in range(50)]
    assert len(texts(body)) == 1


def test_the_foot_comes_last_though_it_stands_below_the_first_column():
    columns = [line(f"column {x}, line {i}, which goes on", x, 100 + 13 * i, 0) for x in (60, 320) for i in range(48)]
    body = [each._replace(order=1 + i) for i, each in enumerate(columns)]
    assert texts([line("- 7 -", 60, 780, 0, size=8), *body])[-1] == "- 7 -"


def test_a_paragraph_goes_on_below_a_row_that_wide_blanks_part():
    rows = [line("The digital voltage of the vessel", 60, 100 + 12 * i, i) for i in range(4)]
    row = [line(word, x, 148, 4 + i) for i, (word, x) in enumerate((("it", 60), ("supports", 88), ("the", 140)))]
    assert len(texts([*rows, *row, line("reservoir.", 60, 160, 7)])) == 1


def test_thousands_of_lines_near_the_edge_are_gone_through_a_few_times(monkeypatch: pytest.MonkeyPatch):
    passes = []
    real = layout_page._but
    monkeypatch.setattr(layout_page, "_but", lambda *given: passes.append(1) or real(*given))
    lines = [line("x", 60 + i % 400, 10 + i % 50, i) for i in range(6_000)] + [line("the text", 60, 64, 6_000)]
    assert "the text" in "\n".join(texts(lines))  # no blank sets any of them off
    assert 0 < len(passes) < 5
