"""From an HTML tree to elements: one walk without recursion that gathers text until a block begins or ends."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import CAPTION_PART
from nemo_retriever_dagster.extract.html_listings import (
    is_between_lines,
    is_line_number,
    is_link_to_place,
    is_listing,
    is_popup,
    listing_elements,
)
from nemo_retriever_dagster.extract.html_lists import BULLET, ItemCounter
from nemo_retriever_dagster.extract.html_math import math_text
from nemo_retriever_dagster.extract.html_style import BLOCKS, SEEN, Ink, ink_of, shown_value, stands_apart
from nemo_retriever_dagster.extract.html_tables import Row, is_grid, lines_of, rows_of, tables_of
from nemo_retriever_dagster.extract.tabular import table_element
from nemo_retriever_dagster.extract.text import paragraphs
from nemo_retriever_dagster.model import Element, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from selectolax.lexbor import LexborNode

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.html_picture import FindPicture

_LISTS = ("ul", "ol", "menu", "dir")
_CAPTIONS = ("caption", "figcaption")
_PICTURES = ("img", "image")  # HTML's and SVG's
_SOURCES = ("src", "href", "xlink:href")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLANKS = re.compile(r"\s+")
_BREAK = "\x00"  # cannot be in a normalised text
_INDENT = "\x01"  # nor this
_LONGEST_LIST = 4_000
_LONGEST_BLOCK = 5_000


class Blocks:
    """Gathers the elements of one tree: `read` its root, then `finish`."""

    def __init__(
        self, options: ExtractOptions, find_picture: FindPicture, *, in_cell: bool = False, ink: Ink = SEEN
    ) -> None:
        """Start with nothing; in a table's cell no table is looked for, and it inherits its row's ``ink``."""
        self._options = options
        self._find_picture = find_picture
        self._in_cell = in_cell
        self._inks = [ink]
        self._elements: list[Element] = []
        self._parts: list[str] = []
        self._lists: list[ItemCounter] = []
        self._heading = 0
        self._part = ""
        self._listings: list[int] = []
        self._only_alt = True
        self._marker = ""
        self._entering: dict[str, Callable[[LexborNode], None]] = {
            **dict.fromkeys(_HEADINGS, self._open_heading),
            **dict.fromkeys(_LISTS, self._open_list),
            "li": self._open_item,
            "br": self._break_line,
            "input": self._input,
            **dict.fromkeys(_PICTURES, self._picture),
            **dict.fromkeys(_CAPTIONS, self._open_caption),
        }

    def read(self, root: LexborNode) -> None:
        """Walk the subtree of ``root``."""
        node: LexborNode | None = root
        while node is not None:
            goes_in = self._enter(node)
            if goes_in and (child := node.first_child) is not None:
                node = child
                continue
            if goes_in:
                self._leave(node)
            node = self._after(node, root)

    def finish(self) -> list[Element]:
        """Return the elements in the order of the document."""
        self._flush()
        return self._elements

    def _after(self, node: LexborNode, root: LexborNode) -> LexborNode | None:
        while node.mem_id != root.mem_id:
            if (following := node.next) is not None:
                return following
            parent = node.parent
            assert parent is not None  # the root is above
            node = parent
            self._leave(node)
        return None

    def _enter(self, node: LexborNode) -> bool:
        """Take in what the node is; tell whether its children are to be read."""
        tag = node.tag
        if tag == "-text":
            self._read_text(node)
            return False
        ink = None if tag is None or tag.startswith("-") else ink_of(node, self._inks[-1])
        if tag is None or ink is None or self._is_beside(node):
            return False
        if tag == "table" and not self._in_cell and is_grid(node, rows := rows_of(node, ink)):
            self._table(node, rows)
            return False
        if tag == "math":
            self._formula(node, ink)
            return False
        self._inks.append(ink)
        if action := self._entering.get(tag):
            action(node)
        elif is_listing(node):
            self._open_listing(node)
        elif tag in BLOCKS:
            self._border()
        elif stands_apart(node):
            self._space()
        return True

    def _is_beside(self, node: LexborNode) -> bool:
        """Whether a node is a sign beside the text, or stands in front of it only while someone points at it."""
        if self._listings and is_popup(node):
            return True
        return is_link_to_place(node, in_heading=self._heading > 0)

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        self._inks.pop()
        if tag in _HEADINGS or tag in _CAPTIONS or is_listing(node):
            self._flush()
            self._heading, self._part = 0, ""
            if self._listings and self._listings[-1] == node.mem_id:
                self._listings.pop()
        elif tag == "li":
            self._marker = ""
            self._border()
        elif tag in _LISTS and self._lists:
            self._lists.pop()
            self._border()
        elif tag in {"td", "th"} or stands_apart(node) or is_line_number(node):
            self._space()
        elif tag in BLOCKS:
            self._border()

    def _read_text(self, node: LexborNode) -> None:
        text = node.text_content or ""
        if self._inks[-1].seen and not (self._listings and not text.strip() and is_between_lines(node)):
            self._say(text)

    def _say(self, text: str, *, alt: bool = False) -> None:
        if text.strip():
            self._only_alt = self._only_alt and alt
            self._mark()
        self._parts.append(text.replace("\n", _BREAK) if self._listings else text)

    def _formula(self, node: LexborNode, ink: Ink) -> None:
        if ink.seen:
            around = " " if node.attributes.get("display") == "block" else ""
            self._say(f"{around}{math_text(node)}{around}")

    def _mark(self) -> None:
        """Put an item's marker before its first text: not into code or a caption, and no bullet into a heading."""
        if not self._marker or self._listings or self._part:
            return
        if not self._heading:
            self._parts.append(_BREAK + _INDENT * (len(self._lists) - 1) + self._marker)
        elif self._marker != BULLET:
            self._parts.append(self._marker)
        self._marker = ""

    def _space(self) -> None:
        if self._parts and self._parts[-1][-1:] not in {" ", _BREAK}:
            self._parts.append(" ")

    def _border(self) -> None:
        """End a block: a line's end inside of a list, a heading or preformatted text, an element's end elsewhere."""
        if self._lists or self._in_cell or self._listings:
            if not self._marker and not (self._parts and self._parts[-1].endswith(_BREAK)):
                self._parts.append(_BREAK)
        elif self._heading:
            self._parts.append(" ")
        else:
            self._flush()

    def _flush(self) -> None:
        lines = "".join(self._parts).split(_BREAK)
        self._parts = []
        only_alt, self._only_alt = self._only_alt, True
        if self._listings:
            self._elements += listing_elements(lines) if self._options.text else ()
            return
        text = "\n".join(line for line in (_tidy(line) for line in lines) if line)
        if text.strip() and self._options.text:
            origin = Origin.ALT_TEXT if only_alt else Origin.NATIVE
            pieces = paragraphs(text) if len(text) > _LONGEST_BLOCK else [text]
            marks = {"part": self._part} if self._part else {}
            self._elements += [
                Element(kind=Kind.TEXT, text=piece, heading=self._heading, origin=origin, attributes=marks)
                for piece in pieces
            ]

    def _open_heading(self, node: LexborNode) -> None:
        self._flush()
        self._heading = _HEADINGS[node.tag or ""]

    def _open_listing(self, node: LexborNode) -> None:
        if not self._in_cell:
            self._flush()
            self._listings.append(node.mem_id)

    def _open_caption(self, _: LexborNode) -> None:
        self._flush()
        self._part = CAPTION_PART

    def _open_list(self, node: LexborNode) -> None:
        self._border()
        self._lists.append(ItemCounter(node))

    def _open_item(self, node: LexborNode) -> None:
        if not self._lists:
            self._border()
            return
        if sum(map(len, self._parts)) > _LONGEST_LIST:
            self._flush()
        self._marker = self._lists[-1].marker(node)

    def _break_line(self, _: LexborNode) -> None:
        self._parts.append(_BREAK)

    def _input(self, node: LexborNode) -> None:
        self._space()
        if self._inks[-1].seen and (value := shown_value(node)):
            self._say(value)

    def _picture(self, node: LexborNode) -> None:
        if not self._inks[-1].visible:
            return
        alt = (node.attributes.get("alt") or "").strip()
        source = next((found for name in _SOURCES if (found := node.attributes.get(name))), "")
        if (picture := self._find_picture(source, alt)) is not None:
            self._flush()
            self._elements.append(picture)
        elif alt:
            self._say(f" {alt} ", alt=True)

    def _table(self, node: LexborNode, rows: list[Row]) -> None:
        self._flush()
        if (caption := node.css_first("caption")) is not None:
            self.read(caption)
        pictures: list[Element] = []
        for table in tables_of(rows, lambda cell, ink: self._cell(cell, ink, pictures)):
            if self._options.tables:
                self._elements.append(table_element(table, self._options.table_format))
            elif self._options.text:
                self._elements.append(Element(kind=Kind.TEXT, text=lines_of(table)))
        self._elements += pictures

    def _cell(self, cell: LexborNode, ink: Ink, pictures: list[Element]) -> str:
        inside = Blocks(replace(self._options, text=True), self._find_picture, in_cell=True, ink=ink)
        inside.read(cell)
        elements = inside.finish()
        pictures += [element for element in elements if element.kind == Kind.IMAGE]
        return "\n".join(element.text for element in elements if element.kind == Kind.TEXT)


def _tidy(line: str) -> str:
    return _BLANKS.sub(" ", line).strip().replace(_INDENT, "  ")
