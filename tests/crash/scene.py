"""A process that has imported everything and opened nothing, and forks a child for every act that may die.

Reads one JSON object a line, an `Order`, and answers with how the child ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import faiss  # noqa: F401 - imported before the fork, so that no child has to
import milvus_lite.server_manager  # noqa: F401
import pymilvus  # noqa: F401

from nemo_retriever_dagster import DocumentCorpus, Ingestor, document_lease, portal
from nemo_retriever_dagster.artifacts import Artifacts
from nemo_retriever_dagster.batch import run_batch
from nemo_retriever_dagster.corpus import resources as corpus_resources
from nemo_retriever_dagster.corpus.discovery import look
from nemo_retriever_dagster.corpus.materialize import materialize_documents
from nemo_retriever_dagster.corpus.removal import remove_documents
from nemo_retriever_dagster.corpus.resources import STATE, STORE, EnginesResource, MilvusResource, StateResource
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.equip import equipped, prepare
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.runner import Runner
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.storage import Storage
from nemo_retriever_dagster.testing.crash import CrashPoints, MortalMilvus
from nemo_retriever_dagster.testing.nim_answers import ColourCaptioner, HashEmbedder
from nemo_retriever_dagster.work import Work

NAME = "crash"
PRELOADED = ("milvus_lite", "pymilvus", "dagster", "nemo", "pyarrow", "alembic", "sqlalchemy", "tokenizers")
IN_MEMORY = dg.DagsterInstance.ephemeral()
ENGINES = Engines(embedder=HashEmbedder(16), captioner=ColourCaptioner())


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a child is to do. ``at`` is the point it dies at, ``kill_after`` the seconds it is given."""

    root: str
    dump: str
    act: str = "ingest"
    at: int | None = None
    kill_after: float = 120.0
    lease: float = 0.4  # the real 10 s would only be waited for
    workers: int = 1
    concurrency: int = 1


class HashEngines(EnginesResource):
    def engines(self, pipeline, settings):
        return ENGINES


class MortalResource(MilvusResource):
    def open(self, pipeline, settings, *, what, run_id):
        return MortalMilvus(self.uri, what=what, run_id=run_id)


def corpus_of(root: Path) -> DocumentCorpus:
    pipeline = (
        Ingestor()
        .extract()
        .split(chunk_size=20, chunk_overlap=0)
        .caption()
        .store(images=True, storage_uri=(root / "images").as_uri())
        .embed()
        .vdb_upload(collection_name="notes")
    )
    return DocumentCorpus(name=NAME, source=root / "documents", pipeline=pipeline, workers=1, max_deletions=10)


def ingest(order: Order) -> dict:
    """Do what a run and the removal after it do: the changed and the new go in, the vanished go out."""
    root = Path(order.root)
    corpus, settings = corpus_of(root), Settings(state_dir=root / "state")
    store = MortalMilvus(str(root / "milvus.db"), run_id="run")
    documents = corpus.plant.documents().list()
    with Ledger(settings.ledger) as ledger:
        before = _unkept_receipts(ledger, store, {document.key for document in documents})
        ledger.remember(NAME, documents)
        vanished = look(corpus, ledger).vanished
    portal.run(_batch(order, corpus, settings, store, documents))
    _remove(root, corpus, vanished)
    return {"before": before, "rows": _rows(store), **_kept(root, settings, store)}


async def _batch(order: Order, corpus: DocumentCorpus, settings: Settings, store: MortalMilvus, documents) -> None:
    run_id = f"run-{os.getpid()}"
    with equipped(
        corpus.pipeline,
        corpus.plant.documents(),
        settings,
        corpus=NAME,
        run_id=run_id,
        engines=ENGINES,
        store=store,
        workers=order.workers,
    ) as equipment:
        runner = Runner(corpus.pipeline, equipment, run_id=run_id, concurrency=order.concurrency)
        await prepare(corpus.pipeline, ENGINES, store)
        begun = [Work(document=document) for document in documents]
        await run_batch(runner, begun, all_or_nothing=True, keep=lambda _, elements: elements)
        runner.close()


def materialize(order: Order) -> dict:
    """Materialize every document through Dagster, on an instance that outlives the process."""
    root = Path(order.root)
    corpus, state = corpus_of(root), StateResource(state_dir=str(root / "state"))
    milvus = MortalResource(uri=str(root / "milvus.db"))
    (root / "home").mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(root / "home")) as instance:
        given = {STATE: state, STORE: milvus, corpus_resources.ENGINES: HashEngines()}
        outcomes = materialize_documents(corpus, instance=instance, resources=given, log_level="CRITICAL")
        keys = instance.get_dynamic_partitions(str(corpus.partitions_def.name))
        statuses = instance.get_status_by_partition(corpus.key, keys, corpus.partitions_def) or {}
    store = MortalMilvus(str(root / "milvus.db"))
    return {
        "before": [],
        "rows": _rows(store),
        "failed": sorted(key for key, outcome in outcomes.items() if not outcome.succeeded),
        "partitions": {key: status.value for key, status in statuses.items() if status is not None},
        **_kept(root, state.settings(), store),
    }


