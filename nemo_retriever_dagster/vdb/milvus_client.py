"""Open and close connections to Milvus: servers each their own, Milvus Lite one a process, shared and leased.

Errors of the client library become the package's own here, in `mapped`, so that no other room sees them.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from nemo_retriever_dagster.errors import (
    InvalidOptionError,
    RetrieverError,
    StorageFullError,
    StoreUnavailableError,
)
from nemo_retriever_dagster.vdb.lease import Lease, foreign_holder, locked
from nemo_retriever_dagster.vdb.lite_mend import mend
from nemo_retriever_dagster.vdb.lite_rows import LiteRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymilvus import MilvusClient

_UNREACHABLE, _NO_COLLECTION, _DENIED = 2, 100, {1800, 1801, 65535}
# Milvus Lite's server in this process ends connections that are pinged as often as the client library does by default.
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1}
_ABSENT = re.compile(r"(?i)can(?:no|')t find collection|collection not found|collection '.*' does not exist")
_EXPRESSION = re.compile(r"(?i)expression|at column \d+|unexpected (?:character|token|end)|unterminated|filter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a Milvus is and who asks. ``uri`` is a path ending ``.db`` (Milvus Lite) or a server's URL.

    ``create`` tells whether a Milvus Lite store that is not there is made.
    """

    uri: str = "milvus.db"
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    database: str = ""
    timeout: float = 60.0
    wait: float = 10.0
    what: str = ""
    run_id: str = ""
    create: bool = True

    @property
    def lite(self) -> bool:
        """Whether this is a Milvus Lite path."""
        return "://" not in self.uri and not self.uri.startswith("unix:")

    @property
    def path(self) -> Path:
        """The real path of a Milvus Lite store."""
        return Path(os.path.realpath(Path(self.uri).expanduser()))

    @property
    def shown(self) -> str:
        """The address without its password, for messages."""
        if self.lite:
            return str(self.path)
        parts = urlsplit(self.uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def check(self) -> None:
        """Raise `InvalidOptionError` unless the URI is one that Milvus takes."""
        if self.uri.startswith(("http://", "https://", "tcp://", "unix:")):
            return
        if self.lite and self.uri.endswith(".db"):
            return
        raise InvalidOptionError(
            f"milvus_uri={self.shown!r} is neither a Milvus Lite path nor a server's URL.",
            hint='Use a path ending in .db ("milvus.db") or a URL ("http://localhost:19530").',
        )


@dataclass(slots=True)
class _Shared:
    client: MilvusClient
    lease: Lease
    users: int = 1
    rows: LiteRows = field(default_factory=LiteRows)


_open: dict[tuple[int, str], _Shared] = {}  # by process id too: a forked child must not use its parent's
_open_lock = threading.Lock()


_turns: dict[str, threading.RLock] = {}


def turn(address: Address) -> threading.RLock:
    """Return the lock that calls to this store take: one a path for Milvus Lite, one of its own for a server.

    Milvus Lite counts wrongly now and then while another thread writes, and works on one call at a time anyway.
    """
    if not address.lite:
        return threading.RLock()
    with _open_lock:
        return _turns.setdefault(str(address.path), threading.RLock())


def connect(address: Address) -> MilvusClient:
    """Return a client; for Milvus Lite the process's only one, which `disconnect` closes after its last user."""
    address.check()
    if not address.lite:
        return _connect(address, address.uri)
    if not (address.create or address.path.exists()):
        raise InvalidOptionError(
            f"There is no Milvus Lite store at {address.path}.",
            hint="Ingest with vdb_upload(milvus_uri=...) first, or correct the path.",
        )
    key = (os.getpid(), str(address.path))
    with _open_lock:
        if shared := _open.get(key):
            shared.users += 1
            return shared.client
        lease = Lease(address.path, wait=address.wait, what=address.what, run_id=address.run_id).acquire()
        try:
            mend(address.path, died=lease.inherited)
            client = _connect(address, str(address.path))
        except BaseException:
            lease.release()
            raise
        _open[key] = _Shared(client=client, lease=lease)
        return client


def lite_rows(address: Address) -> LiteRows:
    """Return what is known of the rows of a Milvus Lite: nothing while it is not open."""
    with _open_lock:
        shared = _open.get((os.getpid(), str(address.path)))
    return shared.rows if shared else LiteRows()


def disconnect(address: Address, client: MilvusClient) -> None:
    """Close ``client`` if nobody else in the process uses it, and with it Milvus Lite and its lease."""
    if not address.lite:
        client.close()
        return
    key = (os.getpid(), str(address.path))
    with _open_lock:
        shared = _open.get(key)
        if shared is None or shared.client is not client:
            return
        shared.users -= 1
        if shared.users == 0:
            del _open[key]
            _shut(address.path, shared)


def _shut(path: Path, shared: _Shared) -> None:
    from milvus_lite.server_manager import server_manager_instance

    try:
        shared.client.close()
        server_manager_instance.release_server(str(path))
    finally:
        shared.lease.release()


def _connect(address: Address, uri: str) -> MilvusClient:
    from pymilvus import MilvusClient  # takes about a second to import (pandas): only when it is used

    # The library logs every error with a traceback before it raises it; the raised error is enough. Importing it sets
    # the levels, so they are set afterwards.
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        return MilvusClient(
            uri,
            user=address.username,
            password=address.password,
            token=address.token,
            db_name=address.database,
            timeout=min(address.timeout, 10.0),
            **({"grpc_options": _NO_PINGS} if address.lite else {}),
        )
    except Exception as error:
        if address.lite:
            raise _why_not_open(address.path, error) from error
        raise translate(error, address, "connect") from error


def _why_not_open(path: Path, error: Exception) -> RetrieverError:
    if path.is_file():
        return StoreUnavailableError(
            f"{path} is a file, not a Milvus Lite 3 store (which is a folder).",
            hint="Versions before 3 wrote one file and cannot be opened. Choose another path and ingest again.",
        )
    if who := foreign_holder(path / "LOCK"):
        return locked(path, who, 0.0)
    return StoreUnavailableError(
        f"Milvus Lite cannot open {path}: {error}.",
        hint="If the store is damaged, move the folder away and ingest again; unchanged documents reuse artifacts.",
    )


@contextmanager
def mapped(address: Address, doing: str, collection: str = "") -> Iterator[None]:
    """Turn the client library's errors into the package's; ``doing`` completes 'Milvus cannot ...'."""
    try:
        yield
    except RetrieverError:
        raise
    except Exception as error:
        raise translate(error, address, doing, collection) from error


def translate(error: Exception, address: Address, doing: str, collection: str = "") -> RetrieverError:
    """Return the package's error for one that the client library raised."""
    from pymilvus import MilvusException

    code = error.code if isinstance(error, MilvusException) else -1
    text = error.message if isinstance(error, MilvusException) else f"{type(error).__name__}: {error}"
    for secret in (address.password, address.token):
        text = text.replace(secret, "***") if secret else text
    if code == _NO_COLLECTION or _ABSENT.search(text):
        return InvalidOptionError(
            f"There is no collection {collection!r} in {address.shown}.",
            hint="Ingest with vdb_upload(collection_name=...) first, or correct the name.",
        )
    refusal = _refusal(error)
    if not refusal and (code == _UNREACHABLE or "server unavailable" in text):
        return StoreUnavailableError(
            f"No Milvus answers at {address.shown}.",
            hint="Start it, correct milvus_uri, or use Milvus Lite: milvus_uri='milvus.db'.",
        )
    if refusal or (code in _DENIED and re.search(r"(?i)auth|password|permission|privilege", text)):
        said = refusal or text
        return StoreUnavailableError(
            f"Milvus at {address.shown} refuses the login: {said}.", hint="Check username and password, or the token."
        )
    if doing == "create a collection" and "index" in text:
        return InvalidOptionError(
            f"Milvus at {address.shown} refuses the index: {text}.",
            hint="Leave index parameters out; gpu_index=True needs a Milvus built for GPUs.",
        )
    if doing in {"search", "select", "count"} and _EXPRESSION.search(text):
        return InvalidOptionError(
            f"Milvus does not understand the filter: {text}.",
            hint='Write it like content_metadata["page_number"] == {page}, and pass filter_params={"page": 3}.',
        )
    hint = StorageFullError.default_hint if os.strerror(errno.ENOSPC) in text else ""
    return StoreUnavailableError(f"Milvus at {address.shown} cannot {doing}: {text}.", hint=hint)


def _refusal(error: BaseException) -> str:
    """Return what a server said that refused the login, "" for none: the client library calls it 'unavailable'."""
    import grpc

    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:  # the chain may lead back into itself
        if isinstance(cause, grpc.Call) and cause.code() is grpc.StatusCode.UNAUTHENTICATED:
            return str(cause.details())
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return ""


__all__ = ["Address", "connect", "disconnect", "lite_rows", "mapped", "translate", "turn"]
