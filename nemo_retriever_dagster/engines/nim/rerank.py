"""Reranking: the NIM's ``/v1/ranking``, the hosted ``.../reranking``, and Cohere's ``/v1/rerank``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nemo_retriever_dagster.engines.addresses import completed
from nemo_retriever_dagster.engines.caller import gather_bounded
from nemo_retriever_dagster.engines.nim.base import NimClient, batches, halved
from nemo_retriever_dagster.engines.nim.wire import field, number, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

_MOST = 512
_WHOLE = ("/ranking", "/reranking", "/rerank")


class NimReranker(NimClient):
    """Scores passages, up to 512 a request. Dialects: ``nim`` (logits, unbounded) and ``cohere``."""

    default_model = "nvidia/llama-nemotron-rerank-1b-v2"
    default_batch = _MOST
    dialects = ("nim", "cohere")

    def guess(self) -> str:
        """Tell the dialect from the addresses."""
        return "cohere" if any(urlsplit(url).path.endswith("/rerank") for url in self.endpoint.targets) else "nim"

    def resolved(self) -> NimEndpoint:
        """Complete a server's address, or its ``/v1``, to the route."""
        route = "/rerank" if self.dialect == "cohere" else "/ranking"
        return replace(self.endpoint, urls=tuple(completed(url, route, _WHOLE) for url in self.endpoint.targets))

    async def rank(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return one score a passage, in the order of the passages; higher is better."""

        async def work(batch: Sequence[str]) -> list[float]:
            return await halved(lambda part: self._request(query, part), batch)

        parts = await gather_bounded(work, batches(passages, min(self.batch, _MOST)), limit=self.window)
        return [score for part in parts for score in part]

    async def _request(self, query: str, batch: Sequence[str]) -> list[float]:
        if self.dialect == "cohere":
            body: dict[str, Any] = {"model": self.model, "query": query, "documents": list(batch), "top_n": len(batch)}
            items, score = "results", "relevance_score"
        else:
            passages = [{"text": passage} for passage in batch]
            body = {"model": self.model, "query": {"text": query}, "passages": passages, "truncate": "END"}
            items, score = "rankings", "logit"

        def read(reply: Any) -> list[float]:
            found = rows(field(reply, items, list), len(batch))
            for item in found:
                field(item, "index", int)
            return [number(item.get(score), score) for item in found]

        return await self.http.post_json(body, read, items=len(batch), patient=False)
