"""What a browser's own style sheet makes of a node: laid out or not, a block or not, its text seen or not.

The names are those of the HTML standard ("Rendering"). Of a page's own styles those written on the elements count;
style sheets are not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nemo_retriever_dagster.extract.html_math import is_drawn_twin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selectolax.lexbor import LexborNode

BLOCKS = frozenset(
    [
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "header", "hgroup", "hr"),
        *("html", "legend", "main", "nav", "optgroup", "option", "p", "search", "section", "select", "summary"),
        *("table", "tbody", "tfoot", "thead", "tr", "td", "th", "textarea"),
    ]
)
"""Elements that stand apart from the text before and after them."""
_APART = frozenset(["button", "input", "text", "foreignObject"])
_WRITTEN_IN = frozenset(
    [
        *("", "text", "search", "tel", "url", "email", "number"),
        *("date", "month", "week", "time", "datetime-local", "button", "submit", "reset"),
    ]
)
"""Types of ``input`` that show their value as it is."""
_UNSEEN = frozenset(
    ["head", "title", "script", "style", "template", "noscript", "noembed", "noframes", "param", "datalist"]
)
_READINGS = frozenset(["rp", "rt", "rtc"])
"""How signs are spoken (ruby): shown above them in small type; no format here has them in its text."""
_EMBEDDED = frozenset(["audio", "canvas", "embed", "iframe", "video"])
_UNSEEN_IN_DRAWING = frozenset(["clipPath", "defs", "desc", "marker", "mask", "metadata", "pattern", "symbol"])
_WHOLE_PAGE = frozenset(["html", "body"])
_ROWS = frozenset(["tr", "tbody", "thead", "tfoot"])
_ZERO = re.compile(r"\+?(?:0++\.?+0*+|\.0++)(?:[a-z]++|%)?")
_OF_PARENT = re.compile(r"[\d.]++(?:em|ex|ch|%)|smaller|larger|inherit|unset")


class Ink(NamedTuple):
    """What a node inherits of whether its text can be seen: its visibility, and a type size above zero."""

    visible: bool = True
    sized: bool = True
    in_drawing: bool = False
    """Whether names mean what they mean in SVG."""

    @property
    def seen(self) -> bool:
        """Whether text is."""
        return self.visible and self.sized


SEEN = Ink()


def ink_of(node: LexborNode, inherited: Ink) -> Ink | None:
    """Return how an element's text is seen; None where neither it nor anything inside it is laid out.

    Only ``display: none`` takes a whole branch away. Visibility and type size are inherited and can be undone below; a
    page's style sheet may do so for whatever has a class. Opacity is passed over: pages fade their content in.
    """
    tag, attributes = node.tag or "", node.attributes
    unseen = tag in _UNSEEN or tag in _READINGS or (inherited.in_drawing and tag in _UNSEEN_IN_DRAWING)
    if unseen or _stands_for_another(tag, attributes) or is_drawn_twin(node, attributes):
        return None
    if tag in _WHOLE_PAGE:
        return inherited
    styles = _styles(attributes.get("style") or "")
    visibility = styles.get("visibility", "inherit")
    if styles.get("display", "none" if _closed(tag, attributes) else "") == "none":
        return None
    if visibility == "collapse" and tag in _ROWS:
        return None
    visible = inherited.visible if visibility in {"inherit", "unset"} else visibility not in {"hidden", "collapse"}
    return Ink(
        visible=visible,
        sized=_sized(styles.get("font-size", ""), inherited=inherited.sized or "class" in attributes),
        in_drawing=tag == "svg" or (inherited.in_drawing and tag != "foreignObject"),
    )


def stands_apart(node: LexborNode) -> bool:
    """Whether an element that is no block has a place of its own: its words are not those of its neighbours."""
    return node.tag in _APART or (node.tag == "tspan" and "x" in node.attributes)


def shown_value(node: LexborNode) -> str:
    """Return what stands in an ``input``."""
    kind = (node.attributes.get("type") or "").strip().lower()
    return (node.attributes.get("value") or "") if kind in _WRITTEN_IN else ""


def _closed(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """Whether the attributes alone hide an element; what a search in the page opens counts as seen."""
    if tag == "dialog" and "open" not in attributes:
        return True
    return "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found"


def _stands_for_another(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """Whether what stands inside of an element is for browsers that cannot show what it names."""
    return tag in _EMBEDDED or (tag == "object" and "data" in attributes)


def _styles(text: str) -> dict[str, str]:
    """Return the declarations of a ``style`` in lower case; the last of a name counts; ``font`` is a ``font-size``."""
    found: dict[str, str] = {}
    important: set[str] = set()
    for declaration in text.lower().split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip()
        value, mark, _ = value.partition("!")
        key = "font-size" if name == "font" else name
        if mark or key not in important:
            found[key] = value.strip()
        if mark:
            important.add(key)
    return found


def _sized(value: str, *, inherited: bool) -> bool:
    """Whether a type size (or the value of ``font``: its size stands before the slash) is above zero."""
    words = value.partition("/")[0].split()
    if any(_ZERO.fullmatch(word) for word in words):
        return False
    return inherited if not words or any(_OF_PARENT.fullmatch(word) for word in words) else True
