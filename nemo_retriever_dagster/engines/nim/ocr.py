"""OCR: the 1.x NIMs (``/v1/infer``), the 2.x ones (``/v1/ocr``) and the hosted ones speak alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.engines.nim.base import NimClient, batches, halved
from nemo_retriever_dagster.engines.nim.detect import unit
from nemo_retriever_dagster.engines.nim.wire import field, number, rows
from nemo_retriever_dagster.errors import EngineReplyError
from nemo_retriever_dagster.model import Box, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel
    from nemo_retriever_dagster.model import Picture

_CORNERS = 4


class NimOcr(NimClient):
    """Reads pictures, 8 a request. Dialect ``paddle`` (the old PaddleOCR NIM) takes no merge levels."""

    default_model = "nvidia/nemotron-ocr-v1"
    default_batch = 8
    dialects = ("nemotron", "paddle")

    def guess(self) -> str:
        """Tell the dialect from the model's id and the addresses."""
        return "paddle" if "paddle" in (self.model + str(self.endpoint.targets)) else "nemotron"

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        """Return what each picture says, in pixels, from top to bottom; boxes are upright around turned text."""

        async def work(batch: Sequence[Picture]) -> list[list[Word]]:
            return await halved(lambda part: self._request(part, merge), batch)

        parts = await gather_bounded(work, batches(pictures, self.batch), limit=self.window)
        return [words for part in parts for words in part]

    async def _request(self, batch: Sequence[Picture], merge: MergeLevel) -> list[list[Word]]:
        async def body() -> dict[str, Any]:
            inputs = [{"type": "image_url", "url": await self.image(picture)} for picture in batch]
            levels = {"merge_levels": [merge] * len(batch)} if self.dialect == "nemotron" else {}
            return {"input": inputs, **levels}

        def read(reply: Any) -> list[list[Word]]:
            found = rows(reply, len(batch))
            return [_words(item, picture) for item, picture in zip(found, batch, strict=True)]

        return await self.ask(body, read, items=len(batch))


def _words(item: Any, picture: Picture) -> list[Word]:
    words = [_word(detection, picture) for detection in field(item, "text_detections", list)]
    # The model writes "nan" where it saw something and read nothing.
    read = [word for word in words if word.text.strip() and word.text.strip().lower() != "nan"]
    return sorted(read, key=lambda word: (word.box.y0, word.box.x0))


def _word(detection: Any, picture: Picture) -> Word:
    prediction = field(detection, "text_prediction", dict)
    points = field(field(detection, "bounding_box", dict), "points", list)
    if len(points) < _CORNERS or not all(isinstance(point, dict) for point in points):
        raise EngineReplyError("a text's box has fewer than four points")
    xs = [unit(point.get("x"), "x") * picture.width for point in points]
    ys = [unit(point.get("y"), "y") * picture.height for point in points]
    return Word(
        text=field(prediction, "text", str),
        box=Box(min(xs), min(ys), max(xs), max(ys)),
        confidence=number(prediction.get("confidence", 1.0), "confidence"),
    )
