"""Captions without a vision model: only what the document itself says about a picture, and what can be measured.

No model looks at the picture, and ``Caption.source`` says so ("local"). Nothing is guessed about what it shows.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines.ports import Caption
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import RejectedInputError
from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from nemo_retriever_dagster.engines.ports import CaptionRequest
    from nemo_retriever_dagster.model import Picture, Word

SOURCE = "local"
_MOST_CHARACTERS = 400  # of the caption line, and of the words in the picture
_NAMED_SHARE = 0.15  # of the picture's area; a colour with less goes unnamed
_MOST_COLOURS = 3
_FLAT = 64  # a picture of fewer colours is drawn, not photographed
_PALETTE = {
    "black": (20, 20, 20),
    "grey": (128, 128, 128),
    "white": (245, 245, 245),
    "red": (200, 40, 40),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 60),
    "green": (60, 150, 60),
    "cyan": (60, 190, 200),
    "blue": (50, 90, 190),
    "purple": (130, 60, 160),
    "pink": (240, 150, 180),
    "brown": (120, 80, 45),
}

_log = logging.getLogger(__name__)


class LocalCaptioner:
    """Fills the port `Captioner` from alt text, the document's caption, the words in the picture, size and colours."""

    name = "local/captions"

    def __init__(self) -> None:
        """Cost nothing."""
        self._said = False

    async def check(self) -> None:
        """There is nothing that could be missing."""

    async def aclose(self) -> None:
        """Nothing is kept between calls."""

    async def caption(
        self, request: CaptionRequest, *, prompt: str | None = None, system_prompt: str | None = None
    ) -> Caption:
        """Return what is known of the picture; raise `RejectedInputError` where it cannot be decoded.

        ``prompt`` and ``system_prompt`` have no effect, which the log says once.
        """
        if (prompt or system_prompt) and not self._said:
            self._said = True
            _log.warning(
                "prompt and system_prompt have no effect: local captions come from no model. Set endpoint_url."
            )
        known = (request.alt_text, _cut(request.caption), _spoken(request.words))
        parts = [_sentence(text) for text in known if text.strip()]
        record(self.name, Usage(requests=1, items=1))
        return Caption(text=" ".join([*parts, described(request.picture)]), source=SOURCE)


def described(picture: Picture) -> str:
    """Return kind, size and colours of a picture as a sentence: "Drawing, 640 x 480 pixels, mostly white and blue."."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture.data)) as opened:
            opened.load()
            kind = "Drawing" if _is_flat(opened) else "Picture"
            width, height = opened.size
            colours = _colours(opened)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RejectedInputError(f"The picture cannot be decoded: {error}") from error
    return f"{kind}, {width} x {height} pixels, mostly {' and '.join(colours)}."


def _spoken(words: Sequence[Word]) -> str:
    text = " ".join(word.text for word in words)
    return f"Text in the picture: {_cut(text)}" if text.strip() else ""


def _cut(text: str) -> str:
    """Shorten at a word's end; what is left out is marked."""
    text = " ".join(text.split())
    if len(text) <= _MOST_CHARACTERS:
        return text
    return text[:_MOST_CHARACTERS].rpartition(" ")[0] + " …"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text[-1] in ".!?…:" else f"{text}."


def _is_flat(image: Image) -> bool:
    sample = image.convert("RGB").resize((128, 128), resample=0)
    colours = sample.getcolors(maxcolors=_FLAT)
    return colours is not None


def _colours(image: Image) -> list[str]:
    """Return the names of the commonest colours, at least one, most common first."""
    import numpy as np
    from PIL import Image as Images

    ground = Images.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    points = np.asarray(ground.convert("RGB").resize((64, 64))).reshape(-1, 1, 3).astype(np.int32)
    distances = ((points - np.array(list(_PALETTE.values()))) ** 2).sum(axis=2)
    counts = np.bincount(distances.argmin(axis=1), minlength=len(_PALETTE))
    order = np.argsort(-counts, kind="stable")[:_MOST_COLOURS]
    names = list(_PALETTE)
    return [names[i] for rank, i in enumerate(order) if rank == 0 or counts[i] >= _NAMED_SHARE * len(points)]
