"""How a parser process and its owner talk: length-prefixed pickles over a socket, read back by a strict reader.

The owner trusts no parser process: a native exploit in a parser must not become code in the owner, so pages and errors
are unpickled with an allow-list of this package's own value types.
"""

from __future__ import annotations

import io
import pickle
import struct
import time
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster import dates, errors, limits, model
from nemo_retriever_dagster.extract import contract

if TYPE_CHECKING:
    import socket

    from nemo_retriever_dagster.extract.contract import ExtractOptions
    from nemo_retriever_dagster.limits import Limits

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One document for a parser process. ``extractor`` is ``module:class``."""

    path: str
    options: ExtractOptions
    extractor: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The parser process has read the job; ``confined`` tells whether it is cut off from the network."""

    confined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The document is read to its end, or ``error`` says why not; a process that is not ``reusable`` is replaced."""

    error: errors.RetrieverError | None = None
    reusable: bool = True


class ProtocolError(Exception):
    """The other side sent something that is not part of the conversation."""


def _values() -> dict[tuple[str, str], type]:
    ours = [contract.Page, contract.Sound, dates.Dates, Accepted, Finished]
    ours += [model.Kind, model.Origin, model.Box, model.Picture, model.Word, model.Cell, model.Table, model.Element]
    ours += [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {(kind.__module__, kind.__qualname__): kind for kind in ours if kind.__module__.startswith("nemo_")}


def _rebuilt(kind: type, values: tuple[object, ...]) -> object:
    """Make a value of this package from the values of its fields."""
    made: object = object.__new__(kind)
    for name, value in zip(_FIELDS[kind], values, strict=True):
        object.__setattr__(made, name, value)
    return made


_VALUES: dict[tuple[str, str], object] = {
    **_values(),
    (errors.__name__, "_rebuild"): vars(errors)["_rebuild"],
    (__name__, "_rebuilt"): _rebuilt,
}
_SENT = [Job, contract.ExtractOptions, limits.Limits, *_values().values()]
_FIELDS = {kind: [field.name for field in fields(kind)] for kind in _SENT if is_dataclass(kind)}
_READ = {kind: attrgetter(*names) for kind, names in _FIELDS.items() if len(names) > 1}


class _Writer(pickle.Pickler):
    """Writes a value of this package as a tuple of its fields: a tenth of what a frozen dataclass costs by itself."""

    def reducer_override(self, obj: Any, /) -> Any:
        if isinstance(obj, Enum):  # by itself, before Python 3.11.4, a call of getattr: nothing to allow a parser
            return type(obj), (obj.value,)
        read = _READ.get(type(obj))
        return (_rebuilt, (type(obj), read(obj))) if read else NotImplemented


class _StrictReader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> object:
        try:
            return _VALUES[module_name, global_name]
        except KeyError:
            raise ProtocolError(f"{module_name}.{global_name} is not a value of a page.") from None


def send(sock: socket.socket, message: object) -> None:
    """Send one message; blocks while the other side does not read (that is the back-pressure)."""
    data = io.BytesIO()
    data.write(bytes(_LENGTH.size))
    _Writer(data, protocol=5).dump(message)
    view = data.getbuffer()
    _LENGTH.pack_into(view, 0, len(view) - _LENGTH.size)
    sock.sendall(view)


@dataclass(slots=True)
class Patience:
    """How long to wait for the other side: ``idle`` seconds without a byte, ``total`` seconds of waiting in all."""

    idle: float
    total: float

    def receive(self, sock: socket.socket, into: memoryview) -> int:
        """Read some bytes; raise `TimeoutError` when patience ends."""
        sock.settimeout(max(0.001, min(self.idle, self.total)))
        began = time.monotonic()
        try:
            return sock.recv_into(into)
        finally:
            self.total -= time.monotonic() - began


class Incoming:
    """The messages that come over a socket: what has come of the next ones is kept."""

    def __init__(self, sock: socket.socket) -> None:
        """Read nothing yet."""
        self._sock = sock
        self._ahead = bytearray()
        self._room = memoryview(bytearray(_CHUNK))

    def receive(self, patience: Patience, *, at_most: int) -> object:
        """Return the next message, strictly unpickled; raise `EOFError` or `TimeoutError` where none comes."""
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size, patience))
        if length > at_most:
            raise ProtocolError(f"A message of {length:,} bytes is announced; {at_most:,} is the most.")
        data = self._take(length, patience)
        try:
            return _StrictReader(io.BytesIO(data)).load()
        except ProtocolError:
            raise
        except Exception as error:
            raise ProtocolError(f"A message cannot be read: {error}") from error

    def _take(self, length: int, patience: Patience) -> bytearray:
        while len(self._ahead) < length:
            count = patience.receive(self._sock, self._room)
            if not count:
                raise EOFError
            self._ahead += self._room[:count]
        taken = self._ahead[:length]
        del self._ahead[:length]
        return taken


def receive_job(sock: socket.socket) -> Job | None:
    """Return the next job (this side trusts its owner), or None when the owner has hung up."""
    try:
        (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
        job = pickle.loads(_exactly(sock, length))  # noqa: S301 -- sent by the process that started this one
    except (EOFError, ConnectionError):
        return None
    assert isinstance(job, Job)
    return job


def _exactly(sock: socket.socket, length: int) -> bytearray:
    data = bytearray()
    while len(data) < length:
        chunk = sock.recv(length - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
