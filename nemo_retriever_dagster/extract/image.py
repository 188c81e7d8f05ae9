"""Pictures: PNG, JPEG, BMP, TIFF (every page) and WebP as documents; and the pictures inside other documents.

Formats are named to Pillow one by one, so that no other decoder is ever reached; the number of pixels is checked on
the header, before anything is inflated.
"""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps

from nemo_retriever_dagster.dates import Dates, of_exif
from nemo_retriever_dagster.errors import CorruptFileError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.model import Box, Element, Kind, Picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nemo_retriever_dagster.limits import Budget

DECODERS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF")
"""What Pillow may decode here; DIB and GIF only occur inside other documents."""
_ORIENTATION = 0x0112
_KEPT = {"PNG": ("image/png", {"1", "L", "P", "RGB"}), "JPEG": ("image/jpeg", {"L", "RGB"})}
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, OverflowError, struct.error)
_LOOK_INSIDE = 64
_SUBFILE_TYPE = 254
_NO_PAGE = 0b101
"""Bits of a TIFF frame's type: a smaller version of another frame, a mask of one."""
_OPAQUE = 128
_LIGHT = 160
_A_FEW = 0.01
"""An alpha from which a pixel is seen, a grey from which it is light, and the share of the seen that may be darker."""


class ImageExtractor:
    """A picture is a page to be recognised, and itself an image."""

    formats: tuple[str, ...] = ("png", "jpeg", "bmp", "tiff", "webp")
    methods: tuple[str, ...] = ()
    version = "3"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield a page for each frame of a TIFF that is one, one for any other picture; boxes are in pixels."""
        budget.check("file_bytes", path.stat().st_size)
        data = path.read_bytes()
        if not data:
            raise EmptyFileError
        image = _open(data)
        said = _dates(image)
        frames = int(getattr(image, "n_frames", 1))
        budget.check("pages", frames if image.format == "TIFF" else 1)
        wanted = _pages(image, frames) if image.format == "TIFF" else [0]
        moving = frames > 1 and image.format != "TIFF"
        unread = (f"The picture has {frames} frames; the first was read.",) if moving else ()
        for number, frame in enumerate(wanted, 1):
            picture = _read(image, data, frame, budget)
            page = picture_page(picture, options, number=number, total=len(wanted), warned=unread)
            yield replace(page, dates=said)


def read_picture(data: bytes, budget: Budget) -> Picture:
    """Return an embedded picture as PNG or JPEG, upright; raise a `DataError` where it is damaged or too large.

    Bytes that are already a plain PNG or JPEG are handed on as they are.
    """
    return _read(_open(data), data, 0, budget)


def may_hold_more(picture: Picture) -> bool:
    """Whether a picture is large enough to show a table or a chart that is worth looking for."""
    return min(picture.width, picture.height) >= _LOOK_INSIDE


def picture_page(
    picture: Picture, options: ExtractOptions, *, number: int = 1, total: int = 1, warned: tuple[str, ...] = ()
) -> Page:
    """Return the page that a picture is: itself an image where images are wanted, its scan to be recognised."""
    size = (float(picture.width), float(picture.height))
    kinds = [Kind.PAGE_IMAGE] * options.page_as_image + [Kind.IMAGE] * options.images
    elements = tuple(
        Element(kind=kind, page=number, box=Box(0.0, 0.0, *size), page_size=size, picture=picture, warnings=warned)
        for kind in kinds
    )
    wanted = options.text or options.tables or options.charts or options.infographics
    return Page(number=number, size=size, elements=elements, scan=picture, needs_ocr=wanted, total=total)


def _open(data: bytes) -> Image.Image:
    with _decoding():
        return Image.open(io.BytesIO(data), formats=DECODERS)


def _pages(image: Image.Image, frames: int) -> list[int]:
    """Return the frames of a TIFF that are pages, all of them where none says so."""
    with _decoding():
        return [frame for frame in range(frames) if not _is_no_page(image, frame)] or [*range(frames)]


def _is_no_page(image: Image.Image, frame: int) -> bool:
    image.seek(frame)
    kind = image.tag_v2.get(_SUBFILE_TYPE)  # type: ignore[attr-defined] # a TIFF has it
    return isinstance(kind, int) and bool(kind & _NO_PAGE)


def _read(image: Image.Image, data: bytes, frame: int, budget: Budget) -> Picture:
    with _decoding():
        image.seek(frame)
        budget.check("page_pixels", image.width * image.height, page=frame + 1)
        media_type, modes = _KEPT.get(image.format or "", ("", set()))
        turned = image.getexif().get(_ORIENTATION, 1) not in {0, 1}
        image.load()
        if image.mode in modes and not turned and "transparency" not in image.info:
            return Picture(data=data, width=image.width, height=image.height, media_type=media_type)
        return _encode(_plain(ImageOps.exif_transpose(image)))


def _dates(image: Image.Image) -> Dates:
    """Return when a picture, not yet loaded, was taken and changed, as it says; damage there says nothing."""
    base = ExifTags.Base
    try:
        with _decoding():
            main = image.getexif()
            shot = main.get_ifd(ExifTags.IFD.Exif)
    except CorruptFileError:
        return Dates()
    return Dates(
        created=of_exif(str(shot.get(base.DateTimeOriginal, "")), str(shot.get(base.OffsetTimeOriginal, ""))),
        modified=of_exif(str(main.get(base.DateTime, "")), str(shot.get(base.OffsetTime, ""))),
    )


def _plain(image: Image.Image) -> Image.Image:
    """Return grey or RGB in 8 bits; what is transparent becomes white, as on paper, or black under light signs."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        paper = Image.new("RGBA", clear.size, "black" if _is_light(clear) else "white")
        return Image.alpha_composite(paper, clear).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode in {"1", "LA"} else "RGB")


def _is_light(clear: Image.Image) -> bool:
    """Whether all that is seen of a picture, save a few pixels, is too light to be read on white."""
    opaque = clear.getchannel("A").point([0] * _OPAQUE + [255] * _OPAQUE)
    if opaque.getextrema()[0]:  # nothing shows through
        return False
    shades = clear.convert("L").histogram(opaque)
    return sum(shades[:_LIGHT]) < _A_FEW * sum(shades)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    values = np.nan_to_num(pixels.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def _encode(image: Image.Image) -> Picture:
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return Picture(data=target.getvalue(), width=image.width, height=image.height)


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn what Pillow raises into typed errors; its warnings about odd metadata do not concern the pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Image.DecompressionBombError as error:
            raise LimitExceededError(f"The picture is too large: {error}") from error
        except _DAMAGE as error:
            raise CorruptFileError(f"The picture cannot be decoded: {error}.") from error
