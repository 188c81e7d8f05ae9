"""SVG drawings: their text with its place, and a picture of them, drawn by resvg.

resvg reads files that a drawing names, so every reference that leaves the drawing is taken out first; only small
pictures written into it stay, after they were judged like any other picture.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, MissingDependencyError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.image import may_hold_more, picture_page, read_picture
from nemo_retriever_dagster.extract.svg_doctype import without_doctype
from nemo_retriever_dagster.extract.svg_geometry import length, numbers
from nemo_retriever_dagster.extract.svg_text import local, texts
from nemo_retriever_dagster.extract.xml import safe_xml
from nemo_retriever_dagster.model import Box, Element, Kind, Picture, Word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

_DATA = re.compile(r"\s*data:image/(?:png|jpe?g|gif|webp)[^,]{0,100},", re.IGNORECASE)
_URL = re.compile(r"url\((?!\s{0,20}['\"]?\s{0,20}#)[^)]{0,4200}\)?|@import[^;]{0,4200};?", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_LONGEST, _SHORTEST_LONGEST = 2048, 1024
"""The longer side of the picture, in pixels, is brought between these."""
_FALLBACK_SIZE = (300.0, 150.0)


class SvgExtractor:
    """Reads SVG; boxes are in pixels of the picture that is drawn."""

    formats: tuple[str, ...] = ("svg",)
    methods: tuple[str, ...] = ()
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page: its texts, its picture; a drawing without text is to be recognised."""
        budget.check("file_bytes", path.stat().st_size)
        root = _parse(path.read_bytes(), budget)
        warnings = _isolate(root, budget)
        origin, size = _view(root)
        picture = _draw(root, size, budget)
        scale = picture.width / size[0], picture.height / size[1]
        found = [Word(text=text.text, box=_moved(text.box, origin).scale(*scale)) for text in texts(root)]
        yield _page(found, picture, options, alt_text=_described(root), warnings=warnings)


def _page(
    words: list[Word], picture: Picture, options: ExtractOptions, *, alt_text: str, warnings: tuple[str, ...]
) -> Page:
    """Return the page; where there is native text, no engine need read it again, but it may find a chart."""
    plain = picture_page(picture, options)
    looks = {"look_inside": True} if words and may_hold_more(picture) else {}
    drawn = tuple(
        Element(
            kind=element.kind,
            page=1,
            box=element.box,
            page_size=plain.size,
            picture=picture,
            alt_text=alt_text,
            warnings=warnings,
            attributes=looks if element.kind is Kind.IMAGE else {},
        )
        for element in plain.elements
    )
    native = [Element(kind=Kind.TEXT, text=word.text, page=1, box=word.box, page_size=plain.size) for word in words]
    return Page(
        number=1,
        size=plain.size,
        elements=(*(native if options.text else ()), *drawn),
        scan=picture,
        needs_ocr=plain.needs_ocr and not words,
        words=tuple(words),
        total=1,
    )


def _parse(data: bytes, budget: Budget) -> _Element:
    if not data.strip():
        raise EmptyFileError
    if data.startswith(_GZIP):
        data = _inflated(data, budget)
    root = safe_xml(without_doctype(data, budget), budget)
    if local(root) != "svg":
        raise CorruptFileError(f"The file is XML with the root {local(root)!r}, not a drawing in SVG.")
    return root


def _inflated(data: bytes, budget: Budget) -> bytes:
    most = budget.limits.member_bytes
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            inflated = file.read(most + 1)
    except (OSError, EOFError) as error:
        raise CorruptFileError(f"The compressed drawing is damaged: {error}.") from error
    budget.check("member_bytes", len(inflated))
    return inflated


def _isolate(root: _Element, budget: Budget) -> tuple[str, ...]:
    """Take every reference to the outside out of the drawing; return a warning for each picture that went with it."""
    warnings = []
    for node in root.iter():
        if local(node) == "style":
            node.text = _URL.sub("", node.text or "")
        for name, value in list(node.attrib.items()):
            if str(name).rpartition("}")[2] == "href":
                problem = _reference_problem(value, budget)
                if problem:
                    del node.attrib[name]
                    warnings += [problem] if local(node) in {"image", "feImage", "use"} else []
            elif "url(" in value.lower() or "@import" in value.lower():
                node.set(name, _URL.sub("none", value))
    return tuple(warnings)


def _reference_problem(value: str, budget: Budget) -> str:
    """Return why a reference must go, "" where it may stay: a place in the drawing, a sound picture written into it."""
    if value.strip().startswith("#"):
        return ""
    match = _DATA.match(value)
    if match is None:
        return f"A reference out of the drawing was not followed: {value[:80]}"
    try:
        body = unquote_to_bytes(value[match.end() :])
        read_picture(base64.b64decode(body) if ";base64" in match[0].lower() else body, budget)
    except (DataError, binascii.Error) as error:
        return f"A picture in the drawing cannot be read: {error}"
    return ""


def _view(root: _Element) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the corner and the size of what is shown, in the drawing's units."""
    box = numbers(root.get("viewBox"))
    if len(box) == 4 and box[2] > 0 and box[3] > 0:  # noqa: PLR2004 -- x, y, width, height
        return (box[0], box[1]), (box[2], box[3])
    width, height = (length(root.get(name)) for name in ("width", "height"))
    return (0.0, 0.0), (width if width > 0 else _FALLBACK_SIZE[0], height if height > 0 else _FALLBACK_SIZE[1])


def _moved(box: Box, origin: tuple[float, float]) -> Box:
    return Box(box.x0 - origin[0], box.y0 - origin[1], box.x1 - origin[0], box.y1 - origin[1])


def _draw(root: _Element, size: tuple[float, float], budget: Budget) -> Picture:
    """Draw the picture; the size that a drawing claims only decides its shape."""
    from lxml import etree

    try:
        import resvg_py
    except ImportError as error:
        raise MissingDependencyError.of("Reading SVG", "pip install resvg-py") from error
    root.set("width", f"{size[0]:f}")
    root.set("height", f"{size[1]:f}")
    longest = round(min(max(*size, _SHORTEST_LONGEST), _LONGEST))
    wide, high = (longest, None) if size[0] >= size[1] else (None, longest)
    try:
        drawn = resvg_py.svg_to_bytes(
            svg_string=etree.tostring(root, encoding="unicode"), background="white", width=wide, height=high
        )
    except ValueError as error:
        raise CorruptFileError(f"The drawing cannot be drawn: {error}.") from error
    return read_picture(drawn, budget)


def _described(root: _Element) -> str:
    """Return the title and the description that the drawing gives itself."""
    parts = (" ".join("".join(node.itertext()).split()) for node in root if local(node) in {"title", "desc"})
    return ". ".join(part for part in parts if part)
