"""What the NIMs' replies have in common, and how a picture goes over the wire."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

from PIL import Image

from nemo_retriever_dagster.errors import EngineReplyError
from nemo_retriever_dagster.model import Box, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTED_IMAGE_CHARS = 180_000
"""Base64 characters that a hosted NIM takes in one image, at most."""
_LARGEST = 1e300  # whole numbers may be longer than a float can be; no score, place or time is
_SMALLEST_SIDE = 32  # pixels; a NIM reads nothing on less


def data_url(picture: Picture) -> str:
    """Return the picture as ``data:image/png;base64,...``."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode('ascii')}"


def fitted(picture: Picture) -> Picture:
    """Return the picture, as JPEG and then scaled down where its base64 form would reach `HOSTED_IMAGE_CHARS`."""
    room = HOSTED_IMAGE_CHARS // 4 * 3 - 3
    if len(picture.data) <= room:
        return picture
    with Image.open(io.BytesIO(picture.data)) as opened:
        image = opened.convert("RGB")
    data = _jpeg(image)
    while len(data) > room and max(image.size) > _SMALLEST_SIDE:
        factor = max(min(math.sqrt(room / len(data)), 0.95), 0.25)
        image = image.resize((max(int(image.width * factor), 1), max(int(image.height * factor), 1)))
        data = _jpeg(image)
    return Picture(data=data, width=image.width, height=image.height, media_type="image/jpeg")


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def placed(size: tuple[int, int], frame: tuple[int, int]) -> Box:
    """Return where in a frame a picture of ``size`` stands that is scaled to fit and centred."""
    factor = min(frame[0] / size[0], frame[1] / size[1])
    width, height = (max(round(side * factor), 1) for side in size)
    left, top = (frame[0] - width) // 2, (frame[1] - height) // 2
    return Box(left, top, left + width, top + height)


def padded(picture: Picture, width: int, height: int) -> Picture:
    """Put the picture into a white frame of ``width`` x ``height`` pixels, at the place that `placed` tells."""
    with Image.open(io.BytesIO(picture.data)) as opened:
        image = opened.convert("RGB")
    place = placed((picture.width, picture.height), (width, height))
    image = image.resize((int(place.width), int(place.height)))
    frame = Image.new("RGB", (width, height), "white")
    frame.paste(image, (int(place.x0), int(place.y0)))
    out = io.BytesIO()
    frame.save(out, "PNG", compress_level=1)
    return Picture(data=out.getvalue(), width=width, height=height)


def rows(reply: Any, count: int) -> list[Mapping[str, Any]]:
    """Return the items of a reply in the order of the request.

    The reply is a list, or an object with ``data``, ``output`` or ``predictions``. There must be ``count`` items; where
    they carry an ``index``, those are put in order and must be 0 .. count-1.
    """
    items = reply
    if isinstance(reply, dict):
        items = next((reply[key] for key in ("data", "output", "predictions") if key in reply), None)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise EngineReplyError("it holds no list of items")
    if len(items) != count:
        raise EngineReplyError(f"it holds {len(items)} items for {count} inputs")
    if not any("index" in item for item in items):
        return items
    placed = {item.get("index"): item for item in items if isinstance(item.get("index"), int)}
    if sorted(placed) != list(range(count)):
        raise EngineReplyError("the indexes of its items are not those of the inputs")
    return [placed[index] for index in range(count)]


def number(value: Any, what: str) -> float:
    """Return a finite number."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if not good:
        raise EngineReplyError(f"{what} is {repr(value)[:40]}, not a number")
    return float(value)


def field(item: Any, name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """Return ``item[name]``, which must be there and of ``kind``."""
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        raise EngineReplyError(f"it holds no {name!r}")
    return value


def listed(item: Mapping[str, Any], name: str) -> list[Any]:
    """Return the list ``item[name]``, an empty one where it is missing or null."""
    value = item.get(name) or []
    if not isinstance(value, list):
        raise EngineReplyError(f"{name!r} is no list")
    return value


def message_of(reply: Any) -> Mapping[str, Any]:
    """Return ``choices[0].message`` of a chat completion."""
    choices = field(reply, "choices", list)
    if not choices:
        raise EngineReplyError("it holds no choice")
    message: Mapping[str, Any] = field(choices[0], "message", dict)
    return message


def cut_off(reply: Any) -> bool:
    """Whether a chat completion ended because it had become too long."""
    message_of(reply)
    return bool(reply["choices"][0].get("finish_reason") == "length")
