"""The calling side: waits, breakers, several servers, keys."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from nemo_retriever_dagster.engines.addresses import health_url
from nemo_retriever_dagster.engines.breaker import Breaker
from nemo_retriever_dagster.engines.caller import Caller, gather_bounded
from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.http import HttpClient
from nemo_retriever_dagster.engines.nim import NimEmbedder
from nemo_retriever_dagster.engines.nim.chat import chat_url
from nemo_retriever_dagster.engines.retries import AttemptFailedError, RetryRules, retry_after
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineUnavailableError,
    InvalidOptionError,
    MisuseError,
    RejectedInputError,
)
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "nvapi-CANARYcanaryCANARY"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def endpoint(urls: str, **changes: Any) -> NimEndpoint:
    return NimEndpoint(**{"urls": urls, "backoff": 0.001, "backoff_cap": 0.05, "breaker_pause": 0.01, **changes})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=NOON) == seconds


RULES = RetryRules(attempts=4, deadline=10, backoff=1, backoff_cap=5, draw=lambda: 0.5)


@pytest.mark.parametrize(
    ("attempt", "elapsed", "asked", "wait"),
    [
        (1, 0, None, 0.5),
        (2, 0, None, 1.0),
        (3, 0, None, 2.0),
        (4, 0, None, None),  # no attempt left
        (1, 9.6, None, None),  # past the deadline
        (1, 0, 2.0, 2.1),
        (1, 0, 3600.0, 5.25),  # cut to the cap
        (1, 5, 3600.0, None),
    ],
)
def test_retry_decision(attempt: int, elapsed: float, asked: float | None, wait: float | None) -> None:
    assert RULES.wait(attempt, elapsed, asked) == (pytest.approx(wait) if wait is not None else None)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_breaker_opens_probes_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(after=2, pause=10, longest=15, clock=clock)
    for _ in range(2):
        breaker.failed(breaker.admit())
    assert not breaker.admit()
    assert breaker.opens_in() == 10
    clock.now = 10
    probe = breaker.admit()
    assert not breaker.admit()  # one probe at a time
    breaker.failed(probe)
    assert breaker.opens_in() == 15  # doubled, up to the longest
    clock.now = 25
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.admit()


def test_breaker_tells_how_long_the_server_is_down_once_a_probe_has_failed() -> None:
    clock = Clock()
    breaker = Breaker(after=1, pause=10, clock=clock)
    breaker.failed(breaker.admit())
    clock.now = 10
    assert breaker.down_for() == 0
    breaker.failed(breaker.admit())
    clock.now = 30
    assert breaker.down_for() == 30
    breaker.failed(breaker.admit())
    assert breaker.down_for() == 30
    breaker.succeeded()
    breaker.failed(breaker.admit())
    assert breaker.down_for() == 0


def test_a_call_of_before_is_not_taken_for_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(after=1, pause=1, clock=clock)
    late, cancelled, first = breaker.admit(), breaker.admit(), breaker.admit()
    breaker.failed(first)
    clock.now = 1
    probe = breaker.admit()
    breaker.failed(late)
    breaker.withdrawn(cancelled)
    assert (breaker.openings, breaker.admit()) == (1, 0), "the probe still decides"
    breaker.failed(probe)
    assert (breaker.openings, breaker.opens_in()) == (2, 2)


def test_cancelled_probe_lets_another_try() -> None:
    clock = Clock()
    breaker = Breaker(after=1, pause=1, clock=clock)
    breaker.failed(breaker.admit())
    clock.now = 2
    breaker.withdrawn(breaker.admit())
    assert breaker.admit()


class Site:
    """A server that answers with the replies it is given, in turn, and notes the requests."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    async def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def talk(site: Site, work: Callable[[str], Awaitable[Any]]) -> Any:
    async def both() -> Any:
        server = await serve(site.answer)
        async with server:
            return await work(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/infer")

    return asyncio.run(both())


def post(url: str, body: dict[str, Any] | None = None, **changes: Any) -> Any:
    async def work() -> Any:
        client = HttpClient(endpoint(url, **changes), name="nim/test")
        try:
            return await client.post_json(body or {}, lambda reply: reply)
        finally:
            await client.aclose()

    return work()


GOOD = json_reply({"data": [1]})


def test_key_goes_to_the_server_and_nowhere_else() -> None:
    echo = json_reply({"detail": f"the key {KEY} is bad, Bearer {KEY}"}, 401)
    site = Site(echo)
    with pytest.raises(MisuseError) as caught:
        talk(site, lambda url: post(url, api_key=SecretStr(KEY)))
    assert site.requests[0].headers["authorization"] == f"Bearer {KEY}"
    told = repr(caught.value) + str(caught.value) + caught.value.hint + repr(endpoint("x", api_key=SecretStr(KEY)))
    assert KEY not in told
    assert "CANARY" not in told


def test_environments_key_is_for_hosted_endpoints_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    site = Site(GOOD)
    talk(site, post)
    assert "authorization" not in site.requests[0].headers
    hosted = NimEndpoint(urls="https://integrate.api.nvidia.com/v1")
    found = hosted.key_for(hosted.targets[0])
    assert found is not None
    assert found.get_secret_value() == KEY
    assert hosted.key_for("https://api.nvidia.com.example.org/v1") is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "too large"}, "too large"),
        ({"error": {"message": "no such thing"}}, "no such thing"),
        ({"message": "nope"}, "nope"),
        ({"detail": [{"msg": "field required"}]}, "field required"),
        (["odd"], "odd"),
    ],
)
def test_refusal_quotes_the_server(body: Any, words: str) -> None:
    with pytest.raises(RejectedInputError, match=words):
        talk(Site(json_reply(body, 422)), post)


