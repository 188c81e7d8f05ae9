"""Lists of HTML: what stands before each item, counted as a browser counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.docx_styles import count_shown

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

BULLET = "- "
_NUMBER = re.compile(r"\s*([-+]?[0-9]{1,6})(?![0-9])")
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}


class ItemCounter:
    """Counts the items of one list."""

    def __init__(self, node: LexborNode) -> None:
        """``node`` is the list."""
        attributes = node.attributes
        self._ordered = node.tag == "ol"
        self._type = attributes.get("type")
        self._step = -1 if "reversed" in attributes else 1
        first = sum(child.tag == "li" for child in node.iter()) if self._step < 0 else 1
        self._next = _number(attributes.get("start"), first)

    def marker(self, item: LexborNode) -> str:
        """Return the marker of the list's next item, with a blank behind it."""
        if not self._ordered:
            return BULLET
        attributes = item.attributes
        count = _number(attributes.get("value"), self._next)
        self._next = count + self._step
        return count_shown(count, _FORMS.get(attributes.get("type") or self._type or "", "decimal")) + ". "


def _number(text: str | None, otherwise: int) -> int:
    found = _NUMBER.match(text or "")
    return int(found[1]) if found else otherwise
