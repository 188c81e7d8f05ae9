"""A corpus whose engines are NIMs: what they used is in the metadata, and an op waits for those that it calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from corpus_place import POLICY, Place

from nemo_retriever_dagster import DocumentCorpus, EnginesResource, Ingestor, NimResource, Settings
from nemo_retriever_dagster.corpus.resources import ENGINES
from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.nim import RivaTranscriber, nim_engines
from nemo_retriever_dagster.testing import Fault, FaultKind, NimServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = {f"note{i:02}": f"Note {i}. " + "A valve opens. " * (3 * i + 1) for i in range(12)}


class Notes(Place):
    """Documents with vectors, and no upload."""

    def make(self, **split: Any) -> DocumentCorpus:
        pipeline = Ingestor().extract().split(chunk_size=20, chunk_overlap=0, **split).embed()
        return DocumentCorpus(name="notes", source=self.source, pipeline=pipeline, workers=1, retry_policy=POLICY)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Notes(tmp_path)
    found.write(**TEXTS)
    with found.instance:
        yield found


def test_usage_of_shared_requests_is_in_the_metadata_and_adds_up(place: Place) -> None:
    with NimServer() as server:
        server.inject(Fault(kind=FaultKind.LOADING, port="embedder"))
        outcomes = place.run(**{ENGINES: EnginesResource(embedder=NimResource(urls=server.url("embedder")))})
        assert all(outcome.succeeded for outcome in outcomes.values())
        facts = [outcome.metadata for outcome in outcomes.values()]
        name = "usage/embed/nim/nvidia/llama-3.2-nv-embedqa-1b-v2"
        assert [one[f"{name}/items"] for one in facts] == [one["embedded"] for one in facts]
        assert sum(one.get(f"{name}/requests", 0) for one in facts) == server.count("embedder")
        assert server.count("embedder") < len(TEXTS)  # documents shared them
        assert sum(one.get(f"{name}/retries", 0) for one in facts) == 1
        assert all(one[f"{name}/tokens"] > 0 for one in facts)
        assert all(one[f"{name}/seconds"] > 0 for one in facts)
    with place.ledger() as ledger:
        kept = [row.usage for row in ledger.usage("notes") if row.stage == "embed"]
    assert sum(usage.tokens for usage in kept) == sum(one[f"{name}/tokens"] for one in facts)


def test_an_op_waits_for_its_nim(place: Place) -> None:
    with NimServer() as server:
        server.set_ready(False)
        threading.Timer(1.0, server.set_ready, [True]).start()
        engines = EnginesResource(embedder=NimResource(urls=server.url("embedder")), ready_timeout=60)
        assert place.run("note00", **{ENGINES: engines})["note00"].succeeded


def test_the_wait_ends_and_names_the_nim(place: Place) -> None:
    with NimServer() as server:
        server.set_ready(False)
        engines = EnginesResource(
            embedder=NimResource(urls=server.url("embedder")),
            captioner=NimResource(urls="http://127.0.0.1:9/v1"),  # no stage of the pipeline calls it: it is not asked
            ready_timeout=0.1,
        )
        facts = place.run("note00", **{ENGINES: engines})["note00"].metadata
        assert server.count("embedder") == 0
    assert (facts["stage"], facts["category"]) == ("embed", "infrastructure")
    assert facts["cause"].startswith("Not ready after 0.1 s: embedder. embedder: nim/nvidia/llama-3.2-nv-embedqa-1b-v2")
    assert "captioner" not in facts["cause"]


def test_every_field_of_a_resource_reaches_the_endpoint() -> None:
    fields = {
        "urls": "http://a:1/v1,http://b:1/v1",
        "model": "m",
        "timeout": 1.5,
        "deadline": 2.5,
        "concurrency": 3,
        "batch": 4,
        "rate_limit": 5.5,
        "attempts": 6,
        "dimensions": 7,
        "dialect": "openai",
        "language": "de-DE",
        "function_id": "f",
        "prompt": "p",
        "system_prompt": "s",
    }
    assert set(NimResource.model_fields) - {"api_key"} == set(fields)
    assert NimResource(**fields).endpoint() == NimEndpoint(**fields)  # type: ignore[arg-type]


def test_the_function_of_hosted_speech_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("riva.client.proto.riva_asr_pb2_grpc")
    monkeypatch.setenv("AUDIO_GRPC_ENDPOINT", "https://grpc.nvcf.nvidia.com:443")
    monkeypatch.setenv("AUDIO_FUNCTION_ID", "1598d209")
    given = Settings().endpoints()["transcriber"]
    transcriber = nim_engines({"transcriber": NimEndpoint(**given)}).transcriber
    assert isinstance(transcriber, RivaTranscriber)
    assert transcriber.endpoint.function_id == "1598d209"
