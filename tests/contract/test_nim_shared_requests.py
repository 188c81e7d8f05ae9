"""Passages of many documents in shared requests: each document gets its own vectors, its own error, its own usage."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.engines.nim import NimEmbedder, NimEndpoint
from nemo_retriever_dagster.engines.ports import EmbedInput
from nemo_retriever_dagster.engines.sharing import SharedRequests, divided
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import EngineBusyError, EngineReplyError, RefusedSettingError, RejectedInputError
from nemo_retriever_dagster.model import Usage
from nemo_retriever_dagster.testing import Fault, FaultKind, HashEmbedder, NimServer
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nemo_retriever_dagster.engines.ports import Purpose

ATTEMPTS = 3
POISON = "poison"


def document(number: int, size: int = 3) -> list[EmbedInput]:
    return [EmbedInput(text=f"document {number} passage {i} " + "word " * number) for i in range(size)]


async def embedded(
    embedder: NimEmbedder, inputs: Sequence[EmbedInput], purpose: Purpose = "passage"
) -> tuple[Any, Usage]:
    """Embed one document as its own task does; return its vectors or its error, and what it used."""
    with metered() as meter:
        try:
            found: Any = await embedder.embed(inputs, purpose=purpose)
        except Exception as error:  # noqa: BLE001 - the error is what is looked at
            found = error
    return found, meter.totals.get(embedder.name, Usage())


async def at_once(endpoint: NimEndpoint, documents: Sequence[Sequence[EmbedInput]]) -> list[tuple[Any, Usage]]:
    embedder = NimEmbedder(endpoint)
    try:
        return list(await asyncio.gather(*(embedded(embedder, inputs) for inputs in documents)))
    finally:
        await embedder.aclose()


def endpoint(url: str, **changes: Any) -> NimEndpoint:
    quick: dict[str, Any] = {"attempts": ATTEMPTS, "backoff": 0.002, "backoff_cap": 0.01, "breaker_pause": 0.002}
    return NimEndpoint(urls=url, **{**quick, **changes})


def right(inputs: Sequence[EmbedInput]) -> np.ndarray:
    return asyncio.run(HashEmbedder().embed(inputs))


@pytest.fixture
def server() -> Iterator[NimServer]:
    with NimServer() as running:
        yield running


class Picky:
    """Answers as `NimServer` does, but spoils every reply to a request that holds the poison."""

    def __init__(self, spoilt: Callable[[dict[str, Any]], Reply]) -> None:
        self.spoilt = spoilt
        self.requests: list[list[str]] = []

    async def answer(self, request: Request) -> Reply:
        texts = request.json()["input"]
        self.requests.append(texts)
        matrix = await HashEmbedder().embed([EmbedInput(text=text) for text in texts])
        items = [{"index": i, "embedding": vector.tolist()} for i, vector in enumerate(matrix)]
        reply = {"data": items, "usage": {"total_tokens": 10 * len(texts)}}
        return self.spoilt(reply) if any(POISON in text for text in texts) else json_reply(reply)


def refused(_: dict[str, Any]) -> Reply:
    return json_reply({"detail": "This text is not to my taste."}, 422)


def beyond_the_model(_: dict[str, Any]) -> Reply:
    return json_reply({"message": "Model `nvidia/m` does not support image input."}, 400)


def not_a_number(reply: dict[str, Any]) -> Reply:
    reply["data"][0]["embedding"][0] = float("nan")
    return json_reply(reply)


def against(site: Picky, documents: Sequence[Sequence[EmbedInput]]) -> list[tuple[Any, Usage]]:
    async def work() -> list[tuple[Any, Usage]]:
        async with await serve(site.answer) as running:
            url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
            return await at_once(endpoint(url), documents)

    return asyncio.run(work())


def test_small_documents_share_a_request_and_get_their_own_vectors(server: NimServer) -> None:
    documents = [document(number, size=1 + number % 4) for number in range(12)]
    found = asyncio.run(at_once(endpoint(server.url("embedder")), documents))
    assert server.count("embedder") == 1
    for (vectors, _), inputs in zip(found, documents, strict=True):
        assert np.allclose(vectors, right(inputs))


@pytest.mark.parametrize(("documents", "size", "requests"), [(60, 5, 10), (3, 70, 7), (1, 200, 7)])
def test_requests_are_full_while_there_is_work(documents: int, size: int, requests: int) -> None:
    with NimServer(latency=0.02) as server:
        where = endpoint(server.url("embedder"), concurrency=2)
        found = asyncio.run(at_once(where, [document(number, size) for number in range(documents)]))
        assert {len(vectors) for vectors, _ in found} == {size}
        assert server.count("embedder") == requests
        assert max(call.items for call in server.calls) == 32
        assert server.peak("embedder") == 2


def test_usage_is_each_documents_own_and_adds_up(server: NimServer) -> None:
    documents = [document(number, size=1 + number % 4) for number in range(40)]
    server.inject(Fault(kind=FaultKind.LOADING, port="embedder"))
    found = asyncio.run(at_once(endpoint(server.url("embedder"), batch=8), documents))
    used = [usage for _, usage in found]
    assert [usage.items for usage in used] == [len(inputs) for inputs in documents]
    assert sum(usage.requests for usage in used) == server.count("embedder")
    assert sum(usage.retries for usage in used) == 1
    alone = asyncio.run(at_once(endpoint(server.url("embedder"), batch=1000), [[x for d in documents for x in d]]))
    assert sum(usage.tokens for usage in used) == alone[0][1].tokens
    assert used[39].tokens > used[3].tokens  # as many passages, longer ones
    assert all(usage.seconds > 0 for usage in used)


@pytest.mark.parametrize(
    ("spoilt", "error", "whole", "alone"),
    [
        (refused, RejectedInputError, 1, 1),
        (beyond_the_model, RefusedSettingError, 1, 1),
        (not_a_number, EngineReplyError, ATTEMPTS, 1),
    ],
)
def test_a_bad_passage_fails_its_own_document_only(
    spoilt: Callable[[dict[str, Any]], Reply], error: type[Exception], whole: int, alone: int
) -> None:
    documents = [document(number) for number in range(5)]
    documents[2] = [*documents[2], EmbedInput(text=POISON)]
    site = Picky(spoilt)
    found = against(site, documents)
    for number, (vectors, usage) in enumerate(found):
        if number == 2:
            assert type(vectors) is error
            assert usage.items == 0
        else:
            assert np.allclose(vectors, right(documents[number]))
            assert usage.items == 3
    assert len(site.requests) == whole + 4 + alone
    assert sum(usage.requests for _, usage in found) == len(site.requests)


def test_half_a_character_is_sent_as_an_unknown_one_and_harms_nobody() -> None:
    site = Picky(refused)
    found = against(site, [document(0), [EmbedInput(text="half \ud83d")], document(1)])
    assert [type(vectors) for vectors, _ in found] == [np.ndarray] * 3
    assert site.requests == [[item.text for item in document(0)] + ["half \ufffd"] + [i.text for i in document(1)]]


def test_a_picture_that_cannot_be_sent_fails_its_own_document_only() -> None:
    async def send(inputs: Sequence[int], /, *, attempts: int = 0) -> list[int]:
        assert attempts == 0
        return [100 // number for number in inputs]

    async def work() -> list[Any]:
        shared = SharedRequests(send, size=8, width=1, weigh=abs)
        return await asyncio.gather(*(shared.run(inputs) for inputs in ([1, 2], [4, 0], [5])), return_exceptions=True)

    first, second, third = asyncio.run(work())
    assert (first, type(second), third) == ([100, 50], ZeroDivisionError, [20])


def test_a_server_that_is_down_costs_one_budget_and_fails_each_document(server: NimServer) -> None:
    server.inject(Fault(kind=FaultKind.LOADING, port="embedder", times=0))
    found = asyncio.run(at_once(endpoint(server.url("embedder")), [document(number) for number in range(6)]))
    assert {type(error) for error, _ in found} == {EngineBusyError}
    assert len({id(error) for error, _ in found}) == 6  # each its own: a traceback is not to be shared
    assert server.count("embedder") == ATTEMPTS


def test_a_document_that_failed_sends_nothing_more() -> None:
    site = Picky(refused)
    inputs = [EmbedInput(text=POISON), *document(1, size=2000)]
    ((error, usage),) = against(site, [inputs])
    assert isinstance(error, RejectedInputError)
    assert len(site.requests) == usage.requests <= 2 * 8


def test_a_caller_that_leaves_takes_only_its_own_with_it() -> None:
    async def work(server: NimServer) -> None:
        embedder = NimEmbedder(endpoint(server.url("embedder"), concurrency=1, batch=4))
        leaving = asyncio.ensure_future(embedder.embed(document(1, size=400)))
        staying = asyncio.ensure_future(embedder.embed(document(2, size=6)))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert np.allclose(await staying, await HashEmbedder().embed(document(2, size=6)))
        assert leaving.cancelled()
        await embedder.aclose()

    with NimServer(latency=0.02) as server:
        asyncio.run(work(server))
        assert server.count("embedder") < 40


def test_queries_do_not_wait_for_passages() -> None:
    async def work(server: NimServer) -> None:
        embedder = NimEmbedder(endpoint(server.url("embedder"), concurrency=2, batch=2))
        passages = asyncio.ensure_future(embedder.embed(document(1, size=80)))
        await asyncio.sleep(0.05)
        await embedder.embed([EmbedInput(text="what?")], purpose="query")
        assert not passages.done()
        await passages
        await embedder.aclose()

    with NimServer(latency=0.02) as server:
        asyncio.run(work(server))


def test_each_event_loop_has_its_own_queue(server: NimServer) -> None:
    embedder = NimEmbedder(endpoint(server.url("embedder")))

    async def work() -> np.ndarray:
        try:
            return await embedder.embed(document(1))
        finally:
            await embedder.aclose()

    async def threads() -> list[np.ndarray]:
        return await asyncio.gather(*(asyncio.to_thread(asyncio.run, work()) for _ in range(4)))

    assert all(np.allclose(vectors, right(document(1))) for vectors in asyncio.run(threads()))


def test_a_bug_reaches_the_callers() -> None:
    async def too_few(inputs: Sequence[str], /, *, attempts: int = 0) -> list[int]:
        del inputs, attempts
        return []

    with pytest.raises(ValueError, match="shorter"):
        asyncio.run(SharedRequests(too_few, size=4, width=1, weigh=len).run(["a", "b"]))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 10_000)), min_size=1, max_size=20),
    st.integers(0, 5),
    st.integers(0, 10**6),
)
def test_parts_add_up_to_the_whole(callers: list[tuple[int, int]], retries: int, tokens: int) -> None:
    counts, weights = [count for count, _ in callers], [weight for _, weight in callers]
    whole = Usage(requests=retries + 1, retries=retries, items=sum(counts), tokens=tokens, seconds=1.5)
    parts = divided(whole, counts, weights)
    total = sum(parts, Usage())
    assert (total.requests, total.retries, total.items, total.tokens) == (retries + 1, retries, sum(counts), tokens)
    assert total.seconds == pytest.approx(1.5)
    assert [part.items for part in parts] == counts
    assert all(part.tokens >= 0 for part in parts)
