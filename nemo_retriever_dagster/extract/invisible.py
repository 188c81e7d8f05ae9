"""Signs that tell a program where a line may break and that nobody sees: with them inside, a word is not found."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.model import Kind, Table

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.contract import Page
    from nemo_retriever_dagster.model import Element

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Soft hyphen, zero-width space, word joiner (both signs); the zero-width joiners of scripts and emoji are spelling."""
_TEXTS = ("text", "alt_text", "caption")


def without_invisible(page: Page) -> Page:
    """Return the page without such signs in its texts and cells, and without a text that held nothing else."""
    found = ((element, _visible(element)) for element in page.elements)
    return replace(page, elements=tuple(clean for element, clean in found if clean is element or _is_worth(clean)))


def _is_worth(element: Element) -> bool:
    return element.kind is not Kind.TEXT or bool(element.text.strip() or element.warnings)


def _visible(element: Element) -> Element:
    changed: dict[str, Any] = {
        name: _INVISIBLE.sub("", text) for name in _TEXTS if _has_invisible(text := getattr(element, name))
    }
    if element.table and any(_has_invisible(cell.text) for cell in element.table.cells):
        cells = (replace(cell, text=_INVISIBLE.sub("", cell.text)) for cell in element.table.cells)
        changed["table"] = Table(cells=tuple(cells))
    return replace(element, **changed) if changed else element


def _has_invisible(text: str) -> bool:
    return not text.isascii() and _INVISIBLE.search(text) is not None
