"""Word's fields (IF, REF, TOC, form fields): what of them is an instruction, and unseen, and what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml.etree import iterwalk

from nemo_retriever_dagster.extract.ooxml import attribute, every, first, number, q, switch

if TYPE_CHECKING:
    from lxml.etree import _Element

_MARK = q("w:fldChar")
_BRANCHES = {q("mc:Choice"), q("mc:Fallback")}
_ELSEWHERE = {q("w:txbxContent"), q("w:del"), q("w:moveFrom")}
"""A story of its own, and what is not read."""
_TICKED, _EMPTY = "\u2612", "\u2610"


@dataclass(slots=True)
class _Open:
    """A field that has begun: whether what stands in it now is shown, and whether its result will be."""

    shown: bool = False
    has_result: bool = True


class Fields:
    """Where the reading of one story stands in its fields; they nest, and reach across runs and paragraphs."""

    def __init__(self, story: _Element) -> None:
        """Find the fields below ``story`` that have an end; the marks of others are passed over."""
        self._marks = _complete(story)
        self._open: list[_Open] = []
        self._unshown = 0

    @property
    def shows(self) -> bool:
        """Whether text at this place is seen: it stands in no field's instruction."""
        return not self._unshown

    def meet(self, mark: _Element) -> str:
        """Go past a ``w:fldChar``; return the text that a form field begins with: its box, or what was chosen."""
        if mark not in self._marks:
            return ""
        kind = attribute(mark, "w:fldCharType")
        if kind == "begin":
            value = _form_value(mark)
            shown = (value or "") if self.shows else ""
            self._open.append(_Open(has_result=value is None))
            self._unshown += 1
            return shown
        if kind == "separate" and self._open[-1].has_result:
            self._open[-1].shown = True
            self._unshown -= 1
        elif kind == "end":
            self._unshown -= not self._open.pop().shown
        return ""


def _complete(story: _Element) -> set[_Element]:
    """Return the marks of all fields that are begun and ended."""
    found: set[_Element] = set()
    open_fields: list[list[_Element]] = []
    for mark in _marks(story):
        kind = attribute(mark, "w:fldCharType")
        if kind == "begin":
            open_fields.append([mark])
        elif open_fields and kind == "separate" and len(open_fields[-1]) == 1:
            open_fields[-1].append(mark)
        elif open_fields and kind == "end":
            found.update(open_fields.pop(), [mark])
    return found


def _marks(story: _Element) -> list[_Element]:
    """Return the marks in the order of the document, each once where Word writes two alternatives."""
    found = []
    walk = iterwalk(story, events=("start",), tag=(_MARK, *_ELSEWHERE, *_BRANCHES))
    for _, node in walk:
        if node.tag == _MARK:
            found.append(node)
        elif node is not story and (node.tag in _ELSEWHERE or node.getprevious() is not None):
            walk.skip_subtree()
    return found


def _form_value(begin: _Element) -> str | None:
    """Return what a check box or a list shows, which stands in no run; None for every other field."""
    box = first(begin, "w:ffData/w:checkBox")
    if box is not None:
        checked = switch(first(box, "w:checked"))
        return _TICKED if (switch(first(box, "w:default")) if checked is None else checked) else _EMPTY
    choices = first(begin, "w:ffData/w:ddList")
    if choices is None:
        return None
    chosen = first(choices, "w:result")
    place = number(attribute(first(choices, "w:default") if chosen is None else chosen, "w:val"))
    entries = [attribute(entry, "w:val") for entry in every(choices, "w:listEntry")]
    return entries[place] if 0 <= place < len(entries) else ""
