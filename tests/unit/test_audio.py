"""Sound: decoded to 16 kHz, mono, 16 bits, whatever it came as."""

from __future__ import annotations

import struct
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    DataError,
    EmptyFileError,
    LimitExceededError,
    MissingDependencyError,
)
from nemo_retriever_dagster.extract.audio import AudioExtractor
from nemo_retriever_dagster.extract.audio_resample import RATE, Resampler
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 0.5


def read(path: Path, limits: Limits | None = None) -> Page:
    options = ExtractOptions(format=path.suffix[1:])
    (page,) = AudioExtractor().extract(path, options, Budget(limits=limits or Limits()))
    return page


def tone(rate: int, seconds: float = SECONDS, pitch: float = 1000.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def heard(page: Page) -> np.ndarray:
    assert page.sound.sample_rate == RATE
    return np.frombuffer(page.sound.data, dtype="<i2") / 32767


def pitch_of(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_keeps_length_pitch_and_loudness(tmp_path, rate):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(rate), rate)
    sound = heard(read(path))
    assert abs(len(sound) - RATE * SECONDS) <= 2
    assert abs(pitch_of(sound) - 1000) < 5
    assert abs(np.abs(sound[1000:-1000]).max() - 0.5) < 0.01


def test_what_is_too_high_to_keep_does_not_fold_down(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(48_000, pitch=13_000), 48_000)
    assert np.abs(heard(read(path))[500:-500]).max() < 0.001


def test_pieces_give_what_the_whole_gives():
    samples = tone(44_100)
    whole, parts = Resampler(44_100), Resampler(44_100)
    once = whole.feed(samples) + whole.finish()
    assert b"".join([*map(parts.feed, np.array_split(samples, 13)), parts.finish()]) == once


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_kinds_of_wav(tmp_path, subtype):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype=subtype)
    assert abs(pitch_of(heard(read(path))) - 1000) < 5


def test_voicemail_is_read(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(8_000), 8_000, subtype="GSM610")
    page = read(path)
    assert abs(pitch_of(heard(page)) - 1000) < 5
    assert page.elements == ()


@pytest.mark.parametrize("form", ["flac", "mp3"])
def test_compressed_formats(tmp_path, form):
    path = tmp_path / f"x.{form}"
    soundfile.write(path, np.stack([tone(44_100), np.zeros(22_050, np.float32)], axis=1), 44_100)
    sound = heard(read(path))
    assert abs(len(sound) - RATE * SECONDS) < RATE * 0.1
    assert abs(pitch_of(sound) - 1000) < 5
    assert abs(np.abs(sound[2000:-2000]).max() - 0.25) < 0.03, "two channels are averaged"


@pytest.mark.parametrize("form", ["m4a", "mp4", "mov", "mkv", "avi"])
def test_containers_need_an_extra(tmp_path, form):
    path = tmp_path / f"x.{form}"
    make_container(path, tone(44_100))
    assert abs(pitch_of(heard(read(path))) - 1000) < 5


def make_container(path: Path, samples: np.ndarray) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format="mp4" if path.suffix == ".m4a" else None) as media:
        stream = media.add_stream("mp3" if path.suffix == ".avi" else "aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            media.mux(packet)


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A ")
    with pytest.raises(MissingDependencyError, match=r"\[media\]"):
        read(path)


def test_a_playlist_under_the_name_of_a_song_is_not_followed(tmp_path):
    pytest.importorskip("av")
    canary = tmp_path / "canary.wav"
    soundfile.write(canary, tone(16_000), 16_000)
    for text in (f"#EXTM3U\n#EXTINF:1,\n{canary.as_uri()}\n", f"ffconcat version 1.0\nfile {canary}\n"):
        for name in ("x.m4a", "x.mkv", "x.mp3"):
            path = tmp_path / name
            path.write_text(text)
            with pytest.raises(CorruptFileError):
                read(path)


def test_silence_is_sound(tmp_path):
    path = tmp_path / "x.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    assert read(path).sound.data == bytes(3200)


def test_decoded_sound_is_bounded(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.zeros(16_000 * 30, np.float32), 16_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(LimitExceededError, match="archive_bytes"):
        read(path, Limits(archive_bytes=500_000))


def test_a_cut_recording_is_read_and_says_so(tmp_path):
    path = tmp_path / "x.flac"
    noise = np.random.default_rng(7).uniform(-0.5, 0.5, 8_000 * 24).astype(np.float32)
    soundfile.write(path, noise, 8_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    page = read(path)
    assert "cut off after" in page.elements[0].warnings[0]
    assert "of 24.0 s" in page.elements[0].warnings[0]
    assert RATE * 14 < len(heard(page)) < RATE * 19


@pytest.mark.parametrize(("subtype", "rate"), [("PCM_16", 16_000), ("GSM610", 8_000)])
def test_a_wav_that_is_shorter_than_its_header_says_so(tmp_path, subtype, rate):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(rate, 24.0), rate, subtype=subtype)
    data = path.read_bytes()
    assert read(path).elements == ()
    path.write_bytes(data[: len(data) * 3 // 4])
    assert read(path).elements[0].warnings == ("The sound is cut off after 18.0 of 24.0 s.",)


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000])
def test_a_wav_from_a_pipe_is_not_cut_off(tmp_path, size):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(16_000), 16_000)
    data = path.read_bytes()
    place = data.index(b"data") + 4
    path.write_bytes(data[:place] + struct.pack("<I", size) + data[place + 4 :])
    page = read(path)
    assert page.elements == ()
    assert abs(len(heard(page)) - RATE * SECONDS) <= 2


def test_unfit_files_are_one_typed_error(tmp_path):
    path = tmp_path / "x.wav"
    path.touch()
    with pytest.raises(EmptyFileError):
        read(path)
    for data in (
        b"RIFF",
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"hello" * 100,
        struct.pack("<4sI4s", b"FORM", 100, b"AIFF") + bytes(50),
    ):
        path.write_bytes(data)
        with pytest.raises(CorruptFileError):
            read(path)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(CorruptFileError, match="no sound"):
        read(path)


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "m4a"])
def test_damage_is_sound_or_one_typed_error(tmp_path, form):
    path = tmp_path / f"x.{form}"
    if form == "m4a":
        make_container(path, tone(44_100, 0.2))
    else:
        soundfile.write(path, tone(44_100, 0.2), 44_100)
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 25)):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        for bad in (data[:place], bytes(broken)):
            path.write_bytes(bad)
            try:
                assert read(path).sound.data
            except DataError:
                continue
