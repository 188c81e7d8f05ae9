"""The default OCR engine: RapidOCR (PP-OCRv6) with the models of its own wheel. No network, no system package."""

from __future__ import annotations

import importlib.util
import io
import math
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.local.reading_order import Line, in_reading_order, joined, merged
from nemo_retriever_dagster.engines.local.worker import INSTALL_LOCAL, Worker, available_cores
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import MissingDependencyError, RejectedInputError
from nemo_retriever_dagster.model import Box, Usage, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nemo_retriever_dagster.engines.ports import MergeLevel
    from nemo_retriever_dagster.model import Picture

_UPRIGHT = 1.5  # a line so much taller than wide is written upwards or downwards
_VOTES = 5  # lines asked whether the page stands on its head
_LONG = 5  # line heights: the slope of a shorter line is that of its letters
_CLASSIFIED = 6  # line heights: a longer line would be squeezed to be classified
_SHORT_SIDE = 736  # pixels; below this the engine enlarges


class RapidOcr:
    """Fills the port `Ocr`; concurrent callers wait for one another, the event loop does not.

    Words are in reading order (columns first). A page that lies on its side or stands on its head is turned before it
    is read; boxes are those of the picture as it was given.
    """

    name = "local/rapidocr-PP-OCRv6-small"

    def __init__(self, *, threads: int = 0) -> None:
        """Cost nothing; the models are loaded by the first call. ``threads``: 0 takes every core."""
        self._threads = threads
        self._worker = Worker("ocr")
        self._lock = threading.Lock()
        self._engine: Any = None

    async def check(self) -> None:
        """Load the engine; raise `MissingDependencyError` where it is not installed."""
        await self._worker.run(self._load)

    async def aclose(self) -> None:
        """Finish what was asked for and free the models."""
        await self._worker.aclose()
        self._engine = None

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        """Return the words (lines, paragraphs) of each picture; raise `RejectedInputError` where one is unreadable."""
        return [await self._read_one(picture, merge) for picture in pictures]

    async def _read_one(self, picture: Picture, merge: MergeLevel) -> list[Word]:
        started = time.monotonic()
        words = await self._worker.run(lambda: self._words(picture, merge))
        record(self.name, Usage(requests=1, items=1, seconds=time.monotonic() - started))
        return words

    def _load(self) -> Any:
        if self._engine is None:
            self._engine = _engine(self._threads or available_cores())
        return self._engine

    def _words(self, picture: Picture, merge: MergeLevel) -> list[Word]:
        import numpy as np

        engine = self._load()
        image = pixels(picture)
        result = _run(engine, image)
        turns = _turns(engine, image, result)
        height, width = image.shape[:2]
        if turns:
            image = np.ascontiguousarray(np.rot90(image, turns))
            result = _run(engine, image)
        lines = [self._as_read(engine, image, line) for line in _lines(result)]
        words = merged(in_reading_order(lines), merge)
        return [replace(word, box=word.box.turned_back(turns, width, height)) for word in words]

    @staticmethod
    def _as_read(engine: Any, image: np.ndarray, line: Line) -> Line:
        """Return a line with its words where they are: the engine puts those of an upright line from the top down."""
        place = joined(line.words).box
        upright = place.height > _UPRIGHT * place.width
        if not upright or len(line.words) == 1 or not _on_head(engine, [_turned_left(_crop(image, place))]):
            return line
        return replace(line, words=tuple(replace(word, box=upwards(word.box, place)) for word in line.words))


def upwards(box: Box, line: Box) -> Box:
    """Return where a word of an upright line lies if that reads from the bottom up, not from the top down."""
    return box._replace(y0=line.y0 + line.y1 - box.y1, y1=line.y0 + line.y1 - box.y0)


