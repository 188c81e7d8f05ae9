"""What a Word document's styles and numbering say: heading levels, and the marker that stands before a list item."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import attribute, every, first, number, switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

BULLET = "-"
"""The marker of an item that is not counted."""
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_NAMED = {"title": 1, "subtitle": 2}
_CAPTION = "caption"
_LISTINGS = frozenset(["html preformatted", "preformatted text", "source code", "code", "code block", "macro"])
"""Word's own, LibreOffice's, pandoc's, and what people call theirs."""
_DEEPEST = 9
_LONGEST_CHAIN = 100
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_ROMAN_ENDS = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
_LETTERS = 26
_COUNT_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class Style:
    """A style of paragraphs or of text as far as it matters here."""

    name: str
    based_on: str
    properties: _Element | None
    text: _Element | None


class Styles:
    """The styles of a document by id; one that is not defined says nothing."""

    def __init__(self, root: _Element | None) -> None:
        """Read ``styles.xml``, None where the document has none."""
        self._styles = {attribute(node, "w:styleId"): _style(node) for node in every(root, "w:style")}
        self._vanishing: dict[str, bool] = {}

    def heading(self, paragraph: _Element | None) -> int:
        """Return the level of a paragraph with these properties (``w:pPr``): 1 is a title, 0 is no heading."""
        own = _outline(paragraph)
        if own is not None:
            return own
        for style in self._chain(attribute(first(paragraph, "w:pStyle"), "w:val")):
            level = _named_level(style.name) or _outline(style.properties)
            if level is not None:
                return level
        return 0

    def is_caption(self, paragraph: _Element | None) -> bool:
        """Tell whether a paragraph with these properties is set as the caption of a table or figure."""
        return self._is_named(paragraph, frozenset([_CAPTION]))

    def is_listing(self, paragraph: _Element | None) -> bool:
        """Tell whether a paragraph with these properties is set as a line, or as lines, of a listing."""
        return self._is_named(paragraph, _LISTINGS)

    def _is_named(self, paragraph: _Element | None, names: frozenset[str]) -> bool:
        style_name = attribute(first(paragraph, "w:pStyle"), "w:val")
        return any(style.name in names for style in self._chain(style_name))

    def list_place(self, paragraph: _Element | None) -> tuple[str, int]:
        """Return the numbering (``w:numId``) and the level of a list item; ("", 0) for an ordinary paragraph."""
        style_name = attribute(first(paragraph, "w:pStyle"), "w:val")
        sources = [paragraph, *(style.properties for style in self._chain(style_name))]
        places = [place for source in sources if (place := first(source, "w:numPr")) is not None]
        for place in places:
            found = attribute(first(place, "w:numId"), "w:val")
            if found:
                levels = [attribute(first(other, "w:ilvl"), "w:val") for other in places]
                return ("" if found == "0" else found), number(next((level for level in levels if level), "0"))
        return "", 0

    def hides(self, text: _Element | None, paragraph: _Element | None) -> bool:
        """Tell whether text with these properties (``w:rPr``) is hidden in a paragraph with those (``w:pPr``)."""
        own = switch(first(text, "w:vanish"))
        if own is not None:
            return own
        names = (attribute(first(text, "w:rStyle"), "w:val"), attribute(first(paragraph, "w:pStyle"), "w:val"))
        by_text, by_paragraph = (self._vanishes(name) for name in names)
        return by_text != by_paragraph  # Word's rule: where the styles of both hide, they undo each other

    def _vanishes(self, name: str) -> bool:
        if name not in self._vanishing:
            said = (switch(first(style.text, "w:vanish")) for style in self._chain(name))
            self._vanishing[name] = next((value for value in said if value is not None), False)
        return self._vanishing[name]

    def _chain(self, name: str) -> Iterator[Style]:
        seen: set[str] = set()
        while name in self._styles and name not in seen and len(seen) < _LONGEST_CHAIN:
            seen.add(name)
            yield self._styles[name]
            name = self._styles[name].based_on


def _style(node: _Element) -> Style:
    name = attribute(first(node, "w:name"), "w:val")
    based_on = attribute(first(node, "w:basedOn"), "w:val")
    return Style(name.lower(), based_on, first(node, "w:pPr"), first(node, "w:rPr"))


def _named_level(name: str) -> int | None:
    match = _HEADING.fullmatch(name)
    return int(match[1]) if match else _NAMED.get(name)


def _outline(properties: _Element | None) -> int | None:
    """Return 1.. for an outline level, 0 for body text (9), None where nothing is said."""
    node = first(properties, "w:outlineLvl")
    if node is None:
        return None
    level = number(attribute(node, "w:val"), _DEEPEST)
    return level + 1 if 0 <= level < _DEEPEST else 0


