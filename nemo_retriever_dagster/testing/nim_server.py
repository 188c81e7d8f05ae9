"""A NIM server on this machine: every NIM of the pipeline, strict about its contract, with latency, capacity, faults.

::

    with NimServer(latency=0.05, capacity=8) as server:
        server.inject(Fault(kind=FaultKind.LOADING, port="embedder", times=3))
        engines = nim_engines(server.endpoints())

It runs in a thread of its own and listens on the loopback interface, one TCP port a NIM, as the NIMs do. Its answers
are computed by engines: those handed in, and simple deterministic ones (`testing.nim_answers`) for the other ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import click

from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve
from nemo_retriever_dagster.testing.nim_answers import Refusal, simple_engines
from nemo_retriever_dagster.testing.nim_faults import Fault, FaultKind, instead, spoil
from nemo_retriever_dagster.testing.nim_routes import ROUTES, Routes

if TYPE_CHECKING:
    from types import TracebackType

STATS = "/nim-server/stats"
"""Route on every port that tells other processes the number of calls and items, the most that were in flight, statuses,
when the first request came (on the system's monotonic clock) and the seconds from it to the last answer."""


VARIABLES = {
    "page_elements": "YOLOX_HTTP_ENDPOINT",
    "graphic_elements": "YOLOX_GRAPHIC_ELEMENTS_HTTP_ENDPOINT",
    "table_structure": "YOLOX_TABLE_STRUCTURE_HTTP_ENDPOINT",
    "ocr": "OCR_HTTP_ENDPOINT",
    "page_parser": "NEMOTRON_PARSE_HTTP_ENDPOINT",
    "captioner": "VLM_CAPTION_ENDPOINT",
    "embedder": "EMBEDDING_NIM_ENDPOINT",
    "reranker": "RERANKER_NIM_ENDPOINT",
    "transcriber": "AUDIO_GRPC_ENDPOINT",
}
"""The environment variable that points at each NIM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that was answered: by which NIM, on which path, with which status, how many items it had."""

    port: str
    path: str
    status: int
    items: int = 0


@dataclass(slots=True)
class _Nim:
    """The state of one NIM."""

    routes: Routes
    latency: float
    slots: asyncio.Semaphore | None
    requests: int = 0
    in_flight: int = 0
    peak: int = 0
    began: float = 0.0
    ended: float = 0.0
    address: str = ""


class NimServer:
    """Serves NIMs on the loopback interface while it is entered as a context.

    ``latency`` is the seconds a request takes and ``capacity`` how many a NIM works on at a time (0: any number), more
    wait in its queue; both are one number or one a port. ``models`` makes a NIM refuse other models. ``api_key`` makes
    all refuse other keys. ``image_chars`` bounds base64 images (0: does not). ``first_port`` fixes the TCP ports.
    """

    def __init__(
        self,
        engines: Engines | None = None,
        *,
        latency: float | Mapping[str, float] = 0.0,
        capacity: int | Mapping[str, int] = 0,
        models: Mapping[str, str] | None = None,
        api_key: str = "",
        image_chars: int = 0,
        dimension: int = 2048,
        first_port: int = 0,
    ) -> None:
        """Prepare the NIMs; they listen once the context is entered."""
        self._engines = _completed(engines or Engines(), dimension)
        self._latency, self._capacity = latency, capacity
        self._options = {"dimension": dimension, "chars": image_chars}
        self._models = dict(models or {})
        self._api_key = api_key
        self._first_port = first_port
        self._faults: list[Fault] = []
        self._nims: dict[str, _Nim] = {}
        self._ready = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._problem: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.calls: list[Call] = []
        """Every request that was answered, in order; a reset or a hang counts with status 0."""

    def __enter__(self) -> Self:
        """Start; return once every NIM listens."""
        self._thread = threading.Thread(target=self._run, name="nim-server", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever is in flight."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def url(self, port: str, *, line: int = 1) -> str:
        """Return the address to call for the NIM of ``port``; ``line`` 2 is that of the 2.x NIMs, if there is one."""
        routes = ROUTES.get(port, ())
        if port not in self._nims:
            hint = f"Hand its engine to NimServer; it has {sorted(self._nims)}."
            raise InvalidOptionError(f"No NIM answers for {port!r}.", hint=hint)
        if not 1 <= line <= len(routes):
            raise InvalidOptionError(f"There is no line {line} of the {port} NIM.")
        return self._nims[port].address + routes[line - 1]

    def endpoints(self, **changes: Any) -> dict[str, NimEndpoint]:
        """Return an endpoint for every NIM served, with ``changes`` to the fields of `NimEndpoint`."""
        plain = {port: NimEndpoint(urls=self.url(port), model=self._models.get(port, "")) for port in self._nims}
        return {port: replace(endpoint, **changes) for port, endpoint in plain.items()}

    def inject(self, *faults: Fault) -> None:
        """Have these faults from now on, beside earlier ones; their counts start from now too."""
        for fault in faults:
            base = self._nims[fault.port].requests if fault.port else 0
            self._faults.append(replace(fault, first=fault.first + base))

    def mend(self) -> None:
        """Have no faults any more."""
        self._faults.clear()

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - it reads as a switch
        """Answer the health route with 200 or 503."""
        self._ready = ready

    def count(self, port: str = "") -> int:
        """Return the number of requests that ``port`` (or all) got, faults included."""
        return sum(nim.requests for name, nim in self._nims.items() if port in {"", name})

    def peak(self, port: str) -> int:
        """Return the most requests that were in flight at one time."""
        return self._nims[port].peak

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:  # noqa: BLE001 - it is raised in the thread that entered
            self._problem = problem
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers = []
        for number, port in enumerate(p for p in ROUTES if p in self._engines.all()):
            nim = self._nim(port)
            server = await serve(partial(self._answer, nim), self._tcp_port(number))
            nim.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._nims[port] = nim
            servers.append(server)
        self._started.set()
        await self._stop.wait()
        for server in servers:
            server.close()

    def _tcp_port(self, number: int) -> int:
        return self._first_port + number if self._first_port else 0

    def _nim(self, port: str) -> _Nim:
        capacity = self._capacity.get(port, 0) if isinstance(self._capacity, Mapping) else self._capacity
        latency = self._latency.get(port, 0.0) if isinstance(self._latency, Mapping) else self._latency
        routes = Routes(port, self._engines, model=self._models.get(port, ""), **self._options)
        return _Nim(routes=routes, latency=latency, slots=asyncio.Semaphore(capacity) if capacity else None)

    async def _answer(self, nim: _Nim, request: Request) -> Reply:
        if request.method == "GET":
            return self._told(nim, request.path)
        nim.requests += 1
        nim.in_flight += 1
        nim.peak = max(nim.peak, nim.in_flight)
        nim.began = nim.began or time.monotonic()
        items = 0
        reply = Reply(reset=True)
        try:
            reply, items = await self._posted(nim, request, nim.requests)
        finally:
            nim.in_flight -= 1
            nim.ended = time.monotonic()
            status = 0 if reply.reset else reply.status
            self.calls.append(Call(port=nim.routes.port, path=request.path, status=status, items=items))
        return reply

    async def _posted(self, nim: _Nim, request: Request, number: int) -> tuple[Reply, int]:
        port = nim.routes.port
        fault = next((one for one in self._faults if one.hits(port, number)), None)
        if not self._allowed(request):
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            # Careless gateways repeat the key: who quotes them must not.
            return json_reply({"detail": f"Unauthorized: the key '{given}' is not valid."}, 401), 0
        if request.path not in ROUTES[port]:
            served = f"{nim.routes.model} at {', '.join(ROUTES[port])}"
            return json_reply({"detail": f"Not found: {request.path}. Loaded: {served}."}, 404), 0
        if fault is not None and (reply := instead(fault)) is not None:
            return reply, 0
        if fault is not None and fault.kind is FaultKind.HANG:
            await asyncio.sleep(fault.seconds or 3600)
            return Reply(reset=True), 0
        return await self._worked(nim, request, fault)

    async def _worked(self, nim: _Nim, request: Request, fault: Fault | None) -> tuple[Reply, int]:
        if nim.slots is None:
            return await self._computed(nim, request, fault)
        async with nim.slots:
            return await self._computed(nim, request, fault)

    async def _computed(self, nim: _Nim, request: Request, fault: Fault | None) -> tuple[Reply, int]:
        begun = time.monotonic()
        try:
            answer, items = await nim.routes.answer(request)
        except Refusal as refusal:
            return json_reply({"detail": refusal.detail}, refusal.status), 0
        await asyncio.sleep(max(nim.latency - (time.monotonic() - begun), 0))
        return (spoil(fault.kind, answer) if fault else json_reply(answer)), items

    def _allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return not self._api_key or hmac.compare_digest(given.encode(), f"Bearer {self._api_key}".encode())

    def _told(self, nim: _Nim, path: str) -> Reply:
        model = nim.routes.model
        if path == "/v1/health/ready":
            message = "ready" if self._ready else "loading"
            health = {"object": "health.response", "message": message, "ready": self._ready}
            return json_reply(health, 200 if self._ready else 503)
        if path == "/v1/health/live":
            return json_reply({"object": "health.response", "message": "Service is live.", "status": "live"})
        if path == "/v1/metadata":
            name = model.rpartition("/")[2]
            return json_reply({"version": "1.8.0", "modelInfo": [{"shortName": f"{name}:1.8.0", "modelUrl": ""}]})
        if path == "/v1/models":
            return json_reply({"object": "list", "data": [{"id": model, "object": "model"}]})
        if path == STATS:
            return json_reply(self._stats(nim))
        return json_reply({"detail": "Not Found"}, 404)

    def _stats(self, nim: _Nim) -> dict[str, Any]:
        calls = [call for call in self.calls if call.port == nim.routes.port]
        return {
            "calls": nim.requests,
            "items": sum(call.items for call in calls),
            "peak": nim.peak,
            "began": nim.began,
            "seconds": nim.ended - nim.began,
            "statuses": Counter(str(call.status) for call in calls),
        }


def _completed(given: Engines, dimension: int) -> Engines:
    simple = simple_engines(dimension)
    chosen = {one.name: getattr(given, one.name) or getattr(simple, one.name) for one in fields(Engines)}
    return Engines(**chosen)


@click.command()
@click.option("--first-port", default=8000, show_default=True, help="TCP port of the first NIM; the others follow.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds a request takes.")
@click.option("--capacity", default=0, show_default=True, help="Requests a NIM works on at a time; 0 for any number.")
@click.option("--dimension", default=2048, show_default=True, help="Length of the vectors.")
@click.option(
    "--local/--simple", default=True, show_default=True, help="Answer with the local engines, or simple ones."
)
def main(*, first_port: int, latency: float, capacity: int, dimension: int, local: bool) -> None:
    """Serve NIMs on the loopback interface until it is interrupted, and say what to set to use them."""
    engines = _local_engines() if local else Engines()
    with NimServer(engines, latency=latency, capacity=capacity, dimension=dimension, first_port=first_port) as server:
        for port, endpoint in server.endpoints().items():
            click.echo(f"export {VARIABLES[port]}={endpoint.targets[0]}")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def _local_engines() -> Engines:
    from nemo_retriever_dagster.engines.local import local_engines

    return local_engines()


if __name__ == "__main__":
    main()
