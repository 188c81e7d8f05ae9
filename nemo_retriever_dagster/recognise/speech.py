"""Speech: what was said, with its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Element, Kind, Origin

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.ports import Transcriber
    from nemo_retriever_dagster.extract.contract import ExtractOptions, Page, Sound

_SILENCE = "No speech was recognised."


async def heard(page: Page, sound: Sound, options: ExtractOptions, transcriber: Transcriber) -> tuple[Element, ...]:
    """Return the transcript: one element, or one a sentence; where nothing was understood an empty one that says so."""
    segments = await transcriber.transcribe(sound.data, sound.sample_rate, segments=options.segment_audio)
    elements = tuple(
        Element(
            kind=Kind.AUDIO,
            text=segment.text,
            page=page.number,
            origin=Origin.SPEECH,
            engine=transcriber.name,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
        )
        for segment in segments
    )
    silence = Element(
        kind=Kind.AUDIO, page=page.number, origin=Origin.SPEECH, engine=transcriber.name, warnings=(_SILENCE,)
    )
    return elements or (silence,)
