"""The speech recogniser's process: PCM on standard input, words as JSON on standard output.

A process of its own because pocketsphinx holds the interpreter's lock while it works, for minutes on end. Run as a
script, ``sphinx.py SAMPLE_RATE``; it imports nothing of this package, so that it starts fast.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 16_000
_FRAME_MS = 10
_VOICE_MS = 30
_BLOCK = 60 * RATE  # at most so much is decoded at once: the search's memory grows with it
_EARLIEST_CUT = 40 * RATE
_PAUSE = RATE // 10


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return int16 samples at `RATE`; what a lower rate cannot carry is filtered out first."""
    signal = samples.astype(np.float64)
    if rate == RATE or not len(signal):
        return samples
    if rate > RATE:
        reach = 8 * rate // RATE
        steps = np.arange(-reach, reach + 1)
        window = np.sinc(steps * 2 * 0.45 * RATE / rate) * np.hamming(len(steps))
        signal = np.convolve(signal, window / window.sum(), "same")
    times = np.arange(len(signal) * RATE // rate) * rate / RATE
    levels = np.interp(times, np.arange(len(signal)), signal)
    return np.clip(np.round(levels), -32768, 32767).astype(np.int16)


def blocks(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a long recording at its quietest tenths of a second; yield each part's start and samples."""
    start = 0
    while len(samples) - start > _BLOCK:
        part = samples[start + _EARLIEST_CUT : start + _BLOCK].astype(np.float64)
        loudness = (part[: len(part) // _PAUSE * _PAUSE].reshape(-1, _PAUSE) ** 2).sum(axis=1)
        end = start + _EARLIEST_CUT + int(loudness.argmin()) * _PAUSE + _PAUSE // 2
        yield start, samples[start:end]
        start = end
    yield start, samples[start:]


def voice(samples: np.ndarray) -> np.ndarray:
    """Return for each 30 ms whether somebody may be speaking."""
    from pocketsphinx import Vad

    detector: Any = Vad(sample_rate=RATE, frame_length=_VOICE_MS / 1000)
    size = RATE * _VOICE_MS // 1000
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return np.array([detector.is_speech(frame.tobytes()) for frame in frames], dtype=bool)


def words(samples: np.ndarray) -> Iterator[tuple[str, int, int]]:
    """Yield each word with its start and end in milliseconds."""
    from pocketsphinx import Decoder

    decoder: Any = Decoder(loglevel="FATAL")
    for start, part in blocks(samples):
        voiced = voice(part)
        if not voiced.any():  # the search would find a word in silence too
            continue
        decoder.start_utt()
        decoder.process_raw(part.tobytes(), full_utt=True)
        decoder.end_utt()
        offset = start * 1000 // RATE
        for found in decoder.seg() or ():
            first, last = found.start_frame * _FRAME_MS // _VOICE_MS, found.end_frame * _FRAME_MS // _VOICE_MS
            if found.word[0] not in "<[" and voiced[first : last + 1].any():  # neither silence nor noise
                text = found.word.partition("(")[0]  # "a(2)" is another way to say "a"
                yield text, offset + found.start_frame * _FRAME_MS, offset + (found.end_frame + 1) * _FRAME_MS


if __name__ == "__main__":
    pcm = np.frombuffer(sys.stdin.buffer.read(), dtype="<i2")
    json.dump(list(words(resampled(pcm, int(sys.argv[1])))), sys.stdout)