@dataclass(slots=True)
class Level:
    """How one level of a list is marked; ``legal`` writes the counters of all levels in plain digits."""

    form: str = "bullet"
    text: str = ""
    start: int = 1
    legal: bool = False


@dataclass(slots=True)
class _List:
    """A list: its levels, where the counting stands, and the counters that its first item sets back."""

    levels: dict[int, Level]
    counts: dict[int, int] = field(default_factory=dict)
    restarts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """The lists of a document and where their counting stands; ask in the order of the document."""

    def __init__(self, root: _Element | None) -> None:
        """Read ``numbering.xml``, None where the document has none."""
        shared = _shared_lists(root)
        self._lists: dict[str, _List] = {}
        for node in every(root, "w:num"):
            base = shared.get(attribute(first(node, "w:abstractNumId"), "w:val"), _List({}))
            levels = {place: level for override in every(node, "w:lvlOverride") for place, level in _levels(override)}
            own = replace(base, levels=base.levels | levels, restarts=dict(_restarts(node)))
            self._lists[attribute(node, "w:numId")] = own

    def marker(self, name: str, level: int) -> str:
        """Count one item of list ``name`` and return its marker: ``-``, ``3.``, ``2.1``, ``(b)``; "" for no marker."""
        found = self._lists.get(name)
        if found is None:
            return BULLET
        found.counts.update({place: start - 1 for place, start in found.restarts.items()})
        found.restarts = {}
        shape = found.levels.get(level, Level())
        found.counts[level] = found.counts.get(level, shape.start - 1) + 1
        for deeper in [place for place in found.counts if place > level]:
            del found.counts[deeper]
        if shape.form == "bullet":
            return BULLET
        return re.sub(r"%(\d)", lambda match: _shown(found, int(match[1]) - 1, legal=shape.legal), shape.text).strip()


def _shared_lists(root: _Element | None) -> dict[str, _List]:
    """Return the lists by ``w:abstractNumId``; one that only names a list style is the list of that style."""
    nodes = {attribute(node, "w:abstractNumId"): node for node in every(root, "w:abstractNum")}
    lists = {name: _List(dict(_levels(node))) for name, node in nodes.items()}
    of_style = {attribute(first(node, "w:styleLink"), "w:val"): lists[name] for name, node in nodes.items()}
    links = {name: attribute(first(node, "w:numStyleLink"), "w:val") for name, node in nodes.items()}
    return {name: of_style.get(links[name], own) if links[name] else own for name, own in lists.items()}


def _levels(node: _Element) -> Iterator[tuple[int, Level]]:
    for level in every(node, "w:lvl"):
        yield (
            number(attribute(level, "w:ilvl")),
            Level(
                form=attribute(first(level, "w:numFmt"), "w:val", "decimal"),
                text=attribute(first(level, "w:lvlText"), "w:val"),
                start=number(attribute(first(level, "w:start"), "w:val"), 1),
                legal=bool(switch(first(level, "w:isLgl"))),
            ),
        )


def _restarts(node: _Element) -> Iterator[tuple[int, int]]:
    for override in every(node, "w:lvlOverride"):
        start = first(override, "w:startOverride")
        if start is not None:
            yield number(attribute(override, "w:ilvl")), number(attribute(start, "w:val"), 1)


def _shown(found: _List, level: int, *, legal: bool) -> str:
    shape = found.levels.get(level, Level("decimal"))
    form = "decimal" if legal and shape.form != "none" else shape.form
    return count_shown(found.counts.get(level, shape.start), form)


def count_shown(count: int, form: str) -> str:
    """Return a list counter in Word's form: ``lowerLetter`` 3 is ``c``, ``upperRoman`` 4 is ``IV``."""
    if not 0 < count < _COUNT_LIMIT or form == "none":
        return "" if form == "none" else str(count)
    if form in {"lowerLetter", "upperLetter"}:
        letter = chr(ord("a") + (count - 1) % _LETTERS) * (1 + (count - 1) // _LETTERS)
        return letter.upper() if form.startswith("upper") else letter
    if form in {"lowerRoman", "upperRoman"}:
        return _roman(count).upper() if form.startswith("upper") else _roman(count)
    return f"{count:02d}" if form == "decimalZero" else str(count)


def _roman(count: int) -> str:
    shown = ""
    for value, letters in (*_ROMAN, *_ROMAN_ENDS):
        times, count = divmod(count, value)
        shown += letters * times
    return shown
