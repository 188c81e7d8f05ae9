"""HTML that is escaped by construction: `tag` escapes whatever is not markup already."""

from __future__ import annotations

import html
import re

_VOID = frozenset({"meta", "img", "input"})
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML has no character for."""


class Html(str):
    """Markup that stands as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return ``value`` as markup that shows it and does nothing else."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", str(value))))


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """Return an element; what is ``inside`` is escaped unless it is `Html`, None is left out.

    Attributes: ``class_`` is class, ``aria_label`` is aria-label; None and False leave one out, True leaves it empty.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(*inside)}</{name}>")


def joined(*parts: object) -> Html:
    """Return the parts one after the other, escaped unless they are `Html`; None is left out."""
    return Html("".join(text(part) for part in parts if part is not None))


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
