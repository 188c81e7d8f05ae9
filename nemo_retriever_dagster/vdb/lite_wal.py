"""Ends what a killed flush of Milvus Lite left half done.

Milvus Lite 3.2 flushes in this order: data files, manifest, removal of the log whose rows they hold. Killed after the
manifest, it reads the old log again at the next start: rows it holds already are hidden by their own replay, or, with
half of the log gone, the store refuses to flush for good. The manifest names the log in use; every log with a lower
number is in data files already, so removing it is the step that was missing, and nothing else.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
_LOG_FILE = re.compile(r"wal_(?:data|delta)_(\d+)\.arrow")
_KNOWN_FORMAT = 2
_MANIFESTS = ("collections/*/manifest.json", "databases/*/collections/*/manifest.json")


def finish_flushes(store: Path) -> list[Path]:
    """Remove the logs of finished flushes below the Milvus Lite folder ``store``, and return their paths.

    The caller holds the store's lease and has not opened it. A manifest that cannot be read, or is of a format this
    module does not know, is left to Milvus Lite with all its logs.
    """
    removed = []
    for manifest in sorted(path for pattern in _MANIFESTS for path in store.glob(pattern)):
        active = _active_log(manifest)
        for log in sorted((manifest.parent / "wal").glob("wal_*.arrow")) if active is not None else ():
            found = _LOG_FILE.fullmatch(log.name)
            if found and active is not None and int(found[1]) < active:
                log.unlink()
                removed.append(log)
    if removed:
        _log.warning("%s: a flush was cut short; %d logs that it had stored were removed", store, len(removed))
    return removed


def _active_log(manifest: Path) -> int | None:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("manifest_format_version") != _KNOWN_FORMAT:
        return None
    number = content.get("active_wal_number")
    return number if isinstance(number, int) else None
