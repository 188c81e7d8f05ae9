"""The local transcriber: pocketsphinx with the English model of its own wheel. No network, no punctuation.

Fit for clear, read speech; on music or a noisy room it writes down words that nobody said.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines.local import sphinx
from nemo_retriever_dagster.engines.local.slots import Slots, run_program
from nemo_retriever_dagster.engines.local.worker import available_cores
from nemo_retriever_dagster.engines.ports import Segment
from nemo_retriever_dagster.engines.usage import record
from nemo_retriever_dagster.errors import EngineUnavailableError, InvalidOptionError, MissingDependencyError
from nemo_retriever_dagster.model import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTALL_SPEECH = "pip install 'nemo-retriever-dagster[speech]'"
_SENTENCE_PAUSE_MS = 300
_LOWEST_RATE = 8_000
_SAMPLE_BYTES = 2
_TIMES_AS_LONG = 30.0  # as the recording takes: music is that slow on a busy machine


class SphinxTranscriber:
    """Fills the port `Transcriber`: one process a recording, as many at once as there are cores."""

    name = "local/pocketsphinx-en-us"

    def __init__(self, *, parallel: int = 0) -> None:
        """Cost nothing; ``parallel`` 0 means one process a core."""
        self._slots = Slots(parallel or available_cores())

    async def check(self) -> None:
        """Raise `MissingDependencyError` where pocketsphinx is not installed."""
        if importlib.util.find_spec("pocketsphinx") is None:
            raise MissingDependencyError.of("Local transcription of speech", INSTALL_SPEECH)

    async def aclose(self) -> None:
        """Nothing is kept between calls."""

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        """Transcribe mono 16-bit little-endian PCM; one segment, or one a sentence; none where nobody speaks.

        A sentence ends where the speaker pauses. Raises `InvalidOptionError` for half a sample or a rate below 8 kHz.
        """
        if sample_rate < _LOWEST_RATE or len(pcm) % _SAMPLE_BYTES:
            given = f"{len(pcm)} bytes at {sample_rate} Hz"
            raise InvalidOptionError(f"Speech must be 16-bit samples at {_LOWEST_RATE} Hz or more, not {given}.")
        await self.check()
        seconds = len(pcm) / _SAMPLE_BYTES / sample_rate
        command = [sys.executable, "-P", sphinx.__file__, str(sample_rate)]
        started = time.monotonic()
        async with self._slots.one():
            code, out, error = await run_program(command, pcm, timeout=60 + _TIMES_AS_LONG * seconds)
        if code:
            raise EngineUnavailableError(f"The speech recogniser stopped with code {code}: {error}")
        record(self.name, Usage(requests=1, items=1, seconds=time.monotonic() - started))
        return sentences(json.loads(out), whole=not segments)


def sentences(words: Sequence[tuple[str, int, int]], *, whole: bool = False) -> list[Segment]:
    """Join words (text, start, end in milliseconds) up to each pause, or all of them."""
    groups: list[list[tuple[str, int, int]]] = []
    for word in words:
        if groups and (whole or word[1] - groups[-1][-1][2] < _SENTENCE_PAUSE_MS):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        Segment(text=" ".join(text for text, _, _ in group), start_ms=group[0][1], end_ms=group[-1][2])
        for group in groups
    ]
