"""A linear look at HTML before it is parsed: parsers need quadratic time for deep nesting, so depth comes first."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_retriever_dagster.limits import Budget

TAG = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][^\s/>]*))")
"""Where a comment (1) begins, or an end tag (2) or a start tag with its name (3)."""
_ATTRIBUTE = r"""[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
REST_OF_TAG = re.compile(rf"(?:[\s/]++|{_ATTRIBUTE})*+>")
"""A tag from behind its name to its end."""
_RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}
"""Name -> the end tag of an element that holds text only, whatever tags stand in it."""
_FLAT = frozenset(
    [
        "html",
        "head",
        "body",
        "p",
        "li",
        "dt",
        "dd",
        "a",
        "nobr",
        "button",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "br",
        "hr",
        "img",
        "embed",
        "meta",
        "area",
        "base",
        "col",
        "input",
        "link",
        "param",
        "source",
        "track",
        "wbr",
        "option",
        "optgroup",
        "tr",
        "td",
        "th",
        "thead",
        "tbody",
        "tfoot",
        "colgroup",
        "caption",
        "rb",
        "rt",
        "rp",
        "rtc",
    ]
)
"""HTML elements without content, and those that do not nest by themselves: the next of their kind ends them, or an
element that is counted stands between them."""
_FLAT_IN_FOREIGN = frozenset(
    [
        "html",
        "head",
        "body",
        "p",
        "li",
        "dt",
        "dd",
        "a",
        "nobr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "br",
        "hr",
        "img",
        "embed",
        "meta",
    ]
)
"""The same inside of SVG and MathML, where the other names are ordinary elements that nest."""
_FOREIGN = ("svg", "math")


def check_depth(text: str, budget: Budget) -> None:
    """Raise `LimitExceededError` as soon as tags are open more than ``depth`` levels; one pass over the tags."""
    opened: Counter[str] = Counter()
    depth = place = 0
    while tag := TAG.search(text, place):
        if tag[1]:
            place = text.find("-->", tag.end()) + 3
            if place < 3:  # noqa: PLR2004 -- not found: the rest is a comment
                return
            continue
        rest = REST_OF_TAG.match(text, tag.end())
        if rest is None:
            return  # a tag that is never closed is dropped, with all that follows
        place = rest.end()
        name = tag[3].lower()
        foreign = any(opened[root] for root in _FOREIGN)
        if name in (_FLAT_IN_FOREIGN if foreign else _FLAT) or (foreign and closes_itself(text, place)):
            continue
        if name in RAW_END and not foreign and not tag[2]:
            end = RAW_END[name].search(text, place)
            if end is None:
                return
            place = end.end()
            continue
        step = -1 if tag[2] else 1
        if step > 0 or opened[name]:
            opened[name] += step
            depth += step
            budget.check("depth", depth)


def closes_itself(text: str, end: int) -> bool:
    """Whether a tag ends in ``/>`` that is not part of an attribute's bare value."""
    if text[end - 2] != "/":
        return False
    word = text[max(0, end - 200) : end - 2].rpartition("<")[2]
    bare = word[max(word.rfind(blank) for blank in " \t\n\"'") + 1 :]
    return "=" not in bare
