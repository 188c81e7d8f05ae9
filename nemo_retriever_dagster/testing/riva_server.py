"""A Riva ASR server on this machine: gRPC ``Recognize``, answered by a transcriber, with latency and faults.

Needs the extra ``riva``. ::

    with RivaServer(transcriber) as server:
        engines = nim_engines({"transcriber": NimEndpoint(urls=server.address)})
"""

from __future__ import annotations

import asyncio
import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from nemo_retriever_dagster.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from nemo_retriever_dagster.engines.ports import Segment, Transcriber

_PROTO = "riva.client.proto"
_RATES = (8000, 48000)


class RivaServer:
    """Serves speech recognition on the loopback interface while it is entered as a context.

    ``faults`` are names of gRPC status codes (``UNAVAILABLE``, ``RESOURCE_EXHAUSTED`` ...), one a request from the
    first on; "" is a good answer, and so are all after the last. ``api_key`` makes it refuse other keys. ``largest``
    bounds the bytes of a request (-1 does not).
    """

    def __init__(
        self,
        transcriber: Transcriber,
        *,
        latency: float = 0.0,
        faults: Sequence[str] = (),
        api_key: str = "",
        largest: int = -1,
    ) -> None:
        """Prepare; it listens once the context is entered."""
        try:
            self._grpc = importlib.import_module("grpc")
            self._asr = importlib.import_module(f"{_PROTO}.riva_asr_pb2")
            self._service = importlib.import_module(f"{_PROTO}.riva_asr_pb2_grpc")
            self._pcm = importlib.import_module(f"{_PROTO}.riva_audio_pb2").AudioEncoding.LINEAR_PCM
        except ImportError as cause:
            raise MissingDependencyError.of("RivaServer", "pip install 'nemo-retriever-dagster[riva]'") from cause
        self._transcriber = transcriber
        self._latency = latency
        self._faults = list(faults)
        self._api_key = api_key
        self._largest = largest
        self._server: Any = None
        self.address = ""
        self.requests = 0

    def __enter__(self) -> Self:
        """Start listening; ``address`` is host and port."""
        bounds = [("grpc.max_receive_message_length", self._largest)]
        self._server = self._grpc.server(ThreadPoolExecutor(max_workers=8), options=bounds)
        self._service.add_RivaSpeechRecognitionServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever is in flight."""
        self._server.stop(grace=None).wait()

    def Recognize(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Answer one offline request; refuse what Riva refuses."""
        number, self.requests = self.requests, self.requests + 1
        fault = self._faults[number] if number < len(self._faults) else ""
        codes = self._grpc.StatusCode
        if fault:
            context.abort(getattr(codes, fault), f"told to fail with {fault}")
        self._refuse(request, context)
        time.sleep(self._latency)
        rate = request.config.sample_rate_hertz
        segments = asyncio.run(self._transcriber.transcribe(request.audio, rate, segments=True))
        return self._asr.RecognizeResponse(results=[self._result(segment) for segment in segments])

    def StreamingRecognize(self, requests: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: only the offline mode is served."""
        del requests
        context.abort(self._grpc.StatusCode.UNIMPLEMENTED, "only offline recognition is served")

    def GetRivaSpeechRecognitionConfig(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Tell nothing about the models."""
        del request, context
        return self._asr.RivaSpeechRecognitionConfigResponse()

    def _refuse(self, request: Any, context: Any) -> None:
        codes, config = self._grpc.StatusCode, request.config
        given = dict(context.invocation_metadata()).get("authorization", "")
        if self._api_key and given != f"Bearer {self._api_key}":
            context.abort(codes.UNAUTHENTICATED, f"the key {given} is not valid")
        if not config.language_code:
            context.abort(codes.INVALID_ARGUMENT, "language_code is required")
        if config.encoding != self._pcm or not _RATES[0] <= config.sample_rate_hertz <= _RATES[1]:
            context.abort(codes.INVALID_ARGUMENT, "LINEAR_PCM with its sample_rate_hertz is required")
        if not request.audio:
            context.abort(codes.INVALID_ARGUMENT, "audio is empty")

    def _result(self, segment: Segment) -> Any:
        """Spread the segment's time evenly over its words: the engines tell no word times."""
        words, start = segment.text.split(), max(segment.start_ms, 0)
        step = max(segment.end_ms - start, 0) / max(len(words), 1)
        timed = [
            self._asr.WordInfo(word=word, start_time=round(start + i * step), end_time=round(start + (i + 1) * step))
            for i, word in enumerate(words)
        ]
        best = self._asr.SpeechRecognitionAlternative(transcript=segment.text, confidence=0.9, words=timed)
        return self._asr.SpeechRecognitionResult(alternatives=[best], channel_tag=1)
