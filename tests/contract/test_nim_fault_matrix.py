"""Every fault a NIM can have, at the first, the third and every request, for every NIM.

The outcome of each cell: recovered with exactly the right answer, or one typed error; never more requests than the
budget, and never a wrong value.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.nim import nim_engines
from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput, Engines, ParsedBlock, Segment
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineReplyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RejectedInputError,
    RetrieverError,
)
from nemo_retriever_dagster.model import Box, Picture, Word
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer
from nemo_retriever_dagster.testing.nim_faults import CONCERNS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from nemo_retriever_dagster.engines.ports import MergeLevel

ATTEMPTS = 3
CALLS = 3
SLOW = {FaultKind.HANG, FaultKind.DRIP}
PATIENCE, IMPATIENCE = 20.0, 0.2  # seconds: the timeout matters where nothing comes, and nowhere else

_BUSY, _DOWN, _LATE = EngineBusyError, EngineUnavailableError, EngineTimeoutError
_RETRIED = {
    FaultKind.BUSY: _BUSY,
    FaultKind.BUSY_SECONDS: _BUSY,
    FaultKind.BUSY_DATE: _BUSY,
    FaultKind.LOADING: _BUSY,
    FaultKind.BROKEN: _DOWN,
    FaultKind.RESET: _DOWN,
    FaultKind.CUT: _DOWN,
    FaultKind.HANG: _LATE,
    FaultKind.DRIP: _LATE,
    FaultKind.NOT_JSON: EngineReplyError,
    FaultKind.COUNT: EngineReplyError,
    FaultKind.INDEX: EngineReplyError,
    FaultKind.NAN_NUMBER: EngineReplyError,
    FaultKind.DIMENSION: EngineReplyError,
    FaultKind.EMPTY: EngineReplyError,
    FaultKind.THOUGHTS: EngineReplyError,
}
"""Faults that another attempt may mend, and the error where it does not."""
_FINAL = {
    FaultKind.UNAUTHORIZED: MisuseError,
    FaultKind.FORBIDDEN: MisuseError,
    FaultKind.REJECTED: RejectedInputError,
}
"""Faults that no attempt mends."""
_HARMLESS = {FaultKind.SHUFFLED, FaultKind.UNKNOWN_LABEL, FaultKind.MISSING_LABEL, FaultKind.NAN_TEXT}


class FixedOcr:
    name = "fixed"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def read(self, pictures: Sequence[Picture], *, merge: MergeLevel = "word") -> list[list[Word]]:
        return [[Word(text=f"{merge} of {one.width}", box=Box(10, 20, 60, 40), confidence=0.9)] for one in pictures]


class FixedParser:
    name = "fixed"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        half = Box(picture.width / 4, picture.height / 4, picture.width / 2, picture.height / 2)
        return [ParsedBlock(label="Title", text="# Title", box=half)]


class FixedTranscriber:
    name = "fixed"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        return [Segment(text=f"{len(pcm)} bytes.", start_ms=0, end_ms=10), Segment(text="End.", start_ms=20, end_ms=30)]


def picture(width: int) -> Picture:
    image = Image.new("RGB", (width, 100), "white")
    ImageDraw.Draw(image).rectangle((20, 30, width - 21, 69), fill="navy")
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(data=out.getvalue(), width=width, height=100)


PICTURES = [picture(200), picture(240)]
TEXTS = ["the quick brown fox", "a lazy dog", "the quick dog"]

CALL: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
    "page_elements": lambda engine: engine.detect(PICTURES),
    "graphic_elements": lambda engine: engine.detect(PICTURES),
    "table_structure": lambda engine: engine.detect(PICTURES),
    "ocr": lambda engine: engine.read(PICTURES, merge="sentence"),
    "page_parser": lambda engine: engine.parse(PICTURES[0]),
    "captioner": lambda engine: engine.caption(CaptionRequest(picture=PICTURES[0])),
    "embedder": lambda engine: engine.embed([EmbedInput(text=text) for text in TEXTS]),
    "reranker": lambda engine: engine.rank("quick dog", TEXTS),
    "transcriber": lambda engine: engine.transcribe(b"\1\0" * 800, 16000, segments=True),
}


@pytest.fixture(scope="module")
def server() -> Iterator[NimServer]:
    with NimServer(Engines(ocr=FixedOcr(), page_parser=FixedParser(), transcriber=FixedTranscriber())) as running:
        yield running


@dataclass
class Outcome:
    values: list[Any]
    errors: list[RetrieverError]
    requests: int


async def called(server: NimServer, port: str, *, calls: int, concurrency: int, slow: bool) -> Outcome:
    """Call the NIM ``calls`` times at once."""
    endpoint = replace(
        server.endpoints()[port],
        concurrency=concurrency,
        attempts=ATTEMPTS,
        timeout=IMPATIENCE if slow else PATIENCE,
        backoff=0.002,
        backoff_cap=0.02,
        breaker_pause=0.002,
        # Passages of several calls share requests (test_nim_shared_requests.py); here each call fills its own.
        batch=len(TEXTS) if port == "embedder" else 0,
    )
    engines = nim_engines({port: endpoint})
    before = server.count(port)
    engine = engines.all()[port]
    with metered() as meter:
        results = await asyncio.gather(*(CALL[port](engine) for _ in range(calls)), return_exceptions=True)
    await engines.aclose()
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, RetrieverError):
            raise result
    errors = [one for one in results if isinstance(one, RetrieverError)]
    values = [one for one in results if not isinstance(one, RetrieverError)]
    requests = sum(usage.requests for usage in meter.totals.values())
    assert slow or requests == server.count(port) - before
    return Outcome(values=values, errors=errors, requests=requests)


def run(server: NimServer, port: str, fault: Fault | None, *, calls: int = CALLS, concurrency: int = 1) -> Outcome:
    if fault is not None:
        server.inject(fault)
    slow = fault is not None and fault.kind in SLOW
    try:
        return asyncio.run(called(server, port, calls=calls, concurrency=concurrency, slow=slow))
    finally:
        server.mend()


@pytest.fixture(scope="module")
def right(server: NimServer) -> dict[str, Any]:
    """What each NIM answers when nothing is wrong."""
    return {port: run(server, port, None).values[0] for port in CALL}


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(found, expected) if isinstance(expected, np.ndarray) else bool(found == expected)


CELLS = [(kind, port) for kind in FaultKind for port in CALL if port in CONCERNS[kind]]


def test_matrix_covers_every_fault_and_every_nim() -> None:
    assert set(_RETRIED) | set(_FINAL) | _HARMLESS == set(FaultKind)
    assert {port for _, port in CELLS} == set(CALL)


@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize(("kind", "port"), CELLS)
def test_fault_at_one_request(server: NimServer, right: dict[str, Any], kind: FaultKind, port: str, first: int) -> None:
    found = run(server, port, Fault(kind=kind, port=port, first=first))
    assert all(same(value, right[port]) for value in found.values)
    if kind in _FINAL:
        assert [type(error) for error in found.errors] == [_FINAL[kind]]
        assert found.requests == CALLS
        return
    assert found.errors == []
    if kind in SLOW:  # a busy machine may let another request run into the short timeout
        assert CALLS < found.requests <= CALLS * ATTEMPTS
    else:
        assert found.requests == CALLS + (kind in _RETRIED)


@pytest.mark.parametrize(("kind", "port"), [(k, port) for k, port in CELLS if k in _RETRIED and k not in SLOW])
def test_fault_at_several_requests_and_then_none(
    server: NimServer, right: dict[str, Any], kind: FaultKind, port: str
) -> None:
    found = run(server, port, Fault(kind=kind, port=port, times=ATTEMPTS - 1), calls=1)
    assert found.errors == []
    assert same(found.values[0], right[port])
    assert found.requests == ATTEMPTS


# Several at once is the same code for every NIM; one with batches and one without are enough.
AT_ONCE = [(kind, port, 4) for kind, port in CELLS if port in {"ocr", "captioner"} and kind not in SLOW]


@pytest.mark.parametrize(("kind", "port", "concurrency"), [*((*cell, 1) for cell in CELLS), *AT_ONCE])
def test_fault_at_every_request(
    server: NimServer, right: dict[str, Any], kind: FaultKind, port: str, concurrency: int
) -> None:
    calls = 1 if kind in SLOW else CALLS
    found = run(server, port, Fault(kind=kind, port=port, times=0), calls=calls, concurrency=concurrency)
    assert all(same(value, right[port]) for value in found.values)
    if kind in _HARMLESS:
        assert (len(found.errors), found.requests) == (0, CALLS)
        return
    assert found.values == []
    assert found.requests <= calls * ATTEMPTS
    expected = _FINAL.get(kind) or _RETRIED.get(kind)
    # Once the breaker is open, a call may end as "not called" without a request of its own.
    assert {type(error) for error in found.errors} <= {expected, EngineUnavailableError}
    assert any(type(error) is expected for error in found.errors)
    for error in found.errors:
        assert error.message
        assert error.hint or kind in _FINAL or isinstance(error, EngineTimeoutError | EngineBusyError)


def test_answers_are_those_of_the_engines_behind(right: dict[str, Any]) -> None:
    (region,) = right["page_elements"][1]
    assert region.label == "paragraph"
    assert region.box == pytest.approx((20, 30, 220, 70))
    assert [word.text for (word,) in right["ocr"]] == ["sentence of 200", "sentence of 240"]
    assert right["ocr"][0][0].box == pytest.approx((10, 20, 60, 40))
    (block,) = right["page_parser"]
    assert (block.label, block.text) == ("Title", "# Title")
    assert right["embedder"].shape == (3, 2048)
    assert right["embedder"].dtype == np.float32
    assert np.argsort(right["reranker"]).tolist()[-1] == 2
    assert [one.text for one in right["transcriber"]] == ["1600 bytes.", "End."]
    assert right["captioner"].text.startswith("A picture of 200 by 100 pixels")
