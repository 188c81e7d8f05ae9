"""From published weights to a runnable graph: checks the weights' hash, builds the graph once, caches it."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.engines.local.graph import Architecture, build_encoder
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.modelfiles import INSTALL_WEIGHTS, MODEL, cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of ``model.safetensors``: the same engine name must mean the same vectors on every machine."""

ARCHITECTURE = Architecture(layers=6, heads=12, epsilon=1e-12)
_GRAPH_VERSION = 1  # raise it when graph.py changes what it builds

_log = logging.getLogger(__name__)


def encoder_graph(weights: Path, cache: Path | None = None) -> bytes:
    """Return the serialized graph for the file ``weights``.

    Raises `InvalidOptionError` where the file is not the published one. The graph is kept in ``cache`` (the user's
    cache folder by default) under the hashes of the weights and of itself; a damaged copy is made anew, and a cache
    that cannot be written costs about a second at every start, which the log says.
    """
    check_weights(weights)
    cache = cache or cache_folder() / "models"
    for data in _cached(cache):
        return data
    data = _built(weights)
    _store(data, cache)
    return data


def check_weights(weights: Path) -> None:
    """Raise `InvalidOptionError` unless the file's sha256 is the published one."""
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        message = f"{weights} is not the published {MODEL}: its sha256 is {found}, not {WEIGHTS_SHA256}."
        raise InvalidOptionError(message, hint=f"Use the published weights: {INSTALL_WEIGHTS}")


def _built(weights: Path) -> bytes:
    from safetensors.numpy import load_file

    return build_encoder(load_file(weights), ARCHITECTURE)


def _prefix() -> str:
    return f"{MODEL}-{WEIGHTS_SHA256[:16]}-v{_GRAPH_VERSION}-"


def _cached(cache: Path) -> Iterator[bytes]:
    for path in sorted(cache.glob(f"{_prefix()}*.onnx")):
        data = path.read_bytes()
        if path.stem == _prefix() + _digest(data):
            yield data
        _log.warning("The cached graph %s is damaged; it is made anew.", path)
        path.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _store(data: bytes, cache: Path) -> None:
    """Write to a temporary file and rename it, so that a reader sees the whole graph or none."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=cache, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(cache / f"{_prefix()}{_digest(data)}.onnx")
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        _log.warning("The model graph cannot be cached in %s (%s); it is built at every start.", cache, error)