@pytest.mark.parametrize("status", [301, 402, 403, 404, 405])
def test_wrong_address_or_right_is_misuse(status: int) -> None:
    site = Site(json_reply({}, status))
    with pytest.raises(MisuseError):
        talk(site, post)
    assert len(site.requests) == 1


def test_retry_after_holds_every_call_back() -> None:
    site = Site(json_reply({}, 429, retry_after="1"), GOOD)

    async def work(url: str) -> None:
        client = HttpClient(endpoint(url, concurrency=1), name="nim/test")
        await asyncio.gather(*(client.post_json({}, lambda reply: reply) for _ in range(3)))
        await client.aclose()

    talk(site, work)
    assert len(site.requests) == 4


def test_error_says_how_often_it_was_tried() -> None:
    site = Site(json_reply({"title": "Too Many Requests"}, 429))
    with pytest.raises(EngineBusyError, match=r"Too Many Requests.*Given up after 3 requests"):
        talk(site, lambda url: post(url, attempts=3))
    assert len(site.requests) == 3


def test_deadline_ends_the_attempts() -> None:
    site = Site(json_reply({}, 503))
    with pytest.raises(EngineBusyError):
        talk(site, lambda url: post(url, attempts=1000, deadline=1.0, backoff=0.05, breaker_after=10_000))
    assert 1 < len(site.requests) < 1000


def test_deadline_that_cuts_an_attempt_short_tells_what_failed_before() -> None:
    class Stuck(Site):
        async def answer(self, request: Request) -> Reply:
            if self.requests:
                await asyncio.sleep(60)
            return await super().answer(request)

    with pytest.raises(EngineBusyError, match="Given up after 2 requests"):
        talk(Stuck(json_reply({}, 503)), lambda url: post(url, deadline=1.0))


def test_dead_server_is_left_alone() -> None:
    site = Site(json_reply({}, 500))

    async def work(url: str) -> list[Any]:
        changes = {"attempts": 2, "breaker_after": 4, "breaker_pause": 0.05, "concurrency": 2, "deadline": 0.2}
        client = HttpClient(endpoint(url, **changes), name="nim/t")
        calls = [client.post_json({}, lambda reply: reply) for _ in range(60)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await client.aclose()
        return results

    results = talk(site, work)
    assert {type(one) for one in results} == {EngineUnavailableError}
    assert len(site.requests) < 20


def test_a_server_that_starts_anew_costs_no_call() -> None:
    site = Site(*[json_reply({}, 503)] * 12, GOOD)

    async def work(url: str) -> list[Any]:
        client = HttpClient(endpoint(url, attempts=20), name="nim/test")
        results = await asyncio.gather(*(client.post_json({}, lambda reply: reply) for _ in range(30)))
        await client.aclose()
        return list(results)

    assert talk(site, work) == [{"data": [1]}] * 30
    assert len(site.requests) == 12 + 30


def test_a_question_does_not_wait_for_a_server_that_is_away() -> None:
    asked: list[str] = []

    async def send(url: str) -> str:
        asked.append(url)
        raise AttemptFailedError(EngineUnavailableError(), again=True, down=True)

    async def work() -> None:
        away = endpoint("http://a", attempts=1, breaker_after=1, breaker_pause=0.02, deadline=60)
        caller = Caller(away, name="nim/test")
        for patient in (True, True, False):
            with pytest.raises(EngineUnavailableError):
                await asyncio.wait_for(caller.call(send, lambda url: (url, 0), patient=patient), 10)

    asyncio.run(work())
    assert len(asked) == 2, "the third was made while the server was set aside"


def test_a_straggler_does_not_end_the_wait_for_the_probe() -> None:
    """Two of three calls fail and set the server aside; the third fails while the server, back, answers the probe."""
    times = iter([0.02, 0.02, 0.15])

    async def send(url: str) -> str:
        wait = next(times, None)
        await asyncio.sleep(0.1 if wait is None else wait)
        if wait is None:
            return url
        raise AttemptFailedError(EngineUnavailableError(), again=True, down=True)

    async def work() -> list[str]:
        changes = {"breaker_after": 2, "breaker_pause": 0.08, "concurrency": 8}
        caller = Caller(endpoint("http://a", **changes), name="nim/test")
        calls = [caller.call(send, lambda url: (url, 0)) for _ in range(3)]
        first = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.05)
        return await asyncio.gather(*first, *(caller.call(send, lambda url: (url, 0)) for _ in range(6)))

    assert asyncio.run(work()) == ["http://a"] * 9


