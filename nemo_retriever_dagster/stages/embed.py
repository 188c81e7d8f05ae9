"""Embed: chunks get vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.errors import EngineReplyError, MissingDependencyError
from nemo_retriever_dagster.model import PICTURES, STRUCTURED, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Embedder
    from nemo_retriever_dagster.model import Chunk, Element
    from nemo_retriever_dagster.stages.caption import Captions
    from nemo_retriever_dagster.tasks import EmbedTask


CAPTION_CHARS = 2_000
"""Of a caption or alt text, which nothing cuts into chunks: as much as is embedded, searched and shown."""


def passage(chunk: Chunk, element: Element, captions: Captions) -> str:
    """Return what is embedded and searched.

    The chunk's text, under the document's caption if it is of a table or chart; for a picture its caption, alt text or
    words, for a page image the text of the page it stands for.
    """
    if chunk.kind is Kind.PAGE_IMAGE and chunk.text:
        return chunk.text
    made = captions[chunk.element].text if chunk.element in captions else ""
    caption, alt_text = element.caption[:CAPTION_CHARS], element.alt_text[:CAPTION_CHARS]
    if chunk.kind in PICTURES:
        return made or alt_text or caption or chunk.text
    if chunk.kind in STRUCTURED and chunk.text and caption not in chunk.text:
        return f"{caption}\n{chunk.text}"
    return chunk.text or made or alt_text


def embeddable(chunks: Sequence[Chunk], elements: Sequence[Element], captions: Captions, task: EmbedTask) -> list[int]:
    """Return the positions of the chunks that get a vector: their kind is wanted and there is something to embed."""
    return [
        i
        for i, chunk in enumerate(chunks)
        if _wanted(chunk.kind, task)
        and (passage(chunk, elements[chunk.element], captions).strip() or _embeds_picture(chunk, elements, task))
    ]


def _wanted(kind: Kind, task: EmbedTask) -> bool:
    if kind in STRUCTURED:
        return task.embed_structured_elements is not False
    if kind in PICTURES:
        return task.embed_image_elements
    return task.embed_audio_elements if kind is Kind.AUDIO else task.embed_text_elements is not False


def _modality(kind: Kind, task: EmbedTask) -> str:
    if kind in STRUCTURED:
        return task.structured_elements_modality
    if kind in PICTURES:
        return task.image_elements_modality
    return task.audio_elements_modality if kind is Kind.AUDIO else task.text_elements_modality


def _embeds_picture(chunk: Chunk, elements: Sequence[Element], task: EmbedTask) -> bool:
    return elements[chunk.element].picture is not None and _modality(chunk.kind, task) != "text"


async def embed(
    chunks: Sequence[Chunk],
    elements: Sequence[Element],
    captions: Captions,
    task: EmbedTask,
    embedder: Embedder | None,
    *,
    contexts: Sequence[str] = (),
) -> np.ndarray:
    """Return float32 of shape (chunks, dimension); rows of chunks without anything to embed are NaN.

    ``contexts`` is what each chunk's text is embedded under (`stages.contexts`); without any it stands alone.
    NaN marks "no vector" only inside the house: such a chunk becomes no record, and is counted.
    """
    if embedder is None:
        raise MissingDependencyError.of("embed()", "name an embedder: embed(endpoint_url=...) or the local engines")
    rows = embeddable(chunks, elements, captions, task)
    inputs = [_input(chunks[i], elements, captions, task, contexts[i] if contexts else "") for i in rows]
    vectors = np.full((len(chunks), embedder.dimension), np.nan, dtype=np.float32)
    if rows:
        found = await embedder.embed(inputs, purpose="passage")
        if found.shape != (len(rows), embedder.dimension) or not np.isfinite(found).all():
            message = f"{embedder.name} returned vectors of shape {found.shape} or with values that are no numbers."
            raise EngineReplyError(message, hint="Check that the endpoint serves the model that is configured.")
        vectors[rows] = found
    return vectors


def _input(chunk: Chunk, elements: Sequence[Element], captions: Captions, task: EmbedTask, context: str) -> EmbedInput:
    element = elements[chunk.element]
    text = passage(chunk, element, captions)
    if context and text:
        text = f"{context}\n{text}"
    if not _embeds_picture(chunk, elements, task):
        return EmbedInput(text=text)
    return EmbedInput(text="" if _modality(chunk.kind, task) == "image" else text, picture=element.picture)
