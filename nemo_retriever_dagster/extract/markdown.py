"""Markdown source to elements: its blocks, found line by line in linear time; inline marks stay as written.

Front matter and comments are blocks of their own: what they hold is no heading, though it may look like one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.tabular import row_groups
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.extract.contract import ExtractOptions

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_SIGNATURE = "-- "
_BREAK = re.compile(r" {0,3}([-*_])[ \t]*+(?:\1[ \t]*+){2,}+$")
_NO_TITLE = re.compile(r"[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$))| {4}|\t")
"""List item, quote, indented line: dashes below one are a thematic break."""
_COMMENT = re.compile(r" {0,3}<!--")
_COMMENT_END = re.compile("-->")
_FRONT = re.compile(r"---[ \t]*$")
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$")
_FIELD = re.compile(r"[^\s:#][^:]*:(?:[ \t]|$)")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_WIDEST = 1_000


class _Block(NamedTuple):
    lines: list[str]
    heading: int = 0
    table: bool = False


def markdown_elements(text: str, options: ExtractOptions) -> list[Element]:
    """Return headings (with their level), tables, fenced code (whole) and the paragraphs between them."""
    return [element for block in _blocks(text.split("\n")) for element in _elements(block, options)]


def _elements(block: _Block, options: ExtractOptions) -> Iterator[Element]:
    if block.table and options.tables:
        rows = (_cells(line) for place, line in enumerate(block.lines) if place != 1)
        yield from row_groups(rows, options.table_format, headers=1)
    else:
        yield Element(kind=Kind.TEXT, text="\n".join(block.lines).rstrip(), heading=block.heading)


def _blocks(lines: list[str]) -> Iterator[_Block]:
    place = _front_matter_end(lines)
    if place:
        yield _Block(lines[:place])
    while place < len(lines):
        block = _block_at(lines, place)
        place += len(block.lines)
        if any(line.strip() for line in block.lines):
            yield block


def _front_matter_end(lines: list[str]) -> int:
    """Return where the text behind the YAML header begins, 0 where there is none."""
    if not _FRONT.match(lines[0]):
        return 0
    first = next((line for line in lines[1:] if not line.startswith("#")), "")
    empty = _FRONT_END.match(first)
    return (_end(lines, 1, _FRONT_END) or 0) if empty or _FIELD.match(first) else 0


def _block_at(lines: list[str], start: int) -> _Block:
    line = lines[start]
    if fence := _FENCE.match(line):
        return _Block(lines[start : _end(lines, start + 1, _fence_end(fence[1]))])
    if heading := _HEADING.match(line):
        return _Block([line], heading=len(heading[1]))
    if _COMMENT.match(line):
        return _Block(lines[start : _end(lines, start, _COMMENT_END)])
    if not line.strip() or _BREAK.match(line):
        return _Block([line])
    if _starts_table(lines, start):
        return _Block(lines[start : _table_end(lines, start)], table=True)
    return _paragraph(lines, start)


def _end(lines: list[str], start: int, closing: re.Pattern[str]) -> int | None:
    """Return the place behind the first line that closes a block, None where none does: it reaches to the end."""
    return next((place + 1 for place in range(start, len(lines)) if closing.search(lines[place])), None)


def _fence_end(fence: str) -> re.Pattern[str]:
    return re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")


def _paragraph(lines: list[str], start: int) -> _Block:
    end = start + 1
    may_be_title = not _NO_TITLE.match(lines[start])
    while end < len(lines) and lines[end].strip():
        underline = _UNDERLINE.match(lines[end]) if may_be_title and lines[end] != _SIGNATURE else None
        if underline:
            heading = 1 if underline[1][0] == "=" else 2
            return _Block(lines[start : end + 1], heading=heading)
        if _interrupts(lines, end):
            break
        may_be_title = may_be_title and not _NO_TITLE.match(lines[end])
        end += 1
    return _Block(lines[start:end])


def _interrupts(lines: list[str], place: int) -> bool:
    marks = (_FENCE, _HEADING, _COMMENT, _BREAK)
    return any(mark.match(lines[place]) for mark in marks) or _starts_table(lines, place)


def _starts_table(lines: list[str], start: int) -> bool:
    if "|" not in lines[start] or start + 1 == len(lines) or "|" not in lines[start + 1]:
        return False
    width = len(_cells(lines[start]))
    return width <= _WIDEST and bool(_DELIMITER.match(lines[start + 1])) and width == len(_cells(lines[start + 1]))


def _table_end(lines: list[str], start: int) -> int:
    end = start + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(line)]
