"""Office Math as one line of text, in the manner of LaTeX, so that a formula can be found and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import attribute, first, q, short
from nemo_retriever_dagster.extract.ooxml_symbols import word_sign

if TYPE_CHECKING:
    from lxml.etree import _Element

_FORMS = {
    "m:sSup": "{e}^{{{sup}}}",
    "m:sSub": "{e}_{{{sub}}}",
    "m:sSubSup": "{e}_{{{sub}}}^{{{sup}}}",
    "m:sPre": "_{{{sub}}}^{{{sup}}}{e}",
    "m:limLow": "{e}_{{{lim}}}",
    "m:limUpp": "{e}^{{{lim}}}",
    "m:func": "{fName} {e}",
}
_PROPERTIES = "Pr"
_DELETED = {"w:del", "w:moveFrom"}
_ACCENTS = {
    "\u0300": "grave",
    "\u0301": "acute",
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0305": "bar",
    "\u0306": "breve",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u030c": "check",
    "\u20d7": "vec",
}
_BRACES = {"\u23de": "overbrace", "\u23df": "underbrace"}


def math_text(node: _Element) -> str:
    """Return the text of a formula (``m:oMath``)."""
    return " ".join("".join(_read(child) for child in node if isinstance(child.tag, str)).split())


def _read(node: _Element) -> str:
    name = short(node.tag)
    if name in {"m:t", "w:t"}:
        return node.text or ""
    if name == "w:sym":
        return word_sign(node)
    if name.endswith(_PROPERTIES) or name in _DELETED:
        return ""
    if name in _FORMS:
        parts = {part: _part(node, part) for part in ("e", "sup", "sub", "lim", "fName")}
        return _FORMS[name].format(**parts)
    reader = _READERS.get(name)
    if reader is not None:
        return reader(node)
    return "".join(_read(child) for child in node if isinstance(child.tag, str))


def _part(node: _Element, name: str) -> str:
    found = first(node, f"m:{name}")
    return math_text(found) if found is not None else ""


def _fraction(node: _Element) -> str:
    """Return a fraction; one without a bar (a binomial) divides nothing."""
    above, below = _part(node, "num"), _part(node, "den")
    if attribute(first(node, "m:fPr/m:type"), "m:val") == "noBar":
        return f"{{{above} \\atop {below}}}"
    return f"({above})/({below})"


def _accented(node: _Element) -> str:
    sign = attribute(first(node, "m:accPr/m:chr"), "m:val", "\u0302")
    return f"\\{_ACCENTS[sign]}{{{_part(node, 'e')}}}" if sign in _ACCENTS else f"{_part(node, 'e')}{sign}"


def _barred(node: _Element) -> str:
    place = "over" if attribute(first(node, "m:barPr/m:pos"), "m:val") == "top" else "under"
    return f"\\{place}line{{{_part(node, 'e')}}}"


def _grouped(node: _Element) -> str:
    """Return what a brace or an arrow spans."""
    sign = attribute(first(node, "m:groupChrPr/m:chr"), "m:val", "\u23df")
    if sign in _BRACES:
        return f"\\{_BRACES[sign]}{{{_part(node, 'e')}}}"
    place = "over" if attribute(first(node, "m:groupChrPr/m:pos"), "m:val") == "top" else "under"
    return f"\\{place}set{{{sign}}}{{{_part(node, 'e')}}}"


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


_READERS = {
    "m:f": _fraction,
    "m:acc": _accented,
    "m:bar": _barred,
    "m:groupChr": _grouped,
    "m:rad": _root,
    "m:nary": _large,
    "m:d": _fenced,
    "m:m": _matrix,
    "m:eqArr": _rows,
}
