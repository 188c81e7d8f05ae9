"""The routes of a `NimServer`: each checks its request as the NIM does, and answers in the NIM's words."""

from __future__ import annotations

import base64
import email
import email.policy
import io
import json
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput
from nemo_retriever_dagster.testing.nim_answers import Refusal, picture_of, quad

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nemo_retriever_dagster.engines.ports import (
        Captioner,
        Embedder,
        Engines,
        Ocr,
        PageParser,
        Purpose,
        RegionDetector,
        Reranker,
        Transcriber,
    )
    from nemo_retriever_dagster.model import Picture
    from nemo_retriever_dagster.testing.http_server import Request

LABELS = {
    "page_elements": ("table", "chart", "title", "infographic", "paragraph", "header_footer"),
    "graphic_elements": (
        *("chart_title", "x_title", "y_title", "xlabel", "ylabel"),
        *("other", "legend_label", "legend_title", "mark_label", "value_label"),
    ),
    "table_structure": ("border", "cell", "row", "column", "header"),
}
ROUTES = {
    "page_elements": ("/v1/infer", "/v1/page-elements"),
    "graphic_elements": ("/v1/infer",),
    "table_structure": ("/v1/infer", "/v1/table-structure"),
    "ocr": ("/v1/infer", "/v1/ocr"),
    "page_parser": ("/v1/chat/completions",),
    "captioner": ("/v1/chat/completions",),
    "embedder": ("/v1/embeddings",),
    "reranker": ("/v1/ranking", "/v1/rerank"),
    "transcriber": ("/v1/audio/transcriptions",),
}
"""The paths of each NIM; where there are two, the second is that of the 2.x line (or Cohere's)."""
_MODALITIES = (None, "text", "image", "text_image")
_MERGE = ("word", "sentence", "paragraph")
_IMAGES, _INPUTS, _PASSAGES = 8, 8192, 512
_CHARS_A_TOKEN = 4


