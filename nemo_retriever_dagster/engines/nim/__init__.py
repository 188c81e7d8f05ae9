"""Clients of the NIM microservices, one for each engine port: the same pipeline on GPUs, by configuration alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.engines.endpoints import NimEndpoint
from nemo_retriever_dagster.engines.nim.caption import NimCaptioner
from nemo_retriever_dagster.engines.nim.detect import NimGraphicElements, NimPageElements, NimTableStructure
from nemo_retriever_dagster.engines.nim.embed import NimEmbedder
from nemo_retriever_dagster.engines.nim.ocr import NimOcr
from nemo_retriever_dagster.engines.nim.parse import NimPageParser
from nemo_retriever_dagster.engines.nim.ready import wait_ready
from nemo_retriever_dagster.engines.nim.rerank import NimReranker
from nemo_retriever_dagster.engines.nim.transcribe import NimTranscriber
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.engines.riva import RivaTranscriber
from nemo_retriever_dagster.errors import UnknownOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "NimCaptioner",
    "NimEmbedder",
    "NimEndpoint",
    "NimGraphicElements",
    "NimOcr",
    "NimPageElements",
    "NimPageParser",
    "NimReranker",
    "NimTableStructure",
    "NimTranscriber",
    "RivaTranscriber",
    "nim_engines",
    "wait_ready",
]


def _transcriber(endpoint: NimEndpoint) -> NimTranscriber | RivaTranscriber:
    """Speak HTTP where the address is that of the transcriptions route, gRPC elsewhere."""
    http = any("/audio/" in url for url in endpoint.targets)
    return NimTranscriber(endpoint) if http else RivaTranscriber(endpoint)


_CLIENTS: dict[str, Callable[[NimEndpoint], Any]] = {
    "embedder": NimEmbedder,
    "ocr": NimOcr,
    "page_elements": NimPageElements,
    "table_structure": NimTableStructure,
    "graphic_elements": NimGraphicElements,
    "page_parser": NimPageParser,
    "captioner": NimCaptioner,
    "reranker": NimReranker,
    "transcriber": _transcriber,
}


def nim_engines(endpoints: Mapping[str, NimEndpoint], fallback: Engines | None = None) -> Engines:
    """Return ``fallback`` (no engines) with a NIM client in the place of every port that has an endpoint.

    Nothing is sent yet; `UnknownOptionError` names a port that does not exist.
    """
    for port in endpoints:
        if port not in _CLIENTS:
            raise UnknownOptionError.of("nim_engines", port, _CLIENTS)
    clients = {port: _CLIENTS[port](endpoint) for port, endpoint in endpoints.items()}
    return replace(fallback or Engines(), **clients)
