"""Caption: pictures get a description that can be searched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.engines.ports import Caption, CaptionRequest
from nemo_retriever_dagster.errors import MissingDependencyError
from nemo_retriever_dagster.model import PICTURES, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.ports import Captioner, Ocr
    from nemo_retriever_dagster.model import Element, Picture
    from nemo_retriever_dagster.tasks import CaptionTask

Captions = dict[int, Caption]
"""Captions by the position of the element in the extraction."""


async def caption(
    elements: Sequence[Element],
    kept: frozenset[int],
    task: CaptionTask,
    captioner: Captioner | None,
    ocr: Ocr | None,
) -> Captions:
    """Describe pictures, page images and infographics (charts on request); return captions by element position."""
    kinds = PICTURES | {Kind.INFOGRAPHIC} | ({Kind.CHART} if task.charts else set())
    wanted = [i for i in sorted(kept) if elements[i].kind in kinds and elements[i].picture is not None]
    if not wanted:
        return {}
    if captioner is None:
        raise MissingDependencyError.of("caption()", "name a captioner: caption(endpoint_url=...) or the local engines")
    one = partial(_one_caption, elements, task=task, captioner=captioner, ocr=ocr)
    captions = await gather_bounded(one, wanted, limit=len(wanted))
    return dict(zip(wanted, captions, strict=True))


async def _one_caption(
    elements: Sequence[Element], position: int, *, task: CaptionTask, captioner: Captioner, ocr: Ocr | None
) -> Caption:
    element = elements[position]
    picture = _picture(element)
    words = []
    if captioner.name.startswith("local/") and ocr is not None:
        (words,) = await ocr.read([picture])
    request = CaptionRequest(
        picture=picture,
        context=_context(elements, element.page, task.context_text_max_chars),
        alt_text=element.alt_text,
        caption=element.caption,
        words=words,
        temperature=task.temperature,
    )
    return await captioner.caption(request, prompt=task.prompt, system_prompt=task.system)


def _picture(element: Element) -> Picture:
    assert element.picture is not None
    return element.picture


def _context(elements: Sequence[Element], page: int, max_chars: int) -> str:
    if max_chars <= 0:
        return ""
    text = "\n".join(e.text for e in elements if e.kind is Kind.TEXT and e.page == page)
    return text[:max_chars]