def test_dead_server_beside_a_live_one_costs_no_call() -> None:
    site = Site(GOOD)

    async def work(url: str) -> list[Any]:
        closed = await serve(site.answer)
        dead = f"http://127.0.0.1:{closed.sockets[0].getsockname()[1]}/v1/infer"
        closed.close()
        await closed.wait_closed()
        client = HttpClient(endpoint(f"{dead},{url}", breaker_pause=10, backoff_cap=10), name="nim/test")
        results = await asyncio.gather(*(client.post_json({}, lambda reply: reply) for _ in range(30)))
        await client.check()
        await client.aclose()
        return list(results)

    assert talk(site, work) == [{"data": [1]}] * 30


def test_server_that_was_set_aside_is_probed_and_taken_back() -> None:
    good, sick = Site(GOOD), Site(*[json_reply({}, 500)] * 3, GOOD)

    async def work(url: str) -> None:
        async with await serve(sick.answer) as other:
            both = f"{url},http://127.0.0.1:{other.sockets[0].getsockname()[1]}/v1/infer"
            client = HttpClient(endpoint(both, breaker_after=2, breaker_pause=5, backoff_cap=5), name="nim/test")
            clock = Clock()
            for target in client._caller.targets:
                target.breaker.clock = clock
            for _ in range(20):
                await client.post_json({}, lambda reply: reply)
            assert len(sick.requests) == 2  # then it was set aside, and all went to the other one
            for expected in (3, 4):  # a probe that fails, and one that does not
                clock.now += 6
                for _ in range(2 if expected == 3 else 1):
                    await client.post_json({}, lambda reply: reply)
                assert len(sick.requests) == expected
            for _ in range(10):
                await client.post_json({}, lambda reply: reply)
            assert len(sick.requests) >= 4 + 4  # its share
            await client.aclose()

    talk(good, work)


def test_live_servers_share_the_work() -> None:
    first, second = Site(GOOD), Site(GOOD)

    async def work(url: str) -> None:
        async with await serve(second.answer) as other:
            both = f"{url},http://127.0.0.1:{other.sockets[0].getsockname()[1]}/v1/infer"
            client = HttpClient(endpoint(both), name="nim/test")
            await asyncio.gather(*(client.post_json({}, lambda reply: reply) for _ in range(20)))
            await client.aclose()

    talk(first, work)
    assert len(first.requests) == len(second.requests) == 10


def test_rate_limit_spaces_requests() -> None:
    async def work() -> float:
        caller = Caller(endpoint("x", rate_limit=60 / 0.02), name="nim/test")
        begun = asyncio.get_running_loop().time()

        async def send(url: str) -> str:
            return url

        for _ in range(6):
            await caller.call(send, lambda url: (url, 0))
        return asyncio.get_running_loop().time() - begun

    assert asyncio.run(work()) >= 0.1


def test_first_error_stops_the_rest() -> None:
    asked: list[int] = []

    async def work(number: int) -> int:
        asked.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise AttemptFailedError(EngineBusyError(), again=False)
        return number

    with pytest.raises(AttemptFailedError):
        asyncio.run(gather_bounded(work, range(1000), limit=2))
    assert len(asked) < 10


def test_results_come_in_order() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 3))
        return number

    assert asyncio.run(gather_bounded(work, range(20), limit=7)) == list(range(20))


@pytest.mark.parametrize(
    "changes",
    [{"urls": " , "}, {"timeout": 0}, {"attempts": 0}, {"concurrency": -1}, {"rate_limit": -1}, {"dimensions": -5}],
)
def test_impossible_endpoints_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError):
        endpoint(**{"urls": "localhost", **changes})


def test_addresses_are_completed() -> None:
    assert NimEndpoint(urls="a:1, https://b/v1").targets == ("http://a:1", "https://b/v1")
    for given in ("http://a:1", "http://a:1/v1", "http://a:1/v1/embeddings"):
        assert NimEmbedder(NimEndpoint(urls=given)).http.endpoint.targets == ("http://a:1/v1/embeddings",)
    assert chat_url("http://a:1") == chat_url("http://a:1/v1") == "http://a:1/v1/chat/completions"
    assert chat_url("http://a:1/special") == "http://a:1/special"
    assert health_url("http://a:1/base/v1/infer") == "http://a:1/base/v1/health/ready"


def test_body_is_compact_json() -> None:
    site = Site(GOOD)
    talk(site, lambda url: post(url, {"input": ["ä"]}))
    assert site.requests[0].body == json.dumps({"input": ["ä"]}, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": ["cut \\ud83d", "whole \\ud83d\\ude00"]}', {"a": ["cut \ufffd", "whole \U0001f600"]}),
        (b'{"\\uDC00": "back\\\\ud83d"}', {"\ufffd": "back\\ud83d"}),
        (b'["raw \xed\xa0\xbd", 1e-3, null]', ["raw \ufffd", 0.001, None]),
        ('["ä"]'.encode("utf-16"), ["ä"]),
    ],
)
def test_replies_hold_no_half_of_a_character(content: bytes, value: Any) -> None:
    assert talk(Site(Reply(body=content)), post) == value
