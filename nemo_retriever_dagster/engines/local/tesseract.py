"""OCR by the Tesseract program, where it is installed: fast on clean print, not part of any Python package."""

from __future__ import annotations

import asyncio
import csv
import re
import shutil
import time
from dataclasses import replace
from itertools import groupby
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

from nemo_retriever_dagster.engines.local.reading_order import joined
from nemo_retriever_dagster.engines.local.slots import Slots, run_program
from nemo_retriever_dagster.engines.local.worker import available_cores
from nemo_retriever_dagster.engines.pictures import turned
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import EngineUnavailableError, MissingDependencyError, RejectedInputError
from nemo_retriever_dagster.model import Box, Usage, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel
    from nemo_retriever_dagster.model import Picture

_Row: TypeAlias = tuple[tuple[str, ...], Word]
INSTALL_TESSERACT = "apt-get install tesseract-ocr (or your system's package)"
_KEYS = {
    "word": ("page_num", "block_num", "par_num", "line_num", "word_num"),
    "sentence": ("page_num", "block_num", "par_num", "line_num"),
    "paragraph": ("page_num", "block_num", "par_num"),
}
"""The columns that tell one piece from the next."""
_WORD_ROW = "5"
# Its own choice, one threshold for the page, leaves out most of a ruled table and what lies in shade; without a
# resolution it guesses one from what it takes for letters, and loses rows by that (measured).
_HOW = ("-c", "thresholding_method=2", "--dpi", "200")
_UNSURE = 0.6  # mean confidence: upright print has 0.9, on its side or head 0.3 to 0.5
_SURER = 0.2  # of a page the right way up: at least 0.5 more; a blurred page is turned wrongly for 0.01 more (measured)
_ROTATE = re.compile(rb"^Rotate: (90|180|270)$", re.MULTILINE)


class TesseractOcr:
    """Fills the port `Ocr`: one process a picture, as many at once as there are cores.

    Words are in Tesseract's own reading order. Where it is unsure of what it read it is asked which way up the page is
    (which takes its data file ``osd``), and a page on its side or head is turned and read again.
    """

    def __init__(self, *, languages: str = "eng", parallel: int = 0, timeout: float = 120.0) -> None:
        """Cost nothing. ``languages`` as Tesseract names them ("eng+deu"); ``timeout`` in seconds a picture."""
        self.name = f"local/tesseract-{languages}"
        self._languages = languages
        self._timeout = timeout
        self._slots = Slots(parallel or available_cores())

    async def check(self) -> None:
        """Raise `MissingDependencyError` without the program or a language, `EngineUnavailableError` if it fails."""
        code, out, error = await self._call("--list-langs", data=b"")
        if code:
            raise EngineUnavailableError(f"tesseract --list-langs failed: {error}")
        installed = set(out.decode().split("\n")[1:])
        for language in self._languages.split("+"):
            if language not in installed:
                install = f"apt-get install tesseract-ocr-{language.replace('_', '-')}"
                raise MissingDependencyError.of(f"OCR in the language {language!r}", install)

    async def aclose(self) -> None:
        """Nothing is kept between calls."""

    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        """Return the words (lines, paragraphs) of each picture; raise `RejectedInputError` where one is unreadable."""
        tasks = [asyncio.ensure_future(self._read_one(picture, merge)) for picture in pictures]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _read_one(self, picture: Picture, merge: MergeLevel) -> list[Word]:
        async with self._slots.one():
            started = time.monotonic()
            rows = await self._rows(picture.data)
            if rows and _confidence(rows) < _UNSURE:
                rows = await self._turned(picture, rows)
        record(self.name, Usage(requests=1, items=1, seconds=time.monotonic() - started))
        return _merged(rows, merge)

    async def _rows(self, data: bytes) -> list[_Row]:
        code, out, error = await self._call("stdin", "stdout", "-l", self._languages, *_HOW, "tsv", data=data)
        if code:
            raise RejectedInputError(f"Tesseract cannot read the picture: {error}")
        return _rows(out.decode("utf-8", "replace"))

    async def _turned(self, picture: Picture, rows: list[_Row]) -> list[_Row]:
        """Return what stands on the picture the way up that Tesseract takes it to be; ``rows`` where it is no surer."""
        _, out, _ = await self._call("stdin", "stdout", "--psm", "0", data=picture.data)
        found = _ROTATE.search(out)
        if found is None:
            return rows
        turns = 4 - int(found[1]) // 90  # it counts to the right
        other = await self._rows((await asyncio.to_thread(turned, picture, turns)).data)
        if not other or _confidence(other) < _confidence(rows) + _SURER:
            return rows
        size = (picture.width, picture.height)
        return [(key, replace(word, box=word.box.turned_back(turns, *size))) for key, word in other]

    async def _call(self, *arguments: str, data: bytes) -> tuple[int, bytes, str]:
        program = shutil.which("tesseract")
        if program is None:
            raise MissingDependencyError.of("The OCR engine 'tesseract'", INSTALL_TESSERACT)
        # Its threads get in one another's way: one is five times as fast as the default (measured).
        single = {"OMP_THREAD_LIMIT": "1"}
        return await run_program([program, *arguments], data, timeout=self._timeout, environment=single)


def parse_tsv(tsv: str, merge: MergeLevel = "word") -> list[Word]:
    """Return the words of Tesseract's TSV output, or its lines or paragraphs as one piece each."""
    return _merged(_rows(tsv), merge)


def _rows(tsv: str) -> list[_Row]:
    rows = csv.DictReader(tsv.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    found = [row for row in rows if row["level"] == _WORD_ROW and (row["text"] or "").strip()]
    return [(tuple(row[key] for key in _KEYS["word"]), _word(row)) for row in found]


def _merged(rows: list[_Row], merge: MergeLevel) -> list[Word]:
    depth = len(_KEYS[merge])
    groups = groupby(rows, key=lambda row: row[0][:depth])
    return [joined([word for _, word in group]) for _, group in groups]


def _confidence(rows: list[_Row]) -> float:
    return fmean(word.confidence for _, word in rows)


def _word(row: dict[str, str]) -> Word:
    left, top = float(row["left"]), float(row["top"])
    box = Box(left, top, left + float(row["width"]), top + float(row["height"]))
    return Word(text=row["text"].strip(), box=box, confidence=min(max(float(row["conf"]) / 100, 0.0), 1.0))
