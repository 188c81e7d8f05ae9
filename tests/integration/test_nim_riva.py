"""Speech over Riva's gRPC protocol, against a real server of it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

pytest.importorskip("grpc")
pytest.importorskip("riva.client.proto.riva_asr_pb2_grpc")

from nemo_retriever_dagster.engines.nim import NimEndpoint, NimTranscriber, RivaTranscriber, nim_engines
from nemo_retriever_dagster.engines.ports import Segment
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MisuseError,
    RefusedSettingError,
    RejectedInputError,
    RequestTooLargeError,
    RetrieverError,
)
from nemo_retriever_dagster.testing import RivaServer
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAID = [
    Segment(text="Section one, this is the first.", start_ms=320, end_ms=2000),
    Segment(text="And this the second", start_ms=2100, end_ms=3000),
]
PCM = b"\1\0" * 16000


class Speaker:
    name = "speaker"

    def __init__(self, said: Sequence[Segment] = SAID) -> None:
        self.said = list(said)
        self.heard: list[tuple[int, int]] = []

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        self.heard.append((len(pcm), sample_rate))
        return self.said


def endpoint(server: RivaServer, **changes: Any) -> NimEndpoint:
    quick = NimEndpoint(urls=server.address, attempts=3, backoff=0.002, backoff_cap=0.02, breaker_pause=0.002)
    return replace(quick, **changes)


def transcribe(where: NimEndpoint, *, segments: bool = True, pcm: bytes = PCM) -> list[Segment]:
    async def work() -> list[Segment]:
        transcriber = RivaTranscriber(where)
        try:
            return await transcriber.transcribe(pcm, 16000, segments=segments)
        finally:
            await transcriber.aclose()

    return asyncio.run(work())


def test_another_language_and_another_function_are_other_engines() -> None:
    where = NimEndpoint(urls="host:50051")
    assert RivaTranscriber(where).name == "riva/parakeet-1-1b-ctc-en-us"
    hosted = replace(where, language="de-DE", function_id="1598")
    assert RivaTranscriber(hosted).name == "riva/parakeet-1-1b-ctc-en-us@de-DE@1598"


def test_sentences_come_with_their_times() -> None:
    speaker = Speaker()
    with RivaServer(speaker) as server:
        assert transcribe(endpoint(server)) == SAID
        (whole,) = transcribe(endpoint(server), segments=False)
    assert whole == Segment(text="Section one, this is the first. And this the second", start_ms=320, end_ms=3000)
    assert speaker.heard == [(len(PCM), 16000)] * 2


def test_silence_is_no_segment() -> None:
    with RivaServer(Speaker([])) as server:
        assert transcribe(endpoint(server), segments=False) == []


def test_recordings_may_be_long() -> None:
    speaker = Speaker()
    with RivaServer(speaker) as server:
        transcribe(endpoint(server), pcm=b"\1\0" * 4_000_000)
    assert speaker.heard == [(8_000_000, 16000)]


def test_a_recording_that_is_too_long_for_the_server_is_sent_once() -> None:
    with RivaServer(Speaker(), largest=20_000) as server, metered() as meter:
        with pytest.raises(RequestTooLargeError, match="larger than max"):
            transcribe(endpoint(server))
        assert transcribe(endpoint(server), pcm=PCM[:8000]) == SAID
    assert sum(usage.requests for usage in meter.totals.values()) == 2


class Elsewhere(RivaServer):
    """Has no model for what is asked."""

    def Recognize(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.requests += 1
        words = (
            f"Error: Unavailable model requested given these parameters: language_code={request.config.language_code}"
        )
        context.abort(self._grpc.StatusCode.INVALID_ARGUMENT, words)


def test_a_language_that_the_server_lacks_blames_no_recording() -> None:
    with Elsewhere(Speaker()) as server:
        with pytest.raises(RefusedSettingError, match="language_code=xx-XX"):
            transcribe(endpoint(server, language="xx-XX"))
        assert server.requests == 1


@pytest.mark.parametrize("fault", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "NOT_FOUND"])
def test_passing_faults_are_retried(fault: str) -> None:
    with RivaServer(Speaker(), faults=[fault, fault]) as server, metered() as meter:
        assert transcribe(endpoint(server)) == SAID
        assert server.requests == 3
    (usage,) = meter.totals.values()
    assert (usage.requests, usage.retries, usage.items) == (3, 2, 1)


PASSING = ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "ABORTED", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"]
FINAL = {
    "INVALID_ARGUMENT": RejectedInputError,
    "OUT_OF_RANGE": RejectedInputError,
    "FAILED_PRECONDITION": RejectedInputError,
    "UNAUTHENTICATED": MisuseError,
    "PERMISSION_DENIED": MisuseError,
    "UNIMPLEMENTED": MisuseError,
}


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("fault", [*PASSING, *FINAL])
def test_fault_at_one_request(fault: str, before: int) -> None:
    with RivaServer(Speaker(), faults=[*[""] * before, fault]) as server:
        found: list[Any] = []
        for _ in range(3):
            try:
                found.append(transcribe(endpoint(server)))
            except RetrieverError as error:
                found.append(type(error))
        assert found == [FINAL[fault] if fault in FINAL and i == before else SAID for i in range(3)]
        assert server.requests == 3 + (fault in PASSING)


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        ("UNAVAILABLE", EngineUnavailableError, 3),
        ("RESOURCE_EXHAUSTED", EngineBusyError, 3),
        ("DEADLINE_EXCEEDED", EngineTimeoutError, 3),
        ("INVALID_ARGUMENT", RejectedInputError, 1),
        ("PERMISSION_DENIED", MisuseError, 1),
    ],
)
def test_lasting_faults_are_one_typed_error(fault: str, error: type[RetrieverError], requests: int) -> None:
    with RivaServer(Speaker(), faults=[fault] * 99) as server:
        with pytest.raises(error):
            transcribe(endpoint(server))
        assert server.requests == requests


def test_hanging_server_is_left() -> None:
    with RivaServer(Speaker(), latency=0.6) as server, pytest.raises(EngineTimeoutError):
        transcribe(endpoint(server, timeout=0.1, attempts=2))


def test_key_is_sent_and_never_told() -> None:
    with RivaServer(Speaker(), api_key="nvapi-right-key") as server:
        assert transcribe(endpoint(server, api_key=SecretStr("nvapi-right-key"))) == SAID
        with pytest.raises(MisuseError) as caught:
            transcribe(endpoint(server, api_key=SecretStr("nvapi-wrong-CANARY")))
    assert "CANARY" not in repr(caught.value) + str(caught.value) + str(caught.value.__cause__.__class__)


async def hint_at(where: NimEndpoint) -> str:
    """Return what is said to do next where speech cannot be sent."""
    transcriber = RivaTranscriber(where)
    with pytest.raises(EngineUnavailableError) as caught:
        await transcriber.transcribe(PCM, 16000)
    await transcriber.aclose()
    return caught.value.hint


def test_the_http_port_has_a_next_step() -> None:
    async def work() -> None:
        async def answer(request: Request) -> Reply:
            return json_reply({})

        async with await serve(answer) as server:
            where = NimEndpoint(urls=f"127.0.0.1:{server.sockets[0].getsockname()[1]}", attempts=1)
            assert "gRPC port" in await hint_at(where)

    asyncio.run(work())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_trusts_has_a_next_step(tmp_path: Path) -> None:
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(["openssl", *made.split()], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    tls.set_alpn_protocols(["h2"])

    async def work() -> None:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls) as server:
            where = NimEndpoint(urls=f"https://localhost:{server.sockets[0].getsockname()[1]}", attempts=1)
            assert "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in await hint_at(where)

    asyncio.run(work())


def test_check_needs_a_server() -> None:
    async def check(where: NimEndpoint) -> None:
        transcriber = RivaTranscriber(where)
        try:
            await transcriber.check()
        finally:
            await transcriber.aclose()

    with RivaServer(Speaker()) as server:
        asyncio.run(check(endpoint(server)))
    with pytest.raises(EngineUnavailableError, match="takes no connection"):
        asyncio.run(check(NimEndpoint(urls="127.0.0.1:9", timeout=0.2)))


def test_address_tells_the_protocol() -> None:
    over_http = nim_engines({"transcriber": NimEndpoint(urls="http://x:9000/v1/audio/transcriptions")})
    over_grpc = nim_engines({"transcriber": NimEndpoint(urls="x:50051")})
    assert isinstance(over_http.transcriber, NimTranscriber)
    assert isinstance(over_grpc.transcriber, RivaTranscriber)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_goes_through_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with RivaServer(Speaker()) as server:
        where = replace(endpoint(server), urls=server.address.replace("127.0.0.1", host), attempts=1)
        assert transcribe(where) == SAID


def test_a_key_may_end_with_a_new_line() -> None:
    with RivaServer(Speaker(), api_key="canary-81") as server:
        assert transcribe(endpoint(server, api_key=SecretStr("canary-81\n"))) == SAID