def pixels(picture: Picture) -> np.ndarray:
    """Return a picture as uint8 of (height, width, blue green red); transparent parts are white."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture.data)) as opened:
            image = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RejectedInputError(f"The picture cannot be decoded: {error}") from error
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return np.ascontiguousarray(np.asarray(ground)[:, :, 2::-1])


def word_boxes(text: str, box: Box, pieces: Sequence[tuple[str, Box]], confidence: float) -> list[Word]:
    """Return the words of a line, with boxes from the engine's ``pieces`` of it (words or single characters).

    Where the pieces do not spell the line, its box is shared out by the number of characters.
    """
    words = text.split()
    if "".join(words) != "".join(piece for piece, _ in pieces).replace(" ", ""):
        return _shared_out(words, text, box, confidence)
    found: list[Word] = []
    rest = iter(pieces)
    for word in words:
        spelled, area = "", None
        while len(spelled) < len(word):
            piece, place = next(rest)
            spelled += piece.replace(" ", "")
            area = area.union(place) if area else place
        if spelled != word:
            return _shared_out(words, text, box, confidence)
        found.append(Word(text=word, box=area or box, confidence=confidence))
    return found


def _shared_out(words: Sequence[str], text: str, box: Box, confidence: float) -> list[Word]:
    upright = box.height > _UPRIGHT * box.width
    found, position = [], 0
    for word in words:
        position = text.index(word, position)
        start, end = position / len(text), (position + len(word)) / len(text)
        if upright:
            place = box._replace(y0=box.y0 + start * box.height, y1=box.y0 + end * box.height)
        else:
            place = box._replace(x0=box.x0 + start * box.width, x1=box.x0 + end * box.width)
        found.append(Word(text=word, box=place, confidence=confidence))
        position += len(word)
    return found


def _engine(threads: int) -> Any:
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.origin or not all(map(importlib.util.find_spec, ("onnxruntime", "cv2"))):
        raise MissingDependencyError.of("The local OCR engine", INSTALL_LOCAL)
    models = Path(spec.origin).parent / "models"
    # Named files: without them the library would download what it does not find.
    files = {part: models / name for part, name in _MODELS.items()}
    if missing := [path for path in files.values() if not path.is_file()]:
        raise MissingDependencyError.of(f"The local OCR engine ({missing[0].name})", INSTALL_LOCAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rapidocr import RapidOCR
    settings = {f"{part}.model_path": str(path) for part, path in files.items()}
    return RapidOCR(params={**settings, **_SETTINGS, "EngineConfig.onnxruntime.intra_op_num_threads": threads})


_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_SETTINGS = {
    "Global.log_level": "error",
    "Global.return_word_box": True,
    # The same words with a fifth less work (measured): memory is kept from one line to the next.
    "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
}


def _run(engine: Any, image: np.ndarray) -> Any:
    return engine(_widened(image), use_det=True, use_cls=True, use_rec=True)


def _widened(image: np.ndarray) -> np.ndarray:
    """Give a long strip more ground on the right or below.

    The engine enlarges every picture until its short side is long enough, which makes a strip huge.
    """
    import numpy as np

    height, width = image.shape[:2]
    least = min(_SHORT_SIDE, max(height, width) // 2)
    if min(height, width) >= least:
        return image
    ground = np.median(image.reshape(-1, 3), axis=0).astype(np.uint8)
    wide = np.full((max(height, least), max(width, least), 3), ground, dtype=np.uint8)
    wide[:height, :width] = image
    return wide


def _box(points: Any) -> Box:
    xs, ys = [float(x) for x, _ in points], [float(y) for _, y in points]
    return Box(min(xs), min(ys), max(xs), max(ys))


def _lines(result: Any) -> list[Line]:
    """Return the engine's lines in its own order, from the top down; their boxes are those of the page set upright."""
    if result.txts is None:
        return []
    tilt = _tilt(result.boxes)
    found = result.word_results or ()
    pieces = found if len(found) == len(result.txts) else [()] * len(result.txts)
    lines = []
    for text, points, score, parts in zip(result.txts, result.boxes, result.scores, pieces, strict=True):
        places = [(part[0], _box(part[2])) for part in parts if part[2] is not None]
        words = word_boxes(text, _box(points), places, float(score))
        if words:
            lines.append(Line(box=_box(_leaned(points, -tilt)), words=tuple(words)))
    return lines


def _tilt(boxes: Any) -> float:
    """Return the slope of the long lines in radians, 0 where there are none."""
    edges = [(box[1][0] - box[0][0], box[1][1] - box[0][1], box[3][1] - box[0][1]) for box in boxes]
    slopes = [math.atan2(rise, run) for run, rise, height in edges if run > _LONG * abs(height)]
    return median(slopes) if slopes else 0.0


def _leaned(points: Any, angle: float) -> list[tuple[float, float]]:
    sine, cosine = math.sin(angle), math.cos(angle)
    return [(float(x) * cosine - float(y) * sine, float(x) * sine + float(y) * cosine) for x, y in points]


def _turns(engine: Any, image: np.ndarray, result: Any) -> int:
    """Return how many quarter turns to the left make the page upright.

    The engine reads lines of any direction, but their order is that of the page as it lies.
    """
    if result.txts is None:
        return 0
    lines = zip(result.boxes, result.txts, strict=True)
    boxes = [_box(points) for points, text in lines if len(text) > 3]  # noqa: PLR2004 - shorter ones have no direction
    tall = [box for box in boxes if box.height > _UPRIGHT * box.width]
    lying = len(tall) > len(boxes) / 2
    longest = sorted(tall if lying else boxes, key=lambda box: -max(box.width, box.height))[:_VOTES]
    crops = [_crop(image, box) for box in longest]
    return int(lying) + 2 * int(_on_head(engine, [_turned_left(crop) for crop in crops] if lying else crops))


def _turned_left(image: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(np.rot90(image))


def _crop(image: np.ndarray, box: Box) -> np.ndarray:
    return image[int(max(box.y0, 0)) : int(box.y1) + 1, int(max(box.x0, 0)) : int(box.x1) + 1]


def _on_head(engine: Any, lines: Sequence[np.ndarray]) -> bool:
    """Whether lines stand on their head: some are classified so, and they read better the other way round.

    The classifier alone is no witness: whole pages were read upside down for it, and others were not turned.
    """
    starts = [line[:, : _CLASSIFIED * len(line)] for line in lines]
    labels = [engine(start, use_det=False, use_cls=True, use_rec=False).cls_res[0][0] for start in starts]
    if "180" not in labels:
        return False
    return sum(_legible(engine, line[::-1, ::-1]) for line in starts) > sum(_legible(engine, line) for line in starts)


def _legible(engine: Any, line: np.ndarray) -> float:
    """Return how sure the engine is of what it reads on a line as it stands, 0 to 1."""
    import numpy as np

    result = engine(np.ascontiguousarray(line), use_det=False, use_cls=False, use_rec=True)
    return float(result.scores[0]) if result.scores else 0.0
