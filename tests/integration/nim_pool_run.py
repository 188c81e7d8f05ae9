"""One run of a corpus in a process of its own, for test_nim_pools.py: says when it is ready, starts when told to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dagster as dg

from nemo_retriever_dagster import (
    DocumentCorpus,
    EnginesResource,
    Ingestor,
    NimResource,
    StateResource,
    materialize_documents,
)
from nemo_retriever_dagster.corpus.resources import ENGINES, STATE


def corpus(root: Path) -> DocumentCorpus:
    pipeline = Ingestor().extract().split().caption().embed()
    return DocumentCorpus(name="figures", source=root / "documents", pipeline=pipeline, workers=1)


def main() -> None:
    given = json.loads(sys.argv[1])
    root = Path(given["root"])
    resources = {
        STATE: StateResource(state_dir=str(root / "state")),
        ENGINES: EnginesResource(
            captioner=NimResource(urls=given["captioner"], concurrency=given["captions"]),
            embedder=NimResource(urls=given["embedder"], concurrency=given["embeddings"], batch=1),
        ),
    }
    with dg.DagsterInstance.from_config(str(root / "home")) as instance:
        print("ready", flush=True)
        sys.stdin.readline()
        found = materialize_documents(
            corpus(root), given["keys"], instance=instance, resources=resources, log_level="CRITICAL"
        )
    outcomes = list(found.values())
    print(json.dumps({"run": outcomes[0].run_id, "good": sum(one.succeeded for one in outcomes)}), flush=True)


if __name__ == "__main__":
    main()
