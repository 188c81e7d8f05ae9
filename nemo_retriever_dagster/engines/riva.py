"""Speech over gRPC: the Riva (parakeet) ASR NIM, self-hosted or on NVCF. Needs the extra ``riva``."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from nemo_retriever_dagster.engines.caller import Caller
from nemo_retriever_dagster.engines.endpoints import is_hosted
from nemo_retriever_dagster.engines.ports import Segment
from nemo_retriever_dagster.engines.refusals import blames_a_setting, without
from nemo_retriever_dagster.engines.retries import AttemptFailedError
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineReplyError,
    EngineTimeoutError,
    EngineUnavailableError,
    MissingDependencyError,
    MisuseError,
    RefusedSettingError,
    RejectedInputError,
    RequestTooLargeError,
    RetrieverError,
)

if TYPE_CHECKING:
    from nemo_retriever_dagster.engines.endpoints import NimEndpoint

_PROTO = "riva.client.proto"
_UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_WORDS = 500  # characters of a server's words that an error quotes
_HINTS = {
    "CERTIFICATE_VERIFY_FAILED": "Name the file with the certificate of who signed its certificate in "
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, before anything is called.",
    "WRONG_VERSION_NUMBER": "It speaks no TLS: write http:// before its address.",
    "Failed parsing HTTP/2": "Is this its gRPC port (50051, not the HTTP port 9000)?",
}
"""What gRPC says, and what to do about it."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SENTENCE_ENDS = (".", "?", "!")


