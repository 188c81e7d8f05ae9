"""Connection, collections and aliases of one Milvus: what its rows and searches stand on."""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Self

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.vdb import milvus_schema
from nemo_retriever_dagster.vdb.aliases import end_adoption
from nemo_retriever_dagster.vdb.contract import Capabilities, CollectionSpec
from nemo_retriever_dagster.vdb.milvus_client import Address, connect, disconnect, lite_rows, mapped, translate, turn
from nemo_retriever_dagster.vdb.milvus_rows import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymilvus import MilvusClient

_FULL_TEXT_SINCE = (2, 5)


class MilvusCollections:
    """Collections and aliases of a Milvus, opened at first use and shared by threads."""

    def __init__(
        self,
        uri: str = "milvus.db",
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        database: str = "",
        timeout: float = 60.0,
        wait: float = 10.0,
        what: str = "",
        run_id: str = "",
        create: bool = True,
        batch_rows: int = 1_000,
        batch_bytes: int = 16 * 2**20,
    ) -> None:
        """Take a path or URL and, for a server, a login.

        ``timeout`` bounds one call, ``wait`` the wait for another process on the same Milvus Lite path (both seconds);
        ``what`` and ``run_id`` tell that process who is in. Without ``create`` a Milvus Lite store that is not there is
        an `InvalidOptionError` when it is first used. One request holds at most ``batch_rows`` rows and about
        ``batch_bytes`` bytes.
        """
        self.address = Address(
            uri=str(uri),
            username=username,
            password=password,
            token=token,
            database=database,
            timeout=timeout,
            wait=wait,
            what=what,
            run_id=run_id,
            create=create,
        )
        self.address.check()
        self._batch = (batch_rows, batch_bytes)
        self._lock = turn(self.address)
        self._client: MilvusClient | None = None
        self._metrics: dict[str, str] = {}
        self._loaded: set[str] = set()
        self._unflushed: dict[str, int] = {}

    def __repr__(self) -> str:
        """Return the address, never the password."""
        return f"{type(self).__name__}({self.address.shown!r})"

    def __enter__(self) -> Self:
        """Return self; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def _milvus(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                self._client = connect(self.address)
            return self._client

    @property
    def client(self) -> MilvusClient:
        """The open client of pymilvus, for what this class does not cover.

        Ask for it again for every change that you make with it: Milvus Lite's rows are listed anew afterwards.
        """
        client = self._milvus
        self._forget()
        return client

    def collection_name(self, collection: str) -> str:
        """Return the collection that a name or an alias stands for."""
        with self._mapped("describe a collection", collection):
            return str(self._milvus.describe_collection(collection)["collection_name"])

    def _forget(self, collection: str = "") -> None:
        """Forget what is known of a collection that changes its rows or its name."""
        self._metrics.pop(collection, None)
        self._loaded.discard(collection)
        if self.address.lite:
            lite_rows(self.address).forget()

    @property
    def capabilities(self) -> Capabilities:
        """What this Milvus can do; connects to a server to learn its version."""
        full_text = self.address.lite or self.version >= _FULL_TEXT_SINCE
        return Capabilities(
            sparse=full_text,
            bulk_load=not self.address.lite,
            aliases=True,
            max_text_bytes=MAX_TEXT,
        )

    @property
    def version(self) -> tuple[int, ...]:
        """The version the server reports, e.g. (2, 5, 4)."""
        with self._mapped("tell its version"):
            text = str(self._milvus.get_server_version())
        return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    def ensure(self, spec: CollectionSpec, *, recreate: bool = False) -> None:
        """Create the collection if absent; raise `InvalidOptionError` if it exists with another shape."""
        milvus_schema.check_spec(spec, sparse_possible=self.capabilities.sparse, where=repr(self))
        with self._lock, self._mapped("create a collection", spec.name):
            end_adoption(self, spec.name)
            if recreate and self.exists(spec.name):
                self.drop(spec.name)
            if not self.exists(spec.name):
                self._create(spec)
            described = self._milvus.describe_collection(spec.name)
            milvus_schema.check_shape(described, self._metric(spec.name), spec)

    def _create(self, spec: CollectionSpec) -> None:
        lite = self.address.lite
        try:
            self._milvus.create_collection(
                spec.name,
                schema=milvus_schema.schema(spec, lite=lite),
                index_params=milvus_schema.index(spec, lite=lite),
                consistency_level="Strong",
                timeout=self.address.timeout,
            )
        except Exception as error:
            refused = translate(error, self.address, "create a collection", spec.name)
            if isinstance(refused, InvalidOptionError) and self._lacks_index(spec):  # useless, and in the way
                self._milvus.drop_collection(spec.name)
            raise refused from error

    def _lacks_index(self, spec: CollectionSpec) -> bool:
        """Whether the collection was made without an index; one that another process made meanwhile has all of them."""
        return self._milvus.has_collection(spec.name) and len(self._milvus.list_indexes(spec.name)) < 1 + spec.sparse

    def exists(self, collection: str) -> bool:
        """Return whether there is a collection or alias of this name."""
        with self._mapped("look for a collection", collection):
            return bool(self._milvus.has_collection(collection))

    def collections(self) -> list[str]:
        """Return the names of the collections, sorted."""
        with self._mapped("list its collections"):
            return sorted(self._milvus.list_collections())

    def alias_target(self, alias: str) -> str | None:
        """Return the collection an alias stands for, None if there is no such alias."""
        with self._mapped("look for an alias", alias):
            if not self._milvus.has_collection(alias):
                return None
            name = str(self._milvus.describe_collection(alias)["collection_name"])
        return None if name == alias else name

    def set_alias(self, alias: str, collection: str) -> None:
        """Make ``alias`` stand for ``collection``, at once for every reader."""
        now = self.alias_target(alias)
        if now is None and self.exists(alias):
            raise InvalidOptionError(
                f"{alias!r} is the name of a collection, not an alias.",
                hint="aliases.adopt() renames the collection and puts an alias in its place.",
            )
        with self._lock, self._mapped("set an alias", collection):
            self._forget(alias)
            self._load(collection)
            set_it = self._milvus.create_alias if now is None else self._milvus.alter_alias
            set_it(collection, alias)

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; the collection stays."""
        with self._mapped("drop an alias", alias):
            self._forget(alias)
            if self.alias_target(alias) is not None:
                self._milvus.drop_alias(alias)

    def rename(self, collection: str, name: str) -> None:
        """Give a collection another name; its aliases go with it."""
        with self._mapped("rename a collection", collection):
            self._forget(collection)
            self._milvus.rename_collection(collection, name)
        with self._lock:
            if rows := self._unflushed.pop(collection, 0):
                self._unflushed[name] = rows

    def drop(self, collection: str) -> None:
        """Drop the collection and all its rows; refused while an alias stands for it."""
        with self._mapped("drop a collection", collection):
            name = str(self._milvus.describe_collection(collection)["collection_name"])
            if name != collection or self._milvus.list_aliases(collection)["aliases"]:
                raise InvalidOptionError(f"{collection!r} is an alias or has one.", hint="Drop the alias first.")
            self._forget(collection)
            self._unflushed.pop(collection, None)
            self._milvus.drop_collection(collection, timeout=self.address.timeout)

    def dimension(self, collection: str) -> int:
        """Return the length of the collection's vectors."""
        with self._mapped("describe a collection", collection):
            known = lite_rows(self.address).dimensions if self.address.lite else {}
            if collection not in known:
                known[collection] = milvus_schema.dimension(self._milvus.describe_collection(collection))
            return known[collection]

    def has_sparse(self, collection: str) -> bool:
        """Return whether the collection has the BM25 field that sparse and hybrid searches need."""
        with self._mapped("describe a collection", collection):
            fields = self._milvus.describe_collection(collection)["fields"]
        return any(field["name"] == "sparse" for field in fields)

    def flush(self, collection: str) -> None:
        """Make what was written fast to search: Milvus Lite scans unflushed rows slowly."""
        with self._mapped("flush", collection):
            self._milvus.describe_collection(collection)  # Milvus Lite flushes what does not exist without a word
            self._milvus.flush(collection)
        with self._lock:
            self._unflushed.pop(collection, None)

    def close(self) -> None:
        """Flush, and leave the store; the last to leave Milvus Lite closes it and gives its lease back.

        The store is left also where it cannot be flushed: what was written lies in its log, and is read from there.
        """
        try:
            for collection in list(self._unflushed) if self.address.lite else ():
                if self.exists(collection):  # another may have dropped it
                    self.flush(collection)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._metrics.clear()
            self._loaded.clear()
            self._unflushed.clear()
        if client is not None:
            disconnect(self.address, client)

    def _load(self, collection: str) -> None:
        """Load a collection that is 'released': every collection of a Milvus Lite that was just opened is."""
        if collection in self._loaded:
            return
        with self._lock, self._mapped("load a collection", collection):
            self._milvus.load_collection(collection, timeout=self.address.timeout)
            self._loaded.add(collection)

    def _metric(self, collection: str) -> str:
        lite = self.address.lite
        known = lite_rows(self.address).metrics if lite else self._metrics
        name = collection if lite else self.collection_name(collection)  # others may let an alias stand for another
        if name not in known:
            names = self._milvus.list_indexes(collection, field_name="vector")
            described = self._milvus.describe_index(collection, names[0]) if names else {}
            known[name] = str(described.get("metric_type", "L2"))
        return known[name]

    @contextmanager
    def _mapped(self, doing: str, collection: str = "") -> Iterator[None]:
        with self._lock if self.address.lite else nullcontext(), mapped(self.address, doing, collection):
            yield
