"""The style sheets of a drawing, as far as its text needs them: rules for one name, class or id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lxml.etree import _Element

_USED = frozenset(["display", "font-size", "opacity", "text-anchor", "visibility"])
_SELECTOR = re.compile(r"(\*|[\w-]*)(?:([.#])([\w-]+))?")
_BRACES = re.compile(r"([{}])")


class StyleSheet:
    """What the ``style`` elements of a drawing declare; rules under a condition (``@media``) are passed over."""

    def __init__(self, texts: Iterable[str]) -> None:
        """``texts`` are the style elements', in the order of the drawing."""
        self._rules: dict[tuple[str, str, str], dict[str, str]] = {}
        for text in texts:
            for selectors, body in _rules(text):
                used = {name: value for name, value in declarations(body).items() if name in _USED}
                for selector in selectors.split(",") if used else ():
                    if (parts := _SELECTOR.fullmatch(selector.strip())) is not None:
                        key = parts[1].strip("*"), parts[2] or "", parts[3] or ""
                        self._rules.setdefault(key, {}).update(used)

    def declared(self, node: _Element, name: str, *, tag: str) -> str:
        """Return a property that a rule sets for a node: of an id before a class, of a class before a name."""
        if not self._rules:
            return ""
        marks = [("#", node.get("id", "")), *((".", one) for one in str(node.get("class", "")).split()), ("", "")]
        for kind, value in marks:
            for element in (tag, ""):
                if found := self._rules.get((element, kind, value), {}).get(name):
                    return found
        return ""


def declarations(text: str) -> dict[str, str]:
    """Return the properties that a ``style`` attribute or the body of a rule sets."""
    pairs = (part.partition(":") for part in text.split(";"))
    return {name.strip(): value.partition("!")[0].strip() for name, _, value in pairs}


def _rules(text: str) -> Iterator[tuple[str, str]]:
    """Yield selectors and body of each rule that stands under no other."""
    before, *comments = text.split("/*")
    plain = before + "".join(comment.partition("*/")[2] for comment in comments)
    depth = 0
    selectors = ""
    for piece in _BRACES.split(plain):
        if piece in {"{", "}"}:
            depth = max(0, depth + (1 if piece == "{" else -1))
        elif depth == 0:
            selectors = piece.rpartition(";")[2].strip()
        elif depth == 1 and not selectors.startswith("@"):
            yield selectors, piece