def _load(name: str) -> Any:
    """Import ``name``; say how to install it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        raise MissingDependencyError.of(
            "Speech recognition over gRPC", "pip install 'nemo-retriever-dagster[riva]'"
        ) from cause


class RivaTranscriber:
    """Writes down speech with word times, one request a recording.

    ``endpoint.urls`` is ``host:50051`` (or ``https://grpc.nvcf.nvidia.com:443`` with ``function_id`` and a key).
    """

    default_model = "parakeet-1-1b-ctc-en-us"

    def __init__(self, endpoint: NimEndpoint) -> None:
        """Load the protocol; nothing is sent yet. `MissingDependencyError` names the extra to install."""
        self.endpoint = endpoint
        self.model = endpoint.model or self.default_model
        self._grpc = _load("grpc")
        self._asr = _load(f"{_PROTO}.riva_asr_pb2")
        self._service = _load(f"{_PROTO}.riva_asr_pb2_grpc")
        self._pcm = _load(f"{_PROTO}.riva_audio_pb2").AudioEncoding.LINEAR_PCM
        self._caller = Caller(endpoint, name=self.name)
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Any]] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """``riva/`` and the model's id; also the language, if it is not English, and the hosted function."""
        function = f"@{self.endpoint.function_id}" if self.endpoint.function_id else ""
        return f"riva/{self.model}{self.endpoint.language_mark}{function}"

    async def transcribe(self, pcm: bytes, sample_rate: int, *, segments: bool = False) -> list[Segment]:
        """Transcribe mono 16-bit PCM; one segment, or one a sentence; silence is an empty list."""
        request = self._asr.RecognizeRequest(config=self._config(sample_rate), audio=pcm)

        async def send(url: str) -> Any:
            try:
                stub = self._service.RivaSpeechRecognitionStub(self._channel(url))
                return await stub.Recognize(request, metadata=self._metadata(url), timeout=self.endpoint.timeout)
            except self._grpc.RpcError as cause:
                raise self._failed(cause, url) from cause

        return await self._caller.call(send, lambda reply: (self._segments(reply, apart=segments), 0))

    async def check(self) -> None:
        """Raise `EngineUnavailableError` unless one of the servers takes connections."""
        results = [await self._reachable(url) for url in self.endpoint.targets]
        if not any(results):
            where = ", ".join(self.endpoint.targets)
            hint = "Is the audio NIM up, and is this its gRPC port (50051, not the HTTP port 9000)?"
            raise EngineUnavailableError(f"{self.name} at {where} takes no connection.", hint=hint)

    async def aclose(self) -> None:
        """Close the channels of this event loop."""
        for channel in self._channels.pop(asyncio.get_running_loop(), {}).values():
            await channel.close()

    def _config(self, sample_rate: int) -> Any:
        return self._asr.RecognitionConfig(
            encoding=self._pcm,
            sample_rate_hertz=sample_rate,
            audio_channel_count=1,
            language_code=self.endpoint.language,
            max_alternatives=1,
            enable_automatic_punctuation=True,
            enable_word_time_offsets=True,
            verbatim_transcripts=True,
        )

    def _segments(self, reply: Any, *, apart: bool) -> list[Segment]:
        found: list[Segment] = []
        for result in reply.results:
            if not result.alternatives:
                continue
            best = result.alternatives[0]
            words = list(best.words)
            if any(word.end_time < word.start_time for word in words):
                raise AttemptFailedError(
                    EngineReplyError(f"The reply of {self.name} breaks its contract: a word ends before it starts."),
                    again=True,
                )
            found += _sentences(words) if words else [Segment(text=best.transcript.strip())]
        found = [segment for segment in found if segment.text]
        if apart or not found:
            return found
        text = " ".join(segment.text for segment in found)
        return [Segment(text=text, start_ms=found[0].start_ms, end_ms=found[-1].end_ms)]

    async def _reachable(self, url: str) -> bool:
        try:
            async with asyncio.timeout(min(self.endpoint.timeout, 5.0)):
                await self._channel(url).channel_ready()
        except TimeoutError:
            return False
        return True

    def _channel(self, url: str) -> Any:
        channels = self._channels.setdefault(asyncio.get_running_loop(), {})
        if url not in channels:
            parts = urlsplit(url)
            aio = self._grpc.aio
            # Loopback never goes through a proxy that the environment names.
            options = [*_UNBOUNDED, ("grpc.enable_http_proxy", int(parts.hostname not in _LOOPBACK))]
            if parts.scheme in {"https", "grpcs"} or is_hosted(url):
                channels[url] = aio.secure_channel(parts.netloc, self._grpc.ssl_channel_credentials(), options=options)
            else:
                channels[url] = aio.insecure_channel(parts.netloc, options=options)
        return channels[url]

    def _metadata(self, url: str) -> list[tuple[str, str]]:
        key = self.endpoint.key_for(url)
        found = [("authorization", f"Bearer {key.get_secret_value()}")] if key else []
        return [*found, *([("function-id", self.endpoint.function_id)] if self.endpoint.function_id else [])]

    def _failed(self, cause: Any, url: str) -> AttemptFailedError:
        """Say what a gRPC status means; ``Exceeds maximum queue size`` is how Triton says 429."""
        code, words = cause.code(), without(str(cause.details() or ""), self.endpoint.key_for(url))[:_WORDS]
        codes, said = self._grpc.StatusCode, f"{code.name}: {words}"
        if (refused := self._refused(code, words, url)) is not None:
            return AttemptFailedError(refused, again=False)
        if code is codes.RESOURCE_EXHAUSTED or "maximum queue size" in words:
            return AttemptFailedError(EngineBusyError(f"{self.name} is busy ({said})."), again=True)
        if code is codes.DEADLINE_EXCEEDED:
            late = EngineTimeoutError(f"{self.name} did not answer in time ({said}).")
            return AttemptFailedError(late, again=True, down=True)
        if code in {codes.UNAVAILABLE, codes.INTERNAL, codes.NOT_FOUND, codes.UNKNOWN, codes.ABORTED}:
            hint = next((hint for sign, hint in _HINTS.items() if sign in words), f"Is the server at {url} up?")
            down = EngineUnavailableError(f"{self.name} failed ({said}).", hint=hint)
            return AttemptFailedError(down, again=True, down=True)
        error = MisuseError(
            f"{self.name} refuses the call ({said}).", hint="Check key and function id, or the endpoint's address."
        )
        return AttemptFailedError(error, again=False)

    def _refused(self, code: Any, words: str, url: str) -> RetrieverError | None:
        """Return the error for a recording, or a setting, that is refused; ``larger than max`` is gRPC's 413."""
        codes, said = self._grpc.StatusCode, f"{code.name}: {words}"
        if "message larger than max" in words:
            return RequestTooLargeError(f"{self.name} refuses the input ({said}).")
        if code not in {codes.INVALID_ARGUMENT, codes.OUT_OF_RANGE, codes.FAILED_PRECONDITION}:
            return None
        if blames_a_setting(words):
            return RefusedSettingError(f"{self.name} at {url} refuses how it is used ({said}).")
        return RejectedInputError(f"{self.name} refuses the input ({said}).")


def _sentences(words: list[Any]) -> list[Segment]:
    """Cut the words behind those that end a sentence; times are milliseconds."""
    found: list[Segment] = []
    run: list[Any] = []
    for position, word in enumerate(words, start=1):
        run.append(word)
        if word.word.endswith(_SENTENCE_ENDS) or position == len(words):
            text = " ".join(one.word for one in run)
            found.append(Segment(text=text, start_ms=run[0].start_time, end_ms=run[-1].end_time))
            run = []
    return found
