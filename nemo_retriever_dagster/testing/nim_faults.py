"""The faults a `NimServer` can be told to have: what they are, whom they concern, what they make of a good reply."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.testing.http_server import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable


class FaultKind(StrEnum):
    """What goes wrong."""

    BUSY = "429"
    BUSY_SECONDS = "429 Retry-After: seconds"
    BUSY_DATE = "429 Retry-After: date"
    LOADING = "503"
    BROKEN = "500"
    RESET = "connection reset"
    HANG = "hang"
    CUT = "reply cut short"
    DRIP = "reply byte by byte"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    REJECTED = "422"
    NOT_JSON = "not JSON"
    COUNT = "one item less"
    INDEX = "an index twice"
    SHUFFLED = "items out of order"
    UNKNOWN_LABEL = "unknown label"
    MISSING_LABEL = "missing label"
    NAN_TEXT = "text nan"
    NAN_NUMBER = "NaN"
    DIMENSION = "wrong dimension"
    EMPTY = "empty content"
    THOUGHTS = "only thoughts"


_DETECTORS = frozenset({"page_elements", "graphic_elements", "table_structure"})
_CV = _DETECTORS | {"ocr"}
_EVERY = _CV | {"page_parser", "captioner", "embedder", "reranker", "transcriber"}
CONCERNS: dict[FaultKind, frozenset[str]] = {
    **dict.fromkeys(FaultKind, _EVERY),
    FaultKind.COUNT: _CV | {"embedder", "reranker"},
    FaultKind.INDEX: _CV | {"embedder", "reranker"},
    FaultKind.SHUFFLED: _CV | {"embedder", "reranker"},
    FaultKind.UNKNOWN_LABEL: _DETECTORS,
    FaultKind.MISSING_LABEL: _DETECTORS,
    FaultKind.NAN_TEXT: frozenset({"ocr"}),
    FaultKind.NAN_NUMBER: _CV | {"embedder", "reranker"},
    FaultKind.DIMENSION: frozenset({"embedder"}),
    FaultKind.EMPTY: frozenset({"captioner"}),
    FaultKind.THOUGHTS: frozenset({"captioner"}),
}
"""Which NIMs (ports) can have which fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the ``port`` (all of them if ""), from its ``first`` request (1 is the first) on, ``times`` times.

    ``times`` 0 is for ever. ``seconds`` is how long a hang lasts, and what Retry-After asks for.
    """

    kind: FaultKind
    port: str = ""
    first: int = 1
    times: int = 1
    seconds: float = 0.0

    def hits(self, port: str, number: int) -> bool:
        """Whether request ``number`` (from 1) of ``port`` has this fault."""
        concerned = self.port in {"", port} and port in CONCERNS[self.kind]
        return concerned and number >= self.first and (not self.times or number < self.first + self.times)


def instead(fault: Fault) -> Reply | None:
    """Return what is sent in place of an answer, or None where the fault spoils the answer itself."""
    seconds = str(max(int(fault.seconds), 0))
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=fault.seconds), usegmt=True)
    busy = {"status": 429, "title": "Too Many Requests"}
    replies: dict[FaultKind, Callable[[], Reply]] = {
        FaultKind.BUSY: lambda: json_reply(busy, 429),
        FaultKind.BUSY_SECONDS: lambda: json_reply(busy, 429, retry_after=seconds),
        FaultKind.BUSY_DATE: lambda: json_reply(busy, 429, retry_after=date),
        FaultKind.LOADING: lambda: json_reply({"detail": "The model is loading."}, 503),
        FaultKind.BROKEN: lambda: json_reply({"detail": "Internal error."}, 500),
        FaultKind.RESET: lambda: Reply(reset=True),
        FaultKind.UNAUTHORIZED: lambda: json_reply({"detail": "The key is not valid."}, 401),
        FaultKind.FORBIDDEN: lambda: json_reply({"detail": "The key has no right to this model."}, 403),
        FaultKind.REJECTED: lambda: json_reply({"detail": "The image cannot be decoded."}, 422),
    }
    make = replies.get(fault.kind)
    return make() if make else None


def spoil(kind: FaultKind, answer: dict[str, Any]) -> Reply:
    """Return the good ``answer`` with the fault in it."""
    reply = json_reply(answer)
    if kind is FaultKind.NOT_JSON:
        return Reply(body=b"<html>upstream</html>", headers=reply.headers)
    if kind in {FaultKind.CUT, FaultKind.DRIP}:
        return Reply(body=reply.body, headers=reply.headers, cut=kind is FaultKind.CUT, drip=kind is FaultKind.DRIP)
    change = _CHANGES.get(kind)
    if change is None:
        return reply
    answer = copy.deepcopy(answer)
    change(answer)
    return json_reply(answer)


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer["data"] if "data" in answer else answer["rankings"]
    return items


def _one_less(answer: dict[str, Any]) -> None:
    _items(answer).pop()


def _twice(answer: dict[str, Any]) -> None:
    items = _items(answer)
    items[-1]["index"] = items[0]["index"] if len(items) > 1 else items[0]["index"] + 1


def _unknown_label(answer: dict[str, Any]) -> None:
    box = {"x_min": 0.1, "y_min": 0.1, "x_max": 0.9, "y_max": 0.9, "confidence": 0.99}
    for item in answer["data"]:
        item["bounding_boxes"]["hologram"] = [box]


def _missing_label(answer: dict[str, Any]) -> None:
    for item in answer["data"]:
        item["bounding_boxes"] = {label: boxes for label, boxes in item["bounding_boxes"].items() if boxes}


def _nan_text(answer: dict[str, Any]) -> None:
    for item in answer["data"]:
        point = {"x": 0.5, "y": 0.5}
        box = {"type": "quadrilateral", "points": [point] * 4}
        item["text_detections"].append({"text_prediction": {"text": "nan", "confidence": 0.1}, "bounding_box": box})


def _nan_number(answer: dict[str, Any]) -> None:
    item, nan = _items(answer)[0], float("nan")
    if "embedding" in item:
        item["embedding"] = [nan, *item["embedding"][1:]]
    elif "logit" in item:
        item["logit"] = nan
    elif "text_detections" in item:
        item["text_detections"].append({"text_prediction": {"text": "x", "confidence": nan}, "bounding_box": {}})
    else:
        corner = {"x_min": nan, "y_min": nan, "x_max": nan, "y_max": nan, "confidence": 0.9}
        next(iter(item["bounding_boxes"].values())).append(corner)


def _shorter(answer: dict[str, Any]) -> None:
    for item in answer["data"]:
        item["embedding"] = item["embedding"][:-1]


def _empty(answer: dict[str, Any]) -> None:
    answer["choices"][0]["message"] |= {"content": "", "reasoning_content": "The picture shows a chart."}


def _thoughts(answer: dict[str, Any]) -> None:
    answer["choices"][0]["message"]["content"] = "<think>The picture shows a chart, and then"


_CHANGES: dict[FaultKind, Callable[[dict[str, Any]], None]] = {
    FaultKind.COUNT: _one_less,
    FaultKind.INDEX: _twice,
    FaultKind.SHUFFLED: lambda answer: _items(answer).reverse(),
    FaultKind.UNKNOWN_LABEL: _unknown_label,
    FaultKind.MISSING_LABEL: _missing_label,
    FaultKind.NAN_TEXT: _nan_text,
    FaultKind.NAN_NUMBER: _nan_number,
    FaultKind.DIMENSION: _shorter,
    FaultKind.EMPTY: _empty,
    FaultKind.THOUGHTS: _thoughts,
}
