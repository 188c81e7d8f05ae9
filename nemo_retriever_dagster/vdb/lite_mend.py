"""Ends what a kill left half done in Milvus Lite: a flush, an index, the making or the dropping of a collection.

Milvus Lite 3.2 flushes in this order: data files, manifest, removal of the log whose rows they hold. Killed after the
manifest, it reads the old log again at the next start: rows it holds already are hidden by their own replay, or, with
half of the log gone, the store refuses to flush for good. The manifest names the log in use; every log with a lower
number is in data files already, so removing it is the step that was missing, and nothing else.

Index files are written in place, after the manifest and whenever a collection is loaded that has none. One that a kill
cut short keeps the collection from being loaded for good; without it, Milvus Lite makes it anew from the rows.

A collection's folder is made before its schema, and dropped file by file. A folder without a schema is no collection,
and keeps one of its name from being made for good.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_LOG_FILE = re.compile(r"wal_(?:data|delta)_(\d+)\.arrow")
_KNOWN_FORMAT = 2
_COLLECTIONS = ("collections/*", "databases/*/collections/*")
_INDEX_FILES = {".idx", ".sidx"}
_SCHEMA = "schema.json"


def mend(store: Path, *, died: bool) -> None:
    """End what a kill left half done below the Milvus Lite folder ``store``, which nobody has open.

    ``died``: the last to have it open is known not to have closed it, so that no index file can be believed, and a
    collection without a schema was being dropped; else those are removed that are seen to be cut short.
    """
    drop_remains(store, every=died)
    finish_flushes(store)
    drop_indexes(store, every=died)


def drop_remains(store: Path, *, every: bool) -> list[Path]:
    """Remove folders of collections without a schema and return their paths: those with nothing in them, or ``every``.

    The caller holds the store's lease and has not opened it.
    """
    folders = sorted(path for pattern in _COLLECTIONS for path in store.glob(pattern) if path.is_dir())
    without = [folder for folder in folders if not (folder / _SCHEMA).exists()]
    removed = [folder for folder in without if every or _is_empty(folder)]
    for folder in removed:
        shutil.rmtree(folder)
        _log.warning("%s: a collection that was being made or dropped was removed: %s", store, folder.name)
    return removed


def _is_empty(folder: Path) -> bool:
    return all(path.name == f"{_SCHEMA}.tmp" for path in folder.iterdir())


def finish_flushes(store: Path) -> list[Path]:
    """Remove the logs of finished flushes below the Milvus Lite folder ``store``, and return their paths.

    The caller as above. A manifest that cannot be read, or is of a format this module does not know, is left to Milvus
    Lite with all its logs.
    """
    removed = []
    for manifest in _in_collections(store, "manifest.json"):
        active = _active_log(manifest)
        for log in sorted((manifest.parent / "wal").glob("wal_*.arrow")) if active is not None else ():
            found = _LOG_FILE.fullmatch(log.name)
            if found and active is not None and int(found[1]) < active:
                log.unlink()
                removed.append(log)
    if removed:
        _log.warning("%s: a flush was cut short; %d logs that it had stored were removed", store, len(removed))
    return removed


def drop_indexes(store: Path, *, every: bool) -> list[Path]:
    """Remove index files that are cut short, or ``every`` one, and return their paths. The caller as above."""
    files = [path for path in _in_collections(store, "partitions/*/indexes/*") if path.suffix in _INDEX_FILES]
    removed = [path for path in files if every or _is_cut_short(path)]
    for path in removed:
        path.unlink()
    if removed:
        _log.warning("%s: it was not closed; %d index files will be made anew from its rows", store, len(removed))
    return removed


def _in_collections(store: Path, pattern: str) -> Iterator[Path]:
    yield from sorted(path for collection in _COLLECTIONS for path in store.glob(f"{collection}/{pattern}"))


def _is_cut_short(index: Path) -> bool:
    """Tell whether the file of a flat index, an array of NumPy, has not all that it announces; of others none can."""
    if not index.name.endswith(".flat.idx"):
        return False
    try:
        np.load(index, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return True
    return False


def _active_log(manifest: Path) -> int | None:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("manifest_format_version") != _KNOWN_FORMAT:
        return None
    number = content.get("active_wal_number")
    return number if isinstance(number, int) else None
