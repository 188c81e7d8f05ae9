"""Nemotron Parse: a page's picture in, blocks out; 1.x answers with a tool call, v1.2 with tagged text."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.http import read_json
from nemo_retriever_dagster.engines.nim.base import NimClient
from nemo_retriever_dagster.engines.nim.chat import chat_url
from nemo_retriever_dagster.engines.nim.detect import unit
from nemo_retriever_dagster.engines.nim.wire import cut_off, field, listed, message_of, padded, placed
from nemo_retriever_dagster.engines.ports import ParsedBlock
from nemo_retriever_dagster.engines.postprocess import unpadded
from nemo_retriever_dagster.errors import EngineReplyError, InvalidOptionError
from nemo_retriever_dagster.model import Box

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.endpoints import NimEndpoint
    from nemo_retriever_dagster.model import Picture

LABELS = frozenset(
    {
        *("Text", "Title", "Section-header", "List-item", "TOC", "Bibliography", "Formula", "Page-header"),
        *("Page-footer", "Caption", "Footnote", "Floating-text", "Table", "Picture"),
    }
)
"""What a block can be; any other label counts as Text."""
_SYNONYMS = {"Inline-formula": "Formula"}
_FRAMES = {"tools": (1024, 1280), "tagged": (1664, 2048)}
_PROMPT = "</s><s><predict_bbox><predict_classes><output_markdown><predict_no_text_in_pic>"
_CORNER = re.compile(r"<x_(-?[\d.]+)><y_(-?[\d.]+)>(?:<class_([^>]+)>)?")
"""A corner of a block; behind the second one stands the block's class."""


class NimPageParser(NimClient):
    """Parses one page a request. Dialects: ``tools`` (1.x, hosted) and ``tagged`` (v1.2).

    The page is centred in the white frame that the model works on, so that the boxes it returns can be taken back to
    the picture whatever the picture's shape is.
    """

    default_model = "nvidia/nemotron-parse"
    dialects = ("tools", "tagged")

    def guess(self) -> str:
        """Tell the dialect from the model's id; the 2.x route is another protocol."""
        if any(url.endswith("/v1/parse") for url in self.endpoint.targets):
            hint = "Give the chat completions address of a 1.x NIM (or of v1.2)."
            raise InvalidOptionError("The /v1/parse route of the 2.x NIMs is not supported.", hint=hint)
        return "tagged" if "v1.2" in self.model else "tools"

    def resolved(self) -> NimEndpoint:
        """Complete a bare address to the chat route."""
        return replace(self.endpoint, urls=tuple(chat_url(url) for url in self.endpoint.targets))

    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        """Return the page's blocks in reading order, boxes in pixels of ``picture``.

        None where nothing was read, or where the answer ended at the server's limit of tokens.
        """
        frame = _FRAMES[self.dialect]
        place = placed((picture.width, picture.height), frame)

        async def body() -> dict[str, Any]:
            framed = await asyncio.to_thread(padded, picture, *frame)
            return self._body(await self.image(framed))

        def read(reply: Any) -> list[ParsedBlock]:
            if cut_off(reply):  # as good as nothing: the page has other text, and that is whole
                return []
            blocks = _tagged(reply) if self.dialect == "tagged" else _called(reply)
            return [replace(block, box=unpadded(block.box, place, frame, picture)) for block in blocks]

        return await self.ask(body, read)

    def _body(self, image: str) -> dict[str, Any]:
        part: dict[str, Any] = {"type": "image_url", "image_url": {"url": image}}
        if self.dialect == "tools":
            return {"model": self.model, "messages": [{"role": "user", "content": [part]}]}
        content = [{"type": "text", "text": _PROMPT}, part]
        message = {"role": "user", "content": content}
        return {"model": self.model, "messages": [message], "temperature": 0.0, "repetition_penalty": 1.1}


def _called(reply: Any) -> list[ParsedBlock]:
    """Read the arguments of the tool call: JSON in a string, a list of pages of blocks."""
    blocks: list[ParsedBlock] = []
    for call in listed(message_of(reply), "tool_calls"):
        arguments = field(field(call, "function", dict), "arguments", str)
        for block in _flat(read_json(arguments) if arguments.strip() else []):
            corners = field(block, "bbox", dict)
            box = Box(*(unit(corners.get(name), name) for name in ("xmin", "ymin", "xmax", "ymax")))
            blocks.append(_block(field(block, "type", str), field(block, "text", str), box))
    return blocks


def _flat(pages: Any) -> list[Any]:
    if not isinstance(pages, list):
        raise EngineReplyError("the parsed page is not a list")
    return [block for page in pages for block in (page if isinstance(page, list) else [page])]


def _tagged(reply: Any) -> list[ParsedBlock]:
    """Read text between the tags of its corners; what lacks its second one, or a class, counts as text."""
    content = message_of(reply).get("content")
    if not isinstance(content, str):
        raise EngineReplyError("the message has no content")
    found = []
    corner, end = (0.0, 0.0), 0
    for tag in _CORNER.finditer(content):
        here = (unit(_float(tag[1]), "a coordinate"), unit(_float(tag[2]), "a coordinate"))
        text = content[end : tag.start()].replace("<tbc>", "")
        if tag[3] or text.strip():
            found.append(_block(tag[3] or "Text", text, Box(*corner, *here)))
        corner, end = here, tag.end()
    if content.strip() and not found:
        raise EngineReplyError("the tagged text holds no block")
    if rest := content[end:].strip():
        found.append(_block("Text", rest, Box(*corner, 1.0, 1.0)))
    return found


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise EngineReplyError(f"{text[:40]!r} is not a number") from None


def _block(label: str, text: str, box: Box) -> ParsedBlock:
    label = _SYNONYMS.get(label, label)
    return ParsedBlock(label=label if label in LABELS else "Text", text=text.strip(), box=box)
