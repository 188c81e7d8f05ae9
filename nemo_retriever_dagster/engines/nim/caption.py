"""Captions from a vision-language model: NIMs and any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.nim.base import NimClient
from nemo_retriever_dagster.engines.nim.chat import chat_url
from nemo_retriever_dagster.engines.nim.wire import message_of
from nemo_retriever_dagster.engines.ports import Caption
from nemo_retriever_dagster.errors import EngineReplyError

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.endpoints import NimEndpoint
    from nemo_retriever_dagster.engines.ports import CaptionRequest

PROMPT = "Caption the content of this image:"
"""The prompt where none is given."""
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_THINK = {"/think": True, "/no_think": False}
_TOKENS, _THINKING_TOKENS = 512, 4096


class NimCaptioner(NimClient):
    """Describes one picture a request.

    Dialects: ``think`` (Nemotron Nano VL) takes ``/think`` and ``/no_think`` as the system prompt and gets the latter
    where none is given; ``omni`` takes them as ``chat_template_kwargs``; ``openai`` gets the one that is given.
    """

    default_model = "nvidia/llama-3.1-nemotron-nano-vl-8b-v1"
    dialects = ("think", "omni", "openai")

    @property
    def name(self) -> str:
        """``nim/`` and the model's id; with prompts of the endpoint's own also a hash of them."""
        prompts = f"{self.endpoint.prompt}\x1f{self.endpoint.system_prompt}"
        own = f"@{hashlib.sha256(prompts.encode()).hexdigest()[:8]}" if len(prompts) > 1 else ""
        return super().name + own

    def guess(self) -> str:
        """Tell the dialect from the model's id."""
        if "omni" in self.model:
            return "omni"
        return "think" if self.model.startswith("nvidia/") else "openai"

    def resolved(self) -> NimEndpoint:
        """Complete a bare address to the chat route."""
        return replace(self.endpoint, urls=tuple(chat_url(url) for url in self.endpoint.targets))

    async def caption(
        self, request: CaptionRequest, *, prompt: str | None = None, system_prompt: str | None = None
    ) -> Caption:
        """Return the model's description; an empty answer is retried, and then an `EngineReplyError`."""
        text = prompt or self.endpoint.prompt or PROMPT
        if request.context.strip():
            text = f"Text near this image:\n---\n{request.context.strip()}\n---\n\n{text}"
        system = system_prompt if system_prompt is not None else self.endpoint.system_prompt or None

        async def body() -> dict[str, Any]:
            image = {"type": "image_url", "image_url": {"url": await self.image(request.picture)}}
            made = self._body([{"type": "text", "text": text}, image], system)
            return made if request.temperature is None else {**made, "temperature": request.temperature}

        return Caption(text=await self.ask(body, caption_text), source=self.model)

    def _body(self, content: list[dict[str, Any]], system_prompt: str | None) -> dict[str, Any]:
        system = "/no_think" if system_prompt is None and self.dialect == "think" else system_prompt
        thinking = _THINK.get((system or "").strip())
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": _THINKING_TOKENS if thinking else _TOKENS,
            "temperature": 1.0,
            "top_p": 1.0,
            "stream": False,
        }
        if self.dialect == "omni":
            body["chat_template_kwargs"] = {"enable_thinking": bool(thinking)}
            system = None if thinking is not None else system
        if system:
            body["messages"].insert(0, {"role": "system", "content": system})
        return body


def caption_text(reply: Any) -> str:
    """Return the caption of a chat completion, without the model's thoughts; never an empty one."""
    message = message_of(reply)
    content = message.get("content")
    text = _THOUGHT.sub("", content).strip() if isinstance(content, str) else ""
    if text and not text.startswith("<think>"):
        return text
    thought = bool(message.get("reasoning_content")) or text.startswith("<think>")
    raise EngineReplyError("the caption is empty" + (", there are only the model's thoughts" if thought else ""))
