"""What the shapes of slides and of sheets have in common: description, pictures, whether they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.ooxml import q
from nemo_retriever_dagster.extract.ooxml_picture import link_attribute

if TYPE_CHECKING:
    from lxml.etree import _Element

_OFF = {"0", "false"}


def description(properties: _Element | None) -> str:
    """Return the alternative text in the properties of a shape (``cNvPr``), else its title, else ""."""
    return "" if properties is None else (properties.get("descr") or properties.get("title") or "").strip()


def is_hidden(properties: _Element | None) -> bool:
    """Whether the properties of a shape (``cNvPr``) say that it is not shown."""
    return properties is not None and properties.get("hidden", "0") not in _OFF


def picture_links(shape: _Element) -> list[str]:
    """Return the relationship ids of the pictures that a shape is, holds or is filled with; bullets are none."""
    links = (
        blip.get(link_attribute("embed")) or blip.get(link_attribute("link"))
        for blip in shape.iter(q("a:blip"))
        if (parent := blip.getparent()) is None or parent.tag != q("a:buBlip")
    )
    return [link for link in links if link]
