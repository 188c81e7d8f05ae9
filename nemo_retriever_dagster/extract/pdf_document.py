"""Opening PDF files and rendering their pages, within limits, with errors that say what is wrong with the file."""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium

from nemo_retriever_dagster.dates import Dates, of_pdf
from nemo_retriever_dagster.errors import CorruptFileError, EmptyFileError, EncryptedFileError
from nemo_retriever_dagster.model import Box, Picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image

    from nemo_retriever_dagster.limits import Budget, Limits

FIT = 1024
"""Pixels of the longer side of a render from which tables, charts and pictures are cut."""
PART = 2048
"""Pixels of the longer side of a picture at most, where it is rendered on its own."""
SCAN_DPI, PARSE_DPI = 200, 300
_POINTS = 72
_PASSWORD_ERROR = 4
_MAX_POINTS = 1e6
_EXACT = 1 - 1e-9  # 792 points at 300 dpi are 3300 pixels, not 3300.0000000000005 rounded up
_FAST = 1  # zlib level: a render is read once, time counts more than bytes


@contextmanager
def open_pdf(path: Path, password: str | None, budget: Budget) -> Iterator[Any]:
    """Open a PDF file as a pypdfium2 document.

    Raises `EmptyFileError`, `EncryptedFileError`, `CorruptFileError`; `LimitExceededError` for too many bytes or pages.
    """
    size = path.stat().st_size
    if size == 0:
        raise EmptyFileError
    budget.check("file_bytes", size)
    try:
        document = pypdfium2.PdfDocument(path, password=password)
    except pypdfium2.PdfiumError as error:
        raise _open_error(error, password) from error
    try:
        pages = len(document)
        if pages == 0:
            raise CorruptFileError("The PDF has no page that can be read.")
        budget.check("pages", pages)
        yield document
    finally:
        document.close()


def pdf_dates(document: Any) -> Dates:
    """Return the dates of a document's information dictionary."""
    created, modified = (of_pdf(document.get_metadata_value(name)) for name in ("CreationDate", "ModDate"))
    return Dates(created=created, modified=modified)


def _open_error(error: Any, password: str | None) -> CorruptFileError | EncryptedFileError:
    if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error).lower():
        if password:
            message, hint = (
                "The PDF is encrypted and the password given does not open it.",
                "Correct it, then `nrd retry`.",
            )
        else:
            message, hint = "The PDF is encrypted and needs a password.", "Give extract() the option password."
        return EncryptedFileError(message, hint=f"{hint} Or put an unprotected copy in its place.")
    return CorruptFileError(f"The file cannot be read as a PDF ({error}).")


class LoadedPage(pypdfium2.PdfPage):  # type: ignore[misc] # pypdfium2 has no types
    """A page of a pypdfium2 document that is closed by hand, before its document.

    pypdfium2's own bookkeeping (finalizers, weak references, a list of children) costs a tenth of what loading a short
    page does, so it is left out; rendering is pypdfium2's.
    """

    def __init__(self, raw: Any, document: Any) -> None:
        """Take PDFium's page and the document it is of."""
        self.raw, self.pdf, self.formenv = raw, document, None

    def close(self) -> None:
        """Free the page; no text page of it may be open. Nothing may be asked of it any more; closing again is fine."""
        raw, self.raw = self.raw, None
        if raw:
            pdfium.FPDF_ClosePage(raw)


@dataclass(slots=True)
class LoadedText:
    """The text page of a page; ``raw`` is PDFium's. To be closed by hand, before its page."""

    raw: Any

    def close(self) -> None:
        """Free the text page. Nothing may be asked of it any more; closing again is fine."""
        raw, self.raw = self.raw, None
        if raw:
            pdfium.FPDFText_ClosePage(raw)


def load_page(document: Any, index: int) -> LoadedPage:
    """Return page ``index`` (from 0); raise `CorruptFileError` naming the page where PDFium cannot read it."""
    raw = pdfium.FPDF_LoadPage(document.raw, index)
    if not raw:
        raise CorruptFileError(f"Page {index + 1} cannot be read.", page=index + 1)
    return LoadedPage(raw, document)


def load_text(page: LoadedPage, number: int) -> LoadedText:
    """Return the text page of a page (``number`` from 1); raise `CorruptFileError` where PDFium cannot read it."""
    raw = pdfium.FPDFText_LoadPage(page.raw)
    if not raw:
        raise CorruptFileError(f"The text of page {number} cannot be read.", page=number)
    return LoadedText(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """A picture of a page. ``scale`` is pixels per point; ``note`` says what was reduced, "" for nothing."""

    image: Image
    scale: float
    note: str = ""

    def picture(self) -> Picture:
        """Return the whole render as PNG."""
        return as_png(self.image)

    def cut(self, box: Box) -> Picture | None:
        """Return the part of the render in ``box`` (points) as PNG, None where nothing of it is on the page."""
        x0, y0 = max(math.floor(box.x0 * self.scale), 0), max(math.floor(box.y0 * self.scale), 0)
        x1 = min(math.ceil(box.x1 * self.scale), self.image.width)
        y1 = min(math.ceil(box.y1 * self.scale), self.image.height)
        return as_png(self.image.crop((x0, y0, x1, y1))) if x1 > x0 and y1 > y0 else None


def as_png(image: Image) -> Picture:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_FAST)
    return Picture(data=buffer.getvalue(), width=image.width, height=image.height)


def fit_scale(size: tuple[float, float]) -> float:
    """Return the scale at which a page of ``size`` points just fits a square of `FIT` pixels."""
    return FIT / max(*size, 1.0)


def render(page: Any, size: tuple[float, float], scale: float, limits: Limits) -> Render | None:
    """Render a page at ``scale`` pixels per point, smaller where the pixels would exceed the limit.

    None for a page without an area that can be drawn (a broken page box).
    """
    width, height = size
    if not (0 < width < _MAX_POINTS and 0 < height < _MAX_POINTS):
        return None
    allowed = math.sqrt(limits.page_pixels / (width * height))
    note = ""
    if scale > allowed:
        scale = allowed * 0.999
        dpi = scale * _POINTS
        note = f"A page of {width:.0f} x {height:.0f} points: rendered at {dpi:.0f} dpi to stay within page_pixels."
    return Render(image=_image(page, scale), scale=scale, note=note)


def render_part(page: Any, size: tuple[float, float], box: Box, limits: Limits) -> Picture | None:
    """Render the part of a page in ``box`` (points) so that OCR can read it, `PART` pixels at most on its longer side.

    None where nothing of the box is on the page.
    """
    part = box.intersect(Box(0.0, 0.0, *size))
    if min(part.width, part.height) < 1 or max(size) > _MAX_POINTS:
        return None
    scale = min(dpi_scale(SCAN_DPI), PART / max(part.width, part.height), math.sqrt(limits.page_pixels / part.area))
    around = (part.x0, size[1] - part.y1, size[0] - part.x1, part.y0)  # pypdfium2 wants left, bottom, right, top
    return as_png(_image(page, scale, around))


def _image(page: Any, scale: float, crop: tuple[float, float, float, float] = (0, 0, 0, 0)) -> Image:
    try:
        bitmap = page.render(scale=scale * _EXACT, crop=crop)
    except (pypdfium2.PdfiumError, ValueError, MemoryError) as error:
        raise CorruptFileError(f"The page cannot be rendered ({error}).") from error
    try:
        image: Image = bitmap.to_pil().convert("RGB")
    finally:
        bitmap.close()
    return image


def dpi_scale(dpi: float) -> float:
    """Return the pixels per point of a resolution."""
    return dpi / _POINTS
