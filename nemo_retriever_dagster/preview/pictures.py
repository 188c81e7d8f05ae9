"""Pictures for a preview: pages drawn by the parser process, small enough to be carried inside the HTML."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from nemo_retriever_dagster.errors import DataError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.workers import ParserPool
    from nemo_retriever_dagster.model import Document, Picture
    from nemo_retriever_dagster.source import Source
    from nemo_retriever_dagster.tasks import ExtractTask

PAGE_PIXELS, ELEMENT_PIXELS = 1400, 480
"""Of the longer side, at most."""
_DRAWN = frozenset({"pdf", "png", "jpeg", "bmp", "tiff", "webp", "svg"})
"""The formats whose pages can be drawn without another program."""
_AS_PDF = "render_as_pdf"
_QUALITY = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as a ``data:`` URI. ``size`` is that of the page, in the units of its boxes."""

    uri: str
    size: tuple[float, float]


def page_pictures(
    source: Source, document: Document, parsers: ParserPool, task: ExtractTask, pages: tuple[int, int]
) -> dict[int, Shown]:
    """Return the pictures of ``pages`` (first and last) by number; none for a format that has no look of its own."""
    laid_out = task.extract_method == _AS_PDF and document.format in {"docx", "pptx"}
    if not (document.format in _DRAWN or laid_out):
        return {}
    wanted = ExtractOptions(
        format=document.format, method=_AS_PDF if laid_out else None, text=False, tables=False, charts=False,
        images=False, page_as_image=True, password=task.password, pages=pages,
    )  # fmt: skip
    found: dict[int, Shown] = {}
    with source.fetch(document) as fetched:
        drawn = parsers.pages(fetched.path, wanted)
        try:
            for page in drawn:
                for element in page.elements:
                    if element.kind is Kind.PAGE_IMAGE and pages[0] <= page.number <= pages[1]:
                        uri = data_uri(element.picture, PAGE_PIXELS)
                        if uri and element.page_size:
                            found[page.number] = Shown(uri=uri, size=element.page_size)
                if page.number >= pages[1]:
                    break
        except DataError:  # the text came through: the preview goes without the rest of the pictures
            pass
        finally:
            drawn.close()
    return found


def data_uri(picture: Picture | None, pixels: int) -> str:
    """Return a picture as a ``data:`` URI, ``pixels`` at most on its longer side; "" if it cannot be decoded."""
    if picture is None:
        return ""
    try:
        with Image.open(io.BytesIO(picture.data), formats=("PNG", "JPEG")) as image:
            image.thumbnail((pixels, pixels))
            small = image.convert("RGB")
        target = io.BytesIO()
        small.save(target, "WEBP", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    return f"data:image/webp;base64,{base64.b64encode(target.getvalue()).decode()}"