def _remove(root: Path, corpus: DocumentCorpus, keys) -> None:
    milvus = MortalResource(uri=str(root / "milvus.db"))
    resources = {STATE: StateResource(state_dir=str(root / "state")), STORE: milvus}
    with dg.build_op_context(resources, instance=IN_MEMORY) as context:
        remove_documents(corpus, context, keys)


def _unkept_receipts(ledger: Ledger, store: MortalMilvus, keys: set[str]) -> list[str]:
    """Return the documents that a receipt says are there and that are not: 'success means verified' would be a lie."""
    begun = {intent.document for intent in ledger.open_intents(NAME)}
    return [
        receipt.uri
        for receipt in ledger.receipts(NAME)
        if receipt.document in keys - begun
        and store.count("notes", receipt.document, generation=receipt.generation) != receipt.rows
    ]


def _rows(store: MortalMilvus) -> dict[str, dict]:
    store.count("notes")  # loads the collection
    found = store.client.query("notes", filter='pk != ""', output_fields=["*"], consistency_level="Strong", limit=9999)
    rows = {}
    for raw in found:
        row = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in raw.items()}
        row["vector"] = [float(number) for number in row["vector"]]
        row["content_metadata"] = {k: v for k, v in dict(row["content_metadata"]).items() if k != "run_id"}
        assert row["pk"] not in rows, "a key is there twice"
        rows[row["pk"]] = json.loads(json.dumps(row, default=str))
    return rows


def _kept(root: Path, settings: Settings, store: MortalMilvus) -> dict:
    images = Storage((root / "images").as_uri())
    with Ledger(settings.ledger) as ledger:
        receipts = [asdict(receipt) for receipt in ledger.receipts(NAME)]
        kept = {
            "images": {name: hashlib.sha256(images.get(name) or b"").hexdigest() for name in images.list()},
            "referenced": sorted({digest for receipt in receipts for digest in receipt["images"]}),
            "receipts": [
                {k: v for k, v in r.items() if k not in {"run_id", "finished_at", "seconds"}} for r in receipts
            ],
            "states": {k: [s.status, s.version, s.committed_version] for k, s in ledger.versions(NAME).items()},
            "intents": [asdict(intent) for intent in ledger.open_intents(NAME)],
            "failures": [{**asdict(failure), "failed_at": ""} for failure in ledger.failures(NAME)],
            "artifacts": Artifacts(settings.artifacts).list(),
        }
    store.close()
    return json.loads(json.dumps(kept))


def _leases(root: Path) -> dict[str, str | None]:
    """Return who holds the lease on each document; nobody does before there is a ledger."""
    settings = Settings(state_dir=root / "state")
    if not settings.state_dir.exists():
        return {}
    with Ledger(settings.ledger) as ledger:
        return {key: ledger.holder(NAME, key) for key in ledger.versions(NAME)}


def _leases_left(root: Path, dead: set[str], lease: float) -> dict[str, str | None]:
    """Return who holds leases when those of the ``dead`` must have run out; a run's own it must have released."""
    until = time.monotonic() + 2 * lease
    held = _leases(root)
    while dead & set(held.values()) and time.monotonic() < until:
        time.sleep(0.05)
        held = _leases(root)
    return held


def _unfinished(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.part"))


def _act(order: Order) -> None:
    """Run in the child; never returns."""
    document_lease._LEASE_SECONDS, document_lease._POLL_SECONDS = order.lease, 0.05
    root = Path(order.root)
    tempfile.tempdir = str(root.parent)
    sys.path.append(str(root))  # it is on the command line of the child's parser processes, which are found by it
    dead = set(_leases(root).values()) - {None}
    points = CrashPoints(root, order.at)
    points.watch()
    MortalMilvus.points = points
    try:
        found = {"ingest": ingest, "materialize": materialize}[order.act](order)
        found |= {"leases": _leases_left(root, dead, order.lease)}
        found |= {"points": points.names, "unfinished": _unfinished(root), "modules": sorted(sys.modules)}
        Path(order.dump).write_text(json.dumps(found))
    except BaseException:  # noqa: BLE001 - whatever it is, the warm process is to hear of it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _wait(child: int, kill_after: float) -> int:
    """Return how the child ended; one that lives longer than it may is killed with its whole group."""
    deadline = time.monotonic() + kill_after
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _learn(dump: Path) -> None:
    """Import what the child had to import, so that the next one finds it done."""
    if dump.exists():
        for name in json.loads(dump.read_text())["modules"]:
            if name not in sys.modules and name.startswith(PRELOADED):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads must not be forked"


def serve() -> None:
    assert threading.active_count() == 1
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.dup2(2, 1)
            _act(order)
        with contextlib.suppress(OSError):  # the child does it too, whoever comes first
            os.setpgid(child, child)
        code = _wait(child, order.kill_after)
        _learn(Path(order.dump))
        print(json.dumps({"code": code, "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    serve()
