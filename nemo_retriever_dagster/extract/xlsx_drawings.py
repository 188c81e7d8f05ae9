"""What lies over the cells of a sheet: charts, pictures and text boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.extract.drawingml import description, is_hidden, picture_links
from nemo_retriever_dagster.extract.ooxml import children, q
from nemo_retriever_dagster.extract.ooxml_picture import chart_of, link_attribute, picture_element
from nemo_retriever_dagster.extract.pptx_text import body_text
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.ooxml import Package
    from nemo_retriever_dagster.limits import Budget

_XDR = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_OBJECTS = {f"{_XDR}{name}" for name in ("sp", "cxnSp", "pic", "graphicFrame")}


def drawn(package: Package, sheet: str, options: ExtractOptions, budget: Budget) -> Iterator[Element]:
    """Yield the charts, pictures and texts of a sheet's drawing, in the file's order."""
    part = package.link(sheet, "drawing")
    for node in _objects(package.xml(part)) if part else ():
        properties = next(node.iter(f"{_XDR}cNvPr"), None)
        marks = {"hidden": True} if is_hidden(properties) else {}
        for element in _elements(node, package, part, options, budget, alt_text=description(properties)):
            yield replace(element, attributes={**element.attributes, **marks})


def _objects(node: _Element) -> Iterator[_Element]:
    """Yield the shapes under a node, those of groups too; of alternatives those that a current reader shows."""
    for child in children(node):
        if child.tag in _OBJECTS:
            yield child
        else:
            yield from _objects(child)


def _elements(
    node: _Element, package: Package, part: str, options: ExtractOptions, budget: Budget, *, alt_text: str
) -> Iterator[Element]:
    if text := body_text(node.find(f"{_XDR}txBody")):
        yield Element(kind=Kind.TEXT, text=text, attributes={"part": "textbox"})
    for chart in node.iter(q("c:chart"), q("cx:chart")):
        link_id = chart.get(link_attribute("id"), "")
        yield chart_of(package, part, link_id, alt_text=alt_text, options=options)
    links = picture_links(node)
    if not links and node.tag == f"{_XDR}pic":
        yield Element(kind=Kind.IMAGE, alt_text=alt_text, warnings=("The picture names no image.",))
    for link_id in links:
        yield picture_element(package, part, link_id, alt_text=alt_text, options=options, budget=budget)
