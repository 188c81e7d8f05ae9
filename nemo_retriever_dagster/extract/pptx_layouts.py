"""What the placeholders of a slide inherit from its layout and master: type, place, list styles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError
from nemo_retriever_dagster.extract.ooxml import children, first, q, short

if TYPE_CHECKING:
    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.ooxml import Package

_TITLE, _BODY = "title", "body"
_KINDS = {"title": _TITLE, "ctrTitle": _TITLE, **{name: name for name in ("dt", "ftr", "hdr", "sldNum")}}
"""What a master knows; every other type, and none, is its body."""
_STYLES = {_TITLE: "titleStyle", _BODY: "bodyStyle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What a placeholder is (``role``: ``title``, ``body``, ``ftr``) and the shapes and list styles behind it."""

    role: str
    ancestors: tuple[_Element, ...]
    styles: tuple[_Element, ...]


@dataclass(frozen=True, slots=True)
class _Placeholders:
    """The first placeholder of each kind on a layout or master; bodies also by their index."""

    by_kind: dict[str, _Element] = field(default_factory=dict)
    bodies: dict[str, _Element] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Layouts:
    """The layouts and masters of a show, each read once."""

    package: Package
    _known: dict[str, _Placeholders] = field(default_factory=dict)
    _roots: dict[str, _Element | None] = field(default_factory=dict)

    def inherited(self, slide: str, placeholder: _Element) -> Inherited:
        """Return what a placeholder (``p:ph``) of a slide inherits, the layout's before the master's.

        An index names a placeholder of the layout only: the master numbers its own in another way.
        """
        layout = self.package.link(slide, "slideLayout")
        master = self.package.link(layout, "slideMaster") if layout else ""
        kind = _kind(placeholder)
        near, far = self._on_layout(layout, placeholder), self._placeholders(master).by_kind.get(kind)
        ancestors = tuple(node for node in (near, far) if node is not None)
        general = first(self._root(master), f"p:txStyles/p:{_STYLES.get(kind, 'otherStyle')}")
        own = [style for node in ancestors if (style := first(node, "p:txBody/a:lstStyle")) is not None]
        role = placeholder.get("type") or (_type(near) if near is not None else "")
        return Inherited(role=role, ancestors=ancestors, styles=(*own, *([general] if general is not None else [])))

    def _on_layout(self, layout: str, placeholder: _Element) -> _Element | None:
        known, index = self._placeholders(layout), placeholder.get("idx")
        kind = _kind(placeholder)
        return known.bodies.get(index) if index and kind == _BODY else known.by_kind.get(kind)

    def _placeholders(self, part: str) -> _Placeholders:
        if part not in self._known:
            found = self._known[part] = _Placeholders()
            tree = first(self._root(part), "p:cSld/p:spTree")
            for node in tree.iter(q("p:sp")) if tree is not None else ():
                if (placeholder := placeholder_of(node)) is None:
                    continue
                found.by_kind.setdefault(_kind(placeholder), node)
                if _kind(placeholder) == _BODY:
                    found.bodies.setdefault(placeholder.get("idx", ""), node)
        return self._known[part]

    def _root(self, part: str) -> _Element | None:
        """Return a layout's or master's root; slides stand without it, so one that is damaged gives nothing."""
        if part not in self._roots:
            try:
                self._roots[part] = self.package.xml(part) if part else None
            except CorruptFileError:
                self._roots[part] = None
        return self._roots[part]


def own_properties(node: _Element) -> _Element | None:
    """Return ``p:nvSpPr``, ``p:nvPicPr`` ...: the first child of a shape whose name says so."""
    return next((child for child in children(node) if short(child.tag).startswith("p:nv")), None)


def placeholder_of(node: _Element) -> _Element | None:
    """Return the mark (``p:ph``) of a shape that is a placeholder, else None."""
    return first(own_properties(node), "p:nvPr/p:ph")


def _kind(placeholder: _Element) -> str:
    return _KINDS.get(placeholder.get("type", ""), _BODY)


def _type(node: _Element) -> str:
    placeholder = placeholder_of(node)
    return placeholder.get("type", "") if placeholder is not None else ""
