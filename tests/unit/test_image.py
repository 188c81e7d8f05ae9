"""Pictures as documents and inside documents."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EmptyFileError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.image import ImageExtractor, may_hold_more, read_picture
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from pathlib import Path


def budget(**limits: int) -> Budget:
    return Budget(limits=Limits(**limits))


def pages(path: Path, **options: bool) -> list[Page]:
    return list(ImageExtractor().extract(path, ExtractOptions(**options), budget()))


def encoded(image: Image.Image, form: str, **more: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **more)
    return data.getvalue()


def pixel(data: bytes, place: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    return Image.open(io.BytesIO(data)).convert("RGB").getpixel(place)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_picture_is_a_page_to_recognise_and_an_image(tmp_path, form):
    path = tmp_path / "x"
    path.write_bytes(encoded(Image.new("RGB", (30, 20), "red"), form))
    (page,) = pages(path)
    assert (page.number, page.total, page.size, page.needs_ocr) == (1, 1, (30.0, 20.0), True)
    assert [element.kind for element in page.elements] == [Kind.IMAGE]
    assert page.scan.suffix in {"png", "jpeg"}
    red, green, _ = pixel(page.scan.data)
    assert red > 240
    assert green < 20


def test_switches_decide_what_is_asked_for(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(encoded(Image.new("RGB", (30, 20)), "PNG"))
    (page,) = pages(path, text=False, tables=False, charts=False, images=False)
    assert (page.elements, page.needs_ocr) == ((), False)
    (page,) = pages(path, page_as_image=True)
    assert [element.kind for element in page.elements] == [Kind.PAGE_IMAGE, Kind.IMAGE]


def test_every_page_of_a_tiff_is_read(tmp_path):
    path = tmp_path / "x.tiff"
    frames = [Image.new("L", (10 + n, 20), n * 40) for n in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    found = pages(path)
    assert [(page.number, page.size[0], page.total) for page in found] == [(1, 10.0, 3), (2, 11.0, 3), (3, 12.0, 3)]
    assert [pixel(page.scan.data)[0] for page in found] == [0, 40, 80]


def subfiles(path: Path, *kinds: int) -> None:
    """Write a TIFF of frames 10, 11 ... pixels wide that say what they are."""
    frames = [Image.new("L", (10 + n, 20)) for n in range(len(kinds))]
    for frame, kind in zip(frames, kinds, strict=True):
        frame.encoderinfo = {"tiffinfo": {254: kind}}
    frames[0].save(path, save_all=True, append_images=frames[1:], tiffinfo={254: kinds[0]})


@pytest.mark.parametrize(
    ("kinds", "widths"), [((0, 1, 2), [10, 12]), ((1, 0), [11]), ((0, 4), [10]), ((1, 1), [10, 11])]
)
def test_previews_and_masks_in_a_tiff_are_no_pages(tmp_path, kinds, widths):
    subfiles(tmp_path / "x.tiff", *kinds)
    found = pages(tmp_path / "x.tiff")
    assert [page.size[0] for page in found] == widths
    assert [(page.number, page.total) for page in found] == [(n, len(widths)) for n in range(1, len(widths) + 1)]


def test_more_pages_than_the_limit_are_refused(tmp_path):
    path = tmp_path / "x.tiff"
    frame = Image.new("L", (4, 4))
    frame.save(path, save_all=True, append_images=[frame] * 5)
    with pytest.raises(LimitExceededError, match="pages"):
        list(ImageExtractor().extract(path, ExtractOptions(), budget(pages=3)))


def test_animation_is_read_as_its_first_frame_and_says_so(tmp_path):
    path = tmp_path / "x.webp"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    (page,) = pages(path)
    assert pixel(page.scan.data) == (255, 0, 0)
    assert "2 frames" in page.elements[0].warnings[0]


def test_camera_orientation_is_applied():
    image = Image.new("RGB", (40, 20), "white")
    image.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture = read_picture(encoded(image, "PNG", exif=exif), budget())
    assert (picture.width, picture.height) == (20, 40)
    assert pixel(picture.data, (19, 0)) == (0, 0, 0)


def test_transparency_becomes_paper():
    picture = read_picture(encoded(Image.new("RGBA", (5, 5), (0, 0, 0, 0)), "PNG"), budget())
    assert pixel(picture.data) == (255, 255, 255)


@pytest.mark.parametrize(
    ("sign", "ground"),
    [("white", (0, 0, 0)), ("yellow", (0, 0, 0)), ("black", (255, 255, 255)), ("red", (255, 255, 255))],
)
def test_signs_on_a_transparent_ground_can_be_read(sign, ground):
    image = Image.new("RGBA", (50, 20), (0, 0, 0, 0))
    image.paste(sign, (10, 5, 40, 15))
    for form in (image, image.quantize(4)):
        picture = read_picture(encoded(form, "PNG"), budget())
        assert pixel(picture.data) == ground
        assert pixel(picture.data, (20, 10)) == Image.new("RGB", (1, 1), sign).getpixel((0, 0))


def test_a_light_page_with_clear_corners_stays_on_white():
    image = Image.new("RGBA", (50, 20), "white")
    image.paste("black", (10, 5, 40, 15))
    image.putpixel((0, 0), (0, 0, 0, 0))
    assert pixel(read_picture(encoded(image, "PNG"), budget()).data) == (255, 255, 255)


def test_sixteen_bits_keep_their_shade():
    deep = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    assert pixel(read_picture(encoded(deep, "PNG"), budget()).data) == (128, 128, 128)


def test_plain_pictures_are_handed_on_as_they_are():
    data = encoded(Image.new("RGB", (9, 9), "green"), "JPEG")
    picture = read_picture(data, budget())
    assert (picture.data, picture.media_type) == (data, "image/jpeg")


def test_pixels_are_counted_before_anything_is_inflated():
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    forged = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(LimitExceededError):
        read_picture(forged + b"\0\0\0\0IDAT", budget())
    with pytest.raises(LimitExceededError, match="page_pixels"):
        read_picture(encoded(Image.new("L", (100, 100)), "PNG"), budget(page_pixels=9_999))


def test_other_decoders_are_out_of_reach():
    with pytest.raises(CorruptFileError):
        read_picture(encoded(Image.new("RGB", (4, 4)), "PPM"), budget())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_damaged_pictures_are_one_typed_error(tmp_path, form):
    data = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), form)
    for cut in range(1, len(data) - 8, len(data) // 12):
        with pytest.raises(DataError):
            read_picture(data[: min(cut, len(data) * 3 // 4)], budget())
    for place in range(0, len(data), len(data) // 60):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        try:
            assert read_picture(bytes(broken), budget()).width > 0
        except DataError:
            continue


def test_empty_file(tmp_path):
    path = tmp_path / "x.png"
    path.touch()
    with pytest.raises(EmptyFileError):
        pages(path)


def test_small_pictures_are_not_looked_into():
    assert not may_hold_more(read_picture(encoded(Image.new("L", (400, 20)), "PNG"), budget()))
    assert may_hold_more(read_picture(encoded(Image.new("L", (400, 100)), "PNG"), budget()))
