"""An engine that must be there, or an error that says how to get it."""

from __future__ import annotations

from typing import TypeVar

from nemo_retriever_dagster.errors import MissingDependencyError

T = TypeVar("T")
_PORTS = {
    "ocr": ("Reading a scan or a picture", "OCR_HTTP_ENDPOINT", "local"),
    "transcriber": ("Transcribing speech", "AUDIO_GRPC_ENDPOINT", "speech"),
    "page_parser": ("extract_method='nemotron_parse'", "NEMOTRON_PARSE_HTTP_ENDPOINT", ""),
}
"""Port -> what needs it, the variable that names its NIM, the extra with the local engine."""


def needed(engine: T | None, port: str) -> T:
    """Return the engine; where there is none, raise `MissingDependencyError` with its port and what to configure."""
    if engine is not None:
        return engine
    what, variable, extra = _PORTS[port]
    local = f", or install the local engine: pip install 'nemo-retriever-dagster[{extra}]'" if extra else ""
    raise MissingDependencyError(
        f"{what} needs the engine {port!r}, and there is none.", hint=f"Name its NIM in {variable}{local}."
    )
