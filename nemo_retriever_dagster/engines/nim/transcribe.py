"""Speech over HTTP: ``/v1/audio/transcriptions`` of the ASR NIM or of any OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.nim.base import NimClient
from nemo_retriever_dagster.engines.nim.wire import field, listed, number
from nemo_retriever_dagster.engines.ports import Segment

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

_SENTENCE = re.compile(r"(?<=[.?!])\s+")


class NimTranscriber(NimClient):
    """Writes down speech. Dialect ``nim`` tells no times; ``openai`` asks for segments with theirs."""

    default_model = "parakeet-1-1b-ctc-en-us"
    dialects = ("nim", "openai")

    def __init__(self, endpoint: NimEndpoint) -> None:
        """Prepare the client; nothing is sent yet."""
        super().__init__(endpoint)
        self._format = "verbose_json" if self.dialect == "openai" else "json"

    @property
    def name(self) -> str:
        """``nim/`` and the model's id; also the language, if it is not English."""
        return super().name + self.endpoint.language_mark

    def guess(self) -> str:
        """Take a parakeet or canary for a NIM's model."""
        return "nim" if any(name in self.model for name in ("parakeet", "canary", "nvidia/")) else "openai"

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        """Transcribe mono 16-bit PCM; silence is an empty list."""
        fields = {"language": self.endpoint.language, "model": self.model, "response_format": self._format}
        if self.dialect == "openai":  # it names languages by two letters
            fields["language"] = self.endpoint.language.partition("-")[0]
        file = ("speech.wav", await asyncio.to_thread(wav, pcm, sample_rate), "audio/wav")
        found = await self.http.post_form(fields, file, _read)
        return found if segments else joined(found)


def wav(pcm: bytes, sample_rate: int) -> bytes:
    """Return mono 16-bit PCM as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(pcm)
    return out.getvalue()


def joined(segments: list[Segment]) -> list[Segment]:
    """Return one segment with the text of all, from the first's start to the last's end; none where there is none."""
    if not segments:
        return []
    text = " ".join(segment.text for segment in segments)
    return [Segment(text=text, start_ms=segments[0].start_ms, end_ms=segments[-1].end_ms)]


def _read(reply: Any) -> list[Segment]:
    text = field(reply, "text", str).strip()
    timed = [_segment(item) for item in listed(reply, "segments")]
    found = timed or [Segment(text=sentence) for sentence in _SENTENCE.split(text)]
    return [segment for segment in found if segment.text]


def _segment(item: Any) -> Segment:
    text = field(item, "text", str).strip()
    start, end = (round(1000 * number(item.get(name), name)) for name in ("start", "end"))
    return Segment(text=text, start_ms=start, end_ms=end)
