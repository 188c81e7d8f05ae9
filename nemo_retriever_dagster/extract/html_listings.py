"""Listings in HTML, and the signs that the makers of manuals put beside text: numbers of lines, links to the place.

Known by what the makers write (Doxygen, Sphinx, javadoc, rustdoc, Haddock): the style sheets that set these things
apart, or hide them until someone points at them, are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.captions import LISTING_PART
from nemo_retriever_dagster.extract.text import paragraphs
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

_OF_DOXYGEN, _POPUP = "fragment", "ttc"
_LINE_NUMBERS = frozenset(["lineno", "linenos", "line-number", "linenumber", "source-line-no", "sourceLineNo"])
_LINKS_TO_PLACE = frozenset(["headerlink", "permalink", "selflink", "hash-link", "doc-anchor", "anchor", "mark"])
_SIGNS_OF_PLACE = frozenset("\u00b6\u00a7#\U0001f517")
_LONGEST = 5_000


def is_listing(node: LexborNode) -> bool:
    """Whether line ends and blanks inside of an element are meant as they are written."""
    return node.tag == "pre" or (node.tag == "div" and _OF_DOXYGEN in _classes(node))


def is_between_lines(node: LexborNode) -> bool:
    """Whether a text node stands between the lines of Doxygen's, which are elements: blanks there are not shown."""
    parent = node.parent
    return parent is not None and parent.tag == "div" and is_listing(parent)


def is_popup(node: LexborNode) -> bool:
    """Whether an element in a listing is what Doxygen shows while the mouse is on a name."""
    return node.tag == "div" and _POPUP in _classes(node)


def is_line_number(node: LexborNode) -> bool:
    """Whether an element in a listing is the number of a line."""
    return node.tag in {"span", "a"} and not _LINE_NUMBERS.isdisjoint(_classes(node))


def is_link_to_place(node: LexborNode, *, in_heading: bool) -> bool:
    """Whether a link leads to where it stands and is but a sign, as behind the headings of manuals."""
    if node.tag != "a" or "#" not in (node.attributes.get("href") or ""):
        return False
    named = in_heading or not _LINKS_TO_PLACE.isdisjoint(_classes(node))
    return named and node.text().strip() in _SIGNS_OF_PLACE


def listing_elements(lines: list[str]) -> Iterator[Element]:
    """Yield a listing, a very long one in pieces: all but the first say that they go on."""
    text = "\n".join(line.replace("\u00a0", " ").rstrip() for line in lines).strip("\n")
    if text.strip():
        for place, piece in enumerate(paragraphs(text) if len(text) > _LONGEST else [text]):
            marks = {"part": LISTING_PART, **({"goes_on": True} if place else {})}
            yield Element(kind=Kind.TEXT, text=piece, attributes=marks)


def _classes(node: LexborNode) -> list[str]:
    return (node.attributes.get("class") or "").split()
