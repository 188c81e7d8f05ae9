"""Office Math as one line of text, in the manner of LaTeX, so that a formula can be found and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import attribute, first, q, short

if TYPE_CHECKING:
    from lxml.etree import _Element

_FORMS = {
    "m:f": "({num})/({den})",
    "m:sSup": "{e}^{{{sup}}}",
    "m:sSub": "{e}_{{{sub}}}",
    "m:sSubSup": "{e}_{{{sub}}}^{{{sup}}}",
    "m:sPre": "_{{{sub}}}^{{{sup}}}{e}",
    "m:limLow": "{e}_{{{lim}}}",
    "m:limUpp": "{e}^{{{lim}}}",
    "m:func": "{fName} {e}",
}
_PROPERTIES = "Pr"


def math_text(node: _Element) -> str:
    """Return the text of a formula (``m:oMath``)."""
    return " ".join("".join(_read(child) for child in node if isinstance(child.tag, str)).split())


def _read(node: _Element) -> str:
    name = short(node.tag)
    if name in {"m:t", "w:t"}:
        return node.text or ""
    if name.endswith(_PROPERTIES):
        return ""
    if name in _FORMS:
        parts = {part: _part(node, part) for part in ("num", "den", "e", "sup", "sub", "lim", "fName")}
        return _FORMS[name].format(**parts)
    reader = {"m:rad": _root, "m:nary": _large, "m:d": _fenced, "m:m": _matrix, "m:eqArr": _rows}.get(name)
    if reader is not None:
        return reader(node)
    return "".join(_read(child) for child in node if isinstance(child.tag, str))


def _part(node: _Element, name: str) -> str:
    found = first(node, f"m:{name}")
    return math_text(found) if found is not None else ""


def _root(node: _Element) -> str:
    degree = _part(node, "deg")
    return f"\u221a[{degree}]({_part(node, 'e')})" if degree else f"\u221a({_part(node, 'e')})"


def _large(node: _Element) -> str:
    """Return a sum, a product, an integral: its sign (an integral unless named), bounds, body."""
    sign = attribute(first(node, "m:naryPr/m:chr"), "m:val", "\u222b")
    below, above = _part(node, "sub"), _part(node, "sup")
    bounds = (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    return f"{sign}{bounds} {_part(node, 'e')} "


def _fenced(node: _Element) -> str:
    begin = attribute(first(node, "m:dPr/m:begChr"), "m:val", "(")
    end = attribute(first(node, "m:dPr/m:endChr"), "m:val", ")")
    between = attribute(first(node, "m:dPr/m:sepChr"), "m:val", "|")
    return begin + between.join(math_text(part) for part in node.iterchildren(q("m:e"))) + end


def _matrix(node: _Element) -> str:
    rows = (" & ".join(math_text(cell) for cell in row.iterchildren(q("m:e"))) for row in node.iterchildren(q("m:mr")))
    return "; ".join(rows)


def _rows(node: _Element) -> str:
    return "; ".join(math_text(row) for row in node.iterchildren(q("m:e")))
