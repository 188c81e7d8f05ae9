"""MathML as one line of text, in the manner of LaTeX: as its maker wrote it, else put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from selectolax.lexbor import LexborNode

_SUB, _SUP, _BOTH = (2, "{0}_{{{1}}}"), (2, "{0}^{{{1}}}"), (3, "{0}_{{{1}}}^{{{2}}}")
_FORMS = {
    "mfrac": (2, "({0})/({1})"),
    "mroot": (2, "\u221a[{1}]({0})"),
    "msub": _SUB,
    "munder": _SUB,
    "msup": _SUP,
    "mover": _SUP,
    "msubsup": _BOTH,
    "munderover": _BOTH,
}
"""How many parts an element has, and how they are written."""
_AROUND = {"msqrt": "\u221a({})", "mtext": " {} ", "mspace": " "}
_BETWEEN = {"mtr": " & ", "mlabeledtr": " & ", "mtable": "; "}
_FIRST_ONLY = frozenset(["semantics", "maction"])
_UNSEEN = frozenset(["annotation", "annotation-xml", "mphantom", "mprescripts", "none"])
_TEX = 'annotation[encoding="application/x-tex"]'
_INVISIBLE = {0x2061: " ", 0x2062: None, 0x2063: ",", 0x2064: None}
"""Signs that only say how formulas are spoken: a function is applied, two factors, two indices, two addends."""
_BLANKS = " \t\n\r\f"
_SPOKEN = ("katex-mathml", "MJX_Assistive_MathML")
"""Classes of the MathML that KaTeX and MathJax set for screen readers beside the formula that they draw."""


def math_text(formula: LexborNode) -> str:
    """Return the text of a formula (``math``)."""
    if (source := formula.css_first(_TEX)) is not None and (tex := source.text().strip()):
        return " ".join(tex.split())
    written: dict[int, str] = {}
    for node in reversed(list(formula.traverse(include_text=True))):  # what stands inside of a node comes before it
        children = [(child.tag or "", written.pop(child.mem_id)) for child in node.iter(include_text=True)]
        written[node.mem_id] = _written(node, children)
    return " ".join(written[formula.mem_id].split())


def is_drawn_twin(node: LexborNode, attributes: Mapping[str, str | None]) -> bool:
    """Whether a node only draws the formula that stands beside it as MathML."""
    if attributes.get("aria-hidden") != "true":
        return False
    beside = [found for found in (node.prev, node.next) if found is not None]
    return any(name in (found.attributes.get("class") or "") for found in beside for name in _SPOKEN)


def _written(node: LexborNode, children: Sequence[tuple[str, str]]) -> str:
    tag = node.tag or ""
    if tag == "-text":
        return (node.text_content or "").strip(_BLANKS).translate(_INVISIBLE)
    if tag in _UNSEEN or tag.startswith("-"):
        return ""
    parts = [text.strip() for kind, text in children if kind != "-text"]
    count, form = _FORMS.get(tag, (0, ""))
    if count and count == len(parts):
        return form.format(*parts)
    if tag in _BETWEEN:
        return _BETWEEN[tag].join(parts)
    if tag in _FIRST_ONLY:
        return parts[0] if parts else ""
    return _AROUND.get(tag, "{}").format("".join(text for _, text in children))
