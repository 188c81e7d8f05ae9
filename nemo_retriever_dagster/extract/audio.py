"""Sound (mp3, wav, flac, m4a) and the sound of films (mp4, mov, avi, mkv): decoded to what a transcriber hears.

libsndfile (through soundfile) reads wav, flac and mp3; PyAV, an extra, reads the others. Both are told which format to
expect: a playlist that calls itself a song would otherwise be read, and with it the files it names.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.errors import CorruptFileError, EmptyFileError, MissingDependencyError
from nemo_retriever_dagster.extract.audio_resample import RATE, Resampler
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page, Sound
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundfile import SoundFile

    from nemo_retriever_dagster.limits import Budget

_PLAIN = {"WAV", "WAVEX", "RF64", "W64", "FLAC", "MP3", "MPEG"}
"""libsndfile's names of the formats that are read through it."""
_CONTAINERS = {"m4a": "mov", "mp4": "mov", "mov": "mov", "avi": "avi", "mkv": "matroska"}
"""Document type -> FFmpeg's name of the only demuxer that may read it."""
_RATES = range(1_000, 768_001)
_BLOCK_SECONDS = 5
_UNNOTICED_SECONDS = 0.1  # headers of some recorders are wrong by a few bytes
_MOST_CHUNKS = 100
_UNKNOWN_SIZE = 0x7FFF_0000
"""From this size of a wav's sound on its writer did not know it: it wrote into a pipe."""
INSTALL = "pip install 'nemo-retriever-dagster[media]' (or: pip install av)"


class AudioExtractor:
    """Hands over the sound of a file, mono, 16 bits, 16 kHz; stages ask the transcriber what was said."""

    formats: tuple[str, ...] = ("mp3", "wav", "m4a", "flac", "mp4", "mov", "avi", "mkv")
    methods: tuple[str, ...] = ("audio",)
    version = "2"

    def extract(self, path: Path, options: ExtractOptions, budget: Budget) -> Iterator[Page]:
        """Yield one page with the sound. The decoded bytes are bounded like those of an archive."""
        if not path.stat().st_size:
            raise EmptyFileError
        container = _CONTAINERS.get(options.format)
        pieces = _plain_pieces(path) if container is None else _container_pieces(path, container)
        sound = bytearray()
        warnings: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                warnings.append(piece)
            else:
                budget.spend("archive_bytes", len(piece))
                sound += piece
        if not sound:
            raise CorruptFileError("The file holds no sound.")
        elements = (Element(kind=Kind.TEXT, warnings=tuple(warnings)),) if warnings else ()
        yield Page(elements=elements, sound=Sound(data=bytes(sound), sample_rate=RATE))


def _plain_pieces(path: Path) -> Iterator[bytes | str]:
    """Yield the samples, and a warning where the file ends before its time."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise MissingDependencyError.of("Reading sound", "pip install soundfile") from error
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.format not in _PLAIN or file.samplerate not in _RATES:
                raise CorruptFileError(f"The file is {file.format} at {file.samplerate} Hz, not mp3, wav or flac.")
            yield from _resampled(file, soundfile.SoundFileError, _told_share(path))
    except (soundfile.SoundFileError, ValueError) as error:
        raise CorruptFileError(f"The sound cannot be decoded: {error}.") from error


def _resampled(file: SoundFile, damage: type[Exception], told_share: float) -> Iterator[bytes | str]:
    """Yield the samples; ``told_share`` is how many times the sound that is there its header promises."""
    resampler = Resampler(file.samplerate)
    read = 0
    try:
        while len(block := file.read(_BLOCK_SECONDS * file.samplerate, dtype="float32", always_2d=True)):
            read += len(block)
            yield resampler.feed(np.clip(np.nan_to_num(block), -1.0, 1.0).mean(axis=1))  # damage decodes to no number
    except damage:
        if not read:
            raise
    yield resampler.finish()
    heard, told = (frames / file.samplerate for frames in (read, max(file.frames, read * told_share)))
    if told - heard > _UNNOTICED_SECONDS:
        yield f"The sound is cut off after {heard:.1f} of {told:.1f} s."


def _told_share(path: Path) -> float:
    """Return the size of a wav's sound by its header, as a share of what is there; 1 for other files.

    libsndfile believes the file's end and not the header.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return 1.0
        file.seek(12)
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:  # noqa: PLR2004 - a name and a size of four bytes each
                break
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                there = path.stat().st_size - file.tell()
                return size / there if 0 < there < size < _UNKNOWN_SIZE else 1.0
            file.seek(size + size % 2, 1)
    return 1.0


def _container_pieces(path: Path, container: str) -> Iterator[bytes | str]:
    """Yield the samples of the first sound track, and a warning where damage ended it."""
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError.of("Reading m4a and the sound of films", INSTALL) from error
    try:
        with path.open("rb") as file, av.open(file, mode="r", format=container) as media:
            if not media.streams.audio:
                raise CorruptFileError(
                    "The file has no sound track.", hint="A film without sound holds nothing to transcribe."
                )
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            heard = 0.0
            try:
                for frame in media.decode(media.streams.audio[0]):
                    heard = frame.time or heard
                    yield from (_samples(part) for part in resampler.resample(frame))
            except av.error.FFmpegError as error:
                yield f"The sound cannot be decoded behind {heard:.1f} s: {error}"
            yield from (_samples(part) for part in resampler.resample(None))
    except (av.error.FFmpegError, ValueError) as error:
        raise CorruptFileError(f"The sound cannot be decoded: {error}.") from error


def _samples(frame: object) -> bytes:
    return np.asarray(frame.to_ndarray()).astype("<i2").tobytes()  # type: ignore[attr-defined] # PyAV has no types
