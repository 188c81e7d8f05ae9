"""A small HTTP/1.1 server that can also misbehave: reset, hang, cut a reply short, drip it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h11

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CHUNK = 2**18
_DRIP = 0.05  # seconds between two bytes of a dripping reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sent; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; `ValueError` if it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server sends; ``reset`` sends nothing, ``cut`` half of the body, ``drip`` the body byte by byte."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    cut: bool = False
    drip: bool = False


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """Return a reply that holds ``value`` as JSON; underscores in header names become hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json"} | named)


class Connection:
    """One client's connection, kept alive from request to request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over the two streams."""
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER)

    async def run(self, app: Callable[[Request], Awaitable[Reply]]) -> None:
        """Answer requests until the client leaves."""
        try:
            while (request := await self._request()) is not None and await self._answer(await app(request)):
                self._h11.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client left or speaks something else
        finally:
            self._writer.close()

    async def _request(self) -> Request | None:
        head, body = None, []
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._h11.receive_data(await self._reader.read(_CHUNK))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
                path = head.target.decode().partition("?")[0]
                return Request(method=head.method.decode(), path=path, headers=headers, body=b"".join(body))
            else:
                return None

    async def _answer(self, reply: Reply) -> bool:
        """Send the reply; return whether the connection can be used again."""
        if reply.reset:
            self._reset()
            return False
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        head = h11.Response(status_code=reply.status, headers=list(headers.items()))
        if reply.cut or reply.drip:
            await self._spoil(self._h11.send(head) or b"", reply)
            return False
        data = b"".join(self._h11.send(e) or b"" for e in (head, h11.Data(data=reply.body), h11.EndOfMessage()))
        self._writer.write(data)
        await self._writer.drain()
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def _spoil(self, head: bytes, reply: Reply) -> None:
        self._writer.write(head)
        step = 1 if reply.drip else max(len(reply.body) // 2, 1)
        for start in range(0, len(reply.body) if reply.drip else step, step):
            self._writer.write(reply.body[start : start + step])
            await self._writer.drain()
            if reply.drip:
                await asyncio.sleep(_DRIP)
        if reply.cut:
            self._reset()

    def _reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends RST
        self._writer.transport.abort()


async def serve(app: Callable[[Request], Awaitable[Reply]], port: int = 0) -> asyncio.Server:
    """Listen on the loopback interface, on ``port`` or a free one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The server's end cancels open connections; streams would log that as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await Connection(reader, writer).run(app)

    return await asyncio.start_server(connected, "127.0.0.1", port, backlog=512)
