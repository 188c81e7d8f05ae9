"""The local transcriber on a spoken recording and on none."""

import asyncio
import importlib.util
import wave
from pathlib import Path

import numpy as np
import pytest

from nemo_retriever_dagster.engines.local import sphinx
from nemo_retriever_dagster.engines.local.speech import SphinxTranscriber, sentences
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import EngineTimeoutError, InvalidOptionError

RECORDING = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "dev" / "files" / "multimodal_test.wav"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pocketsphinx") is None, reason="the extra is not installed")


@pytest.mark.skipif(not RECORDING.exists(), reason="the shared corpora are not here")
def test_a_clear_recording():
    with wave.open(str(RECORDING)) as file:
        rate, pcm = file.getframerate(), file.readframes(int(8.2 * file.getframerate()))
    with metered() as meter:
        found = asyncio.run(SphinxTranscriber().transcribe(pcm, rate, segments=True))
    text = " ".join(segment.text for segment in found)
    assert "section one this is the first section of the document" in text
    assert "more place holder text to show how the document looks like" in text
    assert len(found) >= 2
    assert 0 <= found[0].start_ms < found[0].end_ms <= found[1].start_ms < found[-1].end_ms <= 8200
    assert 3000 < found[-1].start_ms < 5500
    assert meter.totals["local/pocketsphinx-en-us"].items == 1


def test_silence_has_no_segments():
    assert asyncio.run(SphinxTranscriber().transcribe(bytes(16_000), 16_000)) == []
    assert asyncio.run(SphinxTranscriber().transcribe(b"", 16_000)) == []


@pytest.mark.parametrize(("pcm", "rate"), [(b"\0", 16_000), (b"\0\0", 4_000), (b"\0\0", 0)])
def test_impossible_sound_is_misuse(pcm, rate):
    with pytest.raises(InvalidOptionError):
        asyncio.run(SphinxTranscriber().transcribe(pcm, rate))


def test_a_slow_recogniser_is_stopped(monkeypatch):
    monkeypatch.setattr("nemo_retriever_dagster.engines.local.speech._TIMES_AS_LONG", -59.9)
    noise = np.random.default_rng(0).integers(-9000, 9000, 16_000, dtype=np.int16).tobytes()
    with pytest.raises(EngineTimeoutError):
        asyncio.run(SphinxTranscriber().transcribe(noise, 16_000))


WORDS = [("one", 0, 400), ("two", 500, 900), ("three", 1400, 1800)]


def test_sentences_end_at_pauses():
    parts = [(segment.text, segment.start_ms, segment.end_ms) for segment in sentences(WORDS)]
    assert parts == [("one two", 0, 900), ("three", 1400, 1800)]
    assert [segment.text for segment in sentences(WORDS, whole=True)] == ["one two three"]
    assert sentences([], whole=True) == []


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone_and_drops_what_does_not_fit(rate):
    times = np.arange(rate) / rate
    tone = (8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    kept = sphinx.resampled(tone, rate)
    assert len(kept) == sphinx.RATE
    spectrum = np.abs(np.fft.rfft(kept))
    assert int(spectrum.argmax()) == 440
    if rate > 20_000:
        hiss = (8000 * np.sin(2 * np.pi * 10_000 * times)).astype(np.int16)
        assert np.abs(sphinx.resampled(hiss, rate)[500:-500]).max() < 100


def test_long_sound_is_cut_where_it_is_quiet():
    samples = np.full(150 * sphinx.RATE, 3000, dtype=np.int16)
    samples[50 * sphinx.RATE : 51 * sphinx.RATE] = 0
    parts = list(sphinx.blocks(samples))
    assert 50 * sphinx.RATE < parts[1][0] < 51 * sphinx.RATE
    assert sum(len(part) for _, part in parts) == len(samples)
    assert [start for start, _ in parts] == list(np.cumsum([0, *(len(part) for _, part in parts[:-1])]))
