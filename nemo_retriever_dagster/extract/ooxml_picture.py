"""Pictures and drawings inside Office files: what a reference leads to, and a warning where it leads nowhere."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError, DataError
from nemo_retriever_dagster.extract.image import may_hold_more, read_picture
from nemo_retriever_dagster.extract.ooxml import NAMESPACES, every, q
from nemo_retriever_dagster.extract.ooxml_chart import chart_element, read_chart
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.extract.ooxml import Package
    from nemo_retriever_dagster.limits import Budget

_VECTOR = {".emf", ".wmf", ".emz", ".wmz", ".svg", ".pict", ".pct"}


def picture_element(
    package: Package, part: str, link_id: str, *, alt_text: str, options: ExtractOptions, budget: Budget
) -> Element:
    """Return the picture a relationship of ``part`` names; a picture that cannot be had is an element with a warning.

    The element is marked ``look_inside`` where the picture may show a table or a chart.
    """
    link = package.links(part).get(link_id)
    if link is None:
        return _absent(alt_text, "The picture's reference leads nowhere.")
    if link.external:
        return _absent(alt_text, f"The picture is outside the file and was not fetched: {link.target}")
    name = posixpath.basename(link.target)
    if posixpath.splitext(name)[1].lower() in _VECTOR:
        advice = "extract_method='render_as_pdf' draws it"
        return _absent(alt_text, f"The vector picture {name} was not drawn; {advice}.", name=name)
    if link.target not in package:
        return _absent(alt_text, f"The file has no part {link.target!r}, which a picture names.", name=name)
    data = package.data(link.target)
    try:
        picture = read_picture(data, budget)
    except DataError as error:
        return _absent(alt_text, f"The picture {name} cannot be read: {error.message}", name=name)
    looked_at = options.tables or options.charts or options.infographics
    marks = {"look_inside": True} if looked_at and may_hold_more(picture) else {}
    return Element(kind=Kind.IMAGE, picture=picture, alt_text=alt_text, attributes={"name": name, **marks})


def chart_of(package: Package, part: str, link_id: str, *, alt_text: str, options: ExtractOptions) -> Element:
    """Return the chart a relationship names, as text where charts are not wanted; one that is damaged is a warning."""
    link = package.links(part).get(link_id)
    if link is None or link.external:
        return Element(kind=Kind.TEXT, alt_text=alt_text, warnings=("A chart's reference leads nowhere.",))
    try:
        chart = read_chart(package.xml(link.target))
    except CorruptFileError as error:
        return Element(kind=Kind.TEXT, alt_text=alt_text, warnings=(f"A chart cannot be read: {error.message}",))
    element = chart_element(chart, options.table_format, alt_text=alt_text)
    return element if options.charts else replace(element, kind=Kind.TEXT, table=None, table_format="")


def wanted_elements(elements: list[Element], options: ExtractOptions) -> Iterator[Element]:
    """Leave out what was not asked for; a picture stays while an engine is to look for a table or chart inside."""
    for element in elements:
        if element.kind is Kind.TEXT and not options.text and not element.warnings:
            continue
        if element.kind is Kind.IMAGE and not options.images and not element.attributes.get("look_inside"):
            continue
        yield element


def diagram_text(package: Package, part: str, link_id: str) -> list[str]:
    """Return the texts of a SmartArt diagram, one a node, in the file's order."""
    link = package.links(part).get(link_id)
    if link is None or link.external:
        return []
    root = package.xml(link.target)
    texts = [
        "".join(run.text or "" for run in paragraph.iter(q("a:t"))).strip()
        for body in root.iter(q("dgm:t"))
        for paragraph in every(body, "a:p")
    ]
    return [text for text in texts if text]


def link_attribute(name: str) -> str:
    """Return the lxml name of an attribute of the relationships namespace."""
    return f"{{{NAMESPACES['r']}}}{name}"


def _absent(alt_text: str, warning: str, *, name: str = "") -> Element:
    return Element(kind=Kind.IMAGE, alt_text=alt_text, warnings=(warning,), attributes={"name": name} if name else {})
