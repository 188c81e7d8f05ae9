"""What a `NimServer` answers with where no engine was handed in, and how it reads pictures.

The simple engines are deterministic and honest about what they are: they hash words, measure ink and colours. They read
no text, so OCR, page parsing and speech need an engine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageChops

from nemo_retriever_dagster.engines.ports import Caption, CaptionRequest, EmbedInput, Engines, Region
from nemo_retriever_dagster.model import Box, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Purpose

_WORD = re.compile(r"\w+")
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg));base64,(\S+)")


class Refusal(Exception):  # noqa: N818 - it is a reply, not an error of ours
    """What a NIM refuses, with the status it answers."""

    def __init__(self, status: int, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.status = status
        self.detail = detail


class _Simple:
    """An engine that is always ready."""

    name = "simple"

    async def check(self) -> None:
        """Do nothing: it is ready."""

    async def aclose(self) -> None:
        """Do nothing: it holds nothing."""


class HashEmbedder(_Simple):
    """Vectors from hashed words: texts that share words are near each other, nothing more is meant by them."""

    max_tokens = 8192

    def __init__(self, dimension: int = 2048) -> None:
        """Choose the length of the vectors."""
        self.dimension = dimension

    async def embed(self, inputs: Sequence[EmbedInput], *, purpose: Purpose = "passage") -> np.ndarray:
        """Return unit vectors; a picture counts as a word of its own."""
        del purpose  # passages and queries are alike
        matrix = np.zeros((len(inputs), self.dimension), np.float32)
        for row, item in enumerate(inputs):
            words = _WORD.findall(item.text.lower()) + ([item.picture.sha256] if item.picture else [])
            for word in words or [item.text]:
                place, sign = _hashed(word)
                matrix[row, place % self.dimension] += sign
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        return matrix / np.where(norms == 0, 1, norms)


@lru_cache(maxsize=100_000)
def _hashed(word: str) -> tuple[int, float]:
    digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big"), 1.0 if digest[4] % 2 else -1.0


class ColourCaptioner(_Simple):
    """Says how large a picture is and which colour it has on average."""

    async def caption(
        self, request: CaptionRequest, *, prompt: str | None = None, system_prompt: str | None = None
    ) -> Caption:
        """Return one sentence."""
        del prompt, system_prompt  # it cannot be talked to
        with Image.open(io.BytesIO(request.picture.data)) as image:
            width, height = image.size
            image.draft("RGB", (width // 8, height // 8))  # a JPEG is decoded small
            red, green, blue = image.convert("RGB").resize((1, 1)).tobytes()
        return Caption(
            text=f"A picture of {width} by {height} pixels, on average #{red:02x}{green:02x}{blue:02x}.",
            source=self.name,
        )


class InkDetector(_Simple):
    """Finds one region: the box around everything that is not the colour of the top-left corner."""

    def __init__(self, label: str) -> None:
        """``label`` is what it calls the region."""
        self._label = label

    async def detect(self, pictures: Sequence[Picture]) -> list[list[Region]]:
        """Return the box, or nothing on a blank picture."""
        return [self._region(picture) for picture in pictures]

    def _region(self, picture: Picture) -> list[Region]:
        with Image.open(io.BytesIO(picture.data)) as opened:
            image = opened.convert("RGB")
        blank = Image.new("RGB", image.size, image.getpixel((0, 0)))
        ink = ImageChops.difference(image, blank).getbbox()
        return [Region(label=self._label, box=Box(*ink), confidence=0.9)] if ink else []


class OverlapReranker(_Simple):
    """Scores a passage by the share of the query's words in it."""

    async def rank(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return scores from -10 to 10."""
        wanted = set(_WORD.findall(query.lower())) or {""}
        shares = [len(wanted & set(_WORD.findall(passage.lower()))) / len(wanted) for passage in passages]
        return [20.0 * share - 10.0 for share in shares]


def simple_engines(dimension: int = 2048) -> Engines:
    """Return the engines of this module for the ports they can fill."""
    return Engines(
        embedder=HashEmbedder(dimension),
        page_elements=InkDetector("paragraph"),
        table_structure=InkDetector("cell"),
        graphic_elements=InkDetector("chart_title"),
        captioner=ColourCaptioner(),
        reranker=OverlapReranker(),
    )


def picture_of(url: Any, *, chars: int = 0) -> Picture:
    """Decode a data URL the way a NIM does.

    422 if it is none or holds another type than it says, 413 if it is longer than ``chars`` (0: any length).
    """
    match = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise Refusal(422, "url must be a data URL of a PNG or JPEG image in base64")
    if chars and len(match[2]) >= chars:
        raise Refusal(413, f"the image has {len(match[2])} base64 characters, fewer than {chars} are allowed")
    try:
        data = base64.b64decode(match[2], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            if Image.MIME.get(image.format or "") != match[1]:
                raise Refusal(422, f"the image is no {match[1]}")
            found = Picture(data=data, width=image.width, height=image.height, media_type=match[1])
            image.verify()
            return found
    except (binascii.Error, OSError, ValueError, struct.error) as cause:
        raise Refusal(422, "the image cannot be decoded") from cause


def quad(box: Box, size: tuple[int, int]) -> dict[str, Any]:
    """Return a box in pixels as the OCR NIM writes it: four points from 0 to 1, clockwise from the top left."""
    x0, y0, x1, y1 = box.scale(1 / size[0], 1 / size[1])
    points = [{"x": x, "y": y} for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    return {"type": "quadrilateral", "points": points}