class Routes:
    """Answers the requests of one NIM (``port``)."""

    def __init__(self, port: str, engines: Engines, *, model: str = "", dimension: int = 2048, chars: int = 0) -> None:
        """``model`` "" serves any model; ``chars`` bounds images as the hosted NIMs do, 0 does not."""
        self.port = port
        self._engines = engines
        self._model = model
        self._dimension = dimension
        self._chars = chars

    @property
    def model(self) -> str:
        """The model this NIM says it serves."""
        return self._model or f"nvidia/{self.port.replace('_', '-')}"

    async def answer(self, request: Request) -> tuple[dict[str, Any], int]:
        """Return the reply and the number of items asked for; raise `Refusal`."""
        if self.port == "transcriber":
            return await self._transcriptions(request)
        try:
            body = request.json()
        except ValueError:
            raise Refusal(422, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(422, "the body must be an object")
        routes: dict[str, Callable[[dict[str, Any]], Awaitable[tuple[dict[str, Any], int]]]] = {
            "captioner": self._caption,
            "page_parser": self._parse,
            "embedder": self._embed,
            "reranker": self._rerank if request.path == "/v1/rerank" else self._rank,
            "ocr": self._ocr,
        }
        return await routes.get(self.port, self._detect)(body)

    def _engine(self) -> Any:
        return self._engines.all()[self.port]

    def _check_model(self, body: Mapping[str, Any]) -> str:
        asked = body.get("model")
        if not isinstance(asked, str) or not asked:
            raise Refusal(422, "model: Field required")
        if self._model and asked != self._model:
            raise Refusal(404, f"The model `{asked}` does not exist. Served: {self._model}.")
        return asked

    def _pictures(self, body: Mapping[str, Any]) -> list[Picture]:
        inputs = body.get("input")
        if not isinstance(inputs, list) or not inputs:
            raise Refusal(422, "input: a list with at least 1 item is required")
        if len(inputs) > _IMAGES:
            raise Refusal(422, f"input: at most {_IMAGES} items, {len(inputs)} given")
        if any(not isinstance(item, dict) or item.get("type") != "image_url" for item in inputs):
            raise Refusal(422, "input: every item must have the type image_url")
        return [picture_of(item.get("url"), chars=self._chars) for item in inputs]

    async def _detect(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        pictures, engine = self._pictures(body), self._engine()
        detector: RegionDetector = engine
        data = []
        for index, (picture, regions) in enumerate(zip(pictures, await detector.detect(pictures), strict=True)):
            boxes: dict[str, list[dict[str, float]]] = {label: [] for label in LABELS[self.port]}
            for region in regions:
                x0, y0, x1, y1 = region.box.scale(1 / picture.width, 1 / picture.height)
                box = {"x_min": x0, "y_min": y0, "x_max": x1, "y_max": y1, "confidence": region.confidence}
                boxes["paragraph" if region.label == "text" else region.label].append(box)
            data.append({"index": index, "bounding_boxes": boxes})
        return {"data": data, "usage": _image_usage(pictures)}, len(pictures)

    async def _ocr(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        pictures, ocr = self._pictures(body), self._engine()
        engine: Ocr = ocr
        levels = body.get("merge_levels", ["paragraph"] * len(pictures))
        if not isinstance(levels, list) or len(levels) != len(pictures) or any(one not in _MERGE for one in levels):
            raise Refusal(422, f"merge_levels: one of {', '.join(_MERGE)} for each input")
        data = []
        for index, (picture, level) in enumerate(zip(pictures, levels, strict=True)):
            (words,) = await engine.read([picture], merge=level)
            found = [
                {
                    "text_prediction": {"text": word.text, "confidence": word.confidence},
                    "bounding_box": quad(word.box, (picture.width, picture.height)),
                }
                for word in words
            ]
            data.append({"index": index, "text_detections": found})
        return {"data": data, "usage": _image_usage(pictures)}, len(pictures)

    async def _caption(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        model = self._check_model(body)
        system, text, picture = self._conversation(body)
        engine: Captioner = self._engine()
        caption = await engine.caption(CaptionRequest(picture=picture), prompt=text, system_prompt=system or None)
        thought = "<think>\nLet me look at it.\n</think>\n\n" if system == "/think" else ""
        return _completion(model, {"role": "assistant", "content": thought + caption.text}), 1

    def _conversation(self, body: Mapping[str, Any]) -> tuple[str, str, Picture]:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
            raise Refusal(422, "messages: a list with at least 1 item is required")
        system = messages[0].get("content") if messages[0].get("role") == "system" else ""
        if not isinstance(system, str):
            raise Refusal(422, "messages: the content of the system message must be a string")
        user = messages[-1]
        if user.get("role") != "user" or len(messages) > 1 + (messages[0].get("role") == "system"):
            raise Refusal(422, "messages: one user message, after at most one system message")
        if not 1 <= body.get("max_tokens", 1024) <= _INPUTS:
            raise Refusal(422, f"max_tokens must be 1 to {_INPUTS}")
        texts, urls = _parts(user.get("content"))
        if len(urls) != 1:
            raise Refusal(400, f"exactly one image is taken, {len(urls)} given")
        return system, "\n".join(texts), picture_of(urls[0], chars=self._chars)

    async def _parse(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        model = self._check_model(body)
        _, text, picture = self._conversation(body)
        tagged = "parse-v1.2" in model
        if text and not tagged:
            raise Refusal(400, f"{model} does not support text input")
        if tagged and "<predict_bbox>" not in text:
            raise Refusal(400, "the prompt must name what to predict")
        parser: PageParser = self._engine()
        blocks = []
        for block in await parser.parse(picture):
            x0, y0, x1, y1 = block.box.scale(1 / picture.width, 1 / picture.height)
            bbox = {"xmin": x0, "ymin": y0, "xmax": x1, "ymax": y1}
            blocks.append({"type": block.label, "text": block.text, "bbox": bbox})
        return _completion(model, _tagged(blocks) if tagged else _tool_call(blocks)), 1

    async def _embed(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        model = self._check_model(body)
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not 1 <= len(texts) <= _INPUTS or not all(isinstance(t, str) for t in texts):
            raise Refusal(400, f"input: 1 to {_INPUTS} strings are required")
        if any(not text.strip() for text in texts):
            raise Refusal(400, "input: empty strings are not allowed")
        purpose = _purpose(model, body.get("input_type"))
        kinds = _modalities(body.get("modality"), len(texts))
        engine: Embedder = self._engine()
        longest, truncate = engine.max_tokens, body.get("truncate", "NONE")
        given = zip(texts, kinds, strict=True)
        inputs = [self._embed_input(text, kind, purpose, truncate, longest) for text, kind in given]
        wanted = body.get("dimensions") or self._dimension
        if wanted > self._dimension:
            raise Refusal(400, f"dimensions: at most {self._dimension}")
        vectors = _resized(await engine.embed(inputs, purpose=purpose), wanted)
        packed = body.get("encoding_format") == "base64"
        values = [_base64_vector(vector) if packed else vector.tolist() for vector in vectors]
        data = [{"object": "embedding", "index": index, "embedding": value} for index, value in enumerate(values)]
        tokens = sum(len(text) // _CHARS_A_TOKEN + 1 for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": model, "data": data, "usage": usage}, len(texts)

    def _embed_input(self, text: str, kind: str | None, purpose: str, truncate: str, longest: int) -> EmbedInput:
        before, mark, after = text.partition("data:image/") if kind != "text" else (text, "", "")
        if mark:
            if purpose == "query":
                raise Refusal(400, "images are taken as passages only")
            return EmbedInput(text=before.strip(), picture=picture_of(mark + after, chars=self._chars))
        if truncate not in {"NONE", "START", "END"}:
            raise Refusal(400, "truncate: NONE, START or END")
        if truncate == "NONE" and longest and len(text) // _CHARS_A_TOKEN > longest:
            raise Refusal(400, f"input: longer than {longest} tokens, and truncate is NONE")
        return EmbedInput(text=text)

    async def _rank(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        self._check_model(body)
        query, passages = body.get("query"), body.get("passages")
        if not isinstance(query, dict) or not isinstance(query.get("text"), str):
            raise Refusal(422, "query.text is required")
        if not isinstance(passages, list) or not 1 <= len(passages) <= _PASSAGES:
            raise Refusal(422, f"passages: 1 to {_PASSAGES} are required")
        if not all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in passages):
            raise Refusal(422, "passages: each needs a text")
        scores = await self._scores(query["text"], [one["text"] for one in passages])
        rankings = [{"index": index, "logit": score} for index, score in scores]
        return {"rankings": rankings, "usage": {"prompt_tokens": 1, "total_tokens": 1}}, len(passages)

    async def _rerank(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        self._check_model(body)
        query, documents = body.get("query"), body.get("documents")
        if not isinstance(query, str) or not isinstance(documents, list) or not documents:
            raise Refusal(422, "query and documents are required")
        scores = await self._scores(query, documents)
        top = scores[: body.get("top_n") or len(scores)]
        return {"results": [{"index": index, "relevance_score": score} for index, score in top]}, len(documents)

    async def _scores(self, query: str, passages: list[str]) -> list[tuple[int, float]]:
        reranker: Reranker = self._engine()
        return sorted(enumerate(await reranker.rank(query, passages)), key=lambda pair: -pair[1])

    async def _transcriptions(self, request: Request) -> tuple[dict[str, Any], int]:
        fields = _form(request)
        if "file" not in fields:
            raise Refusal(422, "file: Field required")
        if not fields.get("language") and not fields.get("model"):
            raise Refusal(400, "language or model is required")
        try:
            with wave.open(io.BytesIO(fields["file"])) as sound:
                if sound.getnchannels() != 1 or sound.getsampwidth() != 2:  # noqa: PLR2004 - 16 bit
                    raise Refusal(400, "mono 16-bit sound is required")
                pcm, rate = sound.readframes(sound.getnframes()), sound.getframerate()
        except (wave.Error, EOFError) as cause:
            raise Refusal(400, f"the sound cannot be decoded ({cause})") from cause
        transcriber: Transcriber = self._engine()
        segments = await transcriber.transcribe(pcm, rate, segments=True)
        answer: dict[str, Any] = {"text": " ".join(segment.text for segment in segments)}
        if fields.get("response_format") == b"verbose_json":
            timed = [{"text": s.text, "start": s.start_ms / 1000, "end": s.end_ms / 1000} for s in segments]
            answer |= {"segments": timed}
        return answer, 1


def _parts(content: Any) -> tuple[list[str], list[Any]]:
    """Return the texts and the image URLs of a user message."""
    if isinstance(content, str):
        return [content], []
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Refusal(422, "messages: content must be a string or a list of parts")
    texts = [part.get("text", "") for part in content if part.get("type") == "text"]
    images = [part.get("image_url") for part in content if part.get("type") == "image_url"]
    if len(texts) + len(images) != len(content) or not all(isinstance(image, dict) for image in images):
        raise Refusal(422, "messages: a part is neither a text nor an image_url")
    return texts, [image.get("url") for image in images]


def _completion(model: str, message: dict[str, Any]) -> dict[str, Any]:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    completion = len(str(message.get("content"))) // _CHARS_A_TOKEN + 1
    usage = {"prompt_tokens": 1300, "completion_tokens": completion, "total_tokens": 1300 + completion}
    choice = {"index": 0, "finish_reason": reason, "message": message}
    head = {"id": "chatcmpl-0", "object": "chat.completion", "created": 1760000000, "model": model}
    return {**head, "choices": [choice], "usage": usage}


def _tool_call(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    function = {"name": "markdown_bbox", "arguments": json.dumps([blocks])}
    call = {"id": "call_0", "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def _tagged(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    parts = [
        f"<x_{b['bbox']['xmin']:.4f}><y_{b['bbox']['ymin']:.4f}>{b['text']}"
        f"<x_{b['bbox']['xmax']:.4f}><y_{b['bbox']['ymax']:.4f}><class_{b['type']}>"
        for b in blocks
    ]
    return {"role": "assistant", "content": "".join(parts)}


def _purpose(model: str, input_type: Any) -> Purpose:
    """Return what the model is asked for: in ``input_type``, or at the end of its id."""
    if input_type == "query" or (not input_type and model.endswith("-query")):
        return "query"
    if input_type == "passage" or (not input_type and model.endswith("-passage")):
        return "passage"
    raise Refusal(400, "input_type: passage or query is required for an asymmetric model")


def _modalities(modality: Any, count: int) -> list[str | None]:
    """Return what each input is said to be, None where nothing is said: a data URL in it is then an image."""
    named = [modality] * count if modality is None or isinstance(modality, str) else modality
    if not isinstance(named, list) or len(named) != count or any(one not in _MODALITIES for one in named):
        raise Refusal(400, "modality: text, image or text_image, one for all or one for each input")
    return named


def _resized(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """Fold the vectors to ``dimension`` (and to unit length again), or fill them up with zeros.

    Folded, not cut: engines without Matryoshka training have no better and worse dimensions.
    """
    if vectors.shape[1] == dimension:
        return vectors
    filled = np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % dimension)))
    folded: np.ndarray = filled.reshape(len(vectors), -1, dimension).sum(axis=1)
    norms = np.linalg.norm(folded, axis=1, keepdims=True)
    return folded / np.where(norms == 0, 1, norms)


def _base64_vector(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _image_usage(pictures: list[Picture]) -> dict[str, float]:
    return {"images_size_mb": sum(len(picture.data) for picture in pictures) / 2**20}


def _form(request: Request) -> dict[str, bytes]:
    """Return the fields of a multipart form; of a file, its bytes."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise Refusal(422, "a multipart form is required")
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    fields: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        fields[str(name)] = payload if isinstance(payload, bytes) else b""
    return fields
