"""What ``files()`` and ``buffers()`` may be given: paths one or many, bytes under names in any usual wrapping."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO

from nemo_retriever_dagster.errors import InvalidOptionError

Buffer = bytes | bytearray | memoryview | IO[bytes]
"""Bytes, or a binary file or buffer to read them from."""
_BYTES = (bytes, bytearray, memoryview)
_PAIR = 2
_SHORT = 60


def paths_of(given: object) -> list[str]:
    """Return the path or URI that is given, or all of a list or other iterable of them; else `InvalidOptionError`."""
    single = isinstance(given, (str, os.PathLike)) or not isinstance(given, Iterable)
    found: list[str] = []
    for one in [given] if single else given:  # type: ignore[attr-defined] # an iterable
        if not isinstance(one, (str, os.PathLike)):
            hint = (
                "Give paths, patterns, folders or URIs as text or pathlib.Path, one or a list; buffers() takes bytes."
            )
            raise InvalidOptionError(f"{_shown(one)} names no document.", hint=hint)
        found.append(os.fspath(one))
    return found


def pairs_of(given: object) -> list[tuple[str, bytes]]:
    """Return the name and the bytes of the pair that is given, or of all of a list or other iterable of pairs.

    Files are read now, so that the caller may close them. Raises `InvalidOptionError` for anything else.
    """
    single = _is_pair(given) or not isinstance(given, Iterable)
    found = []
    for pair in [given] if single else given:  # type: ignore[attr-defined] # an iterable
        if not _is_pair(pair):
            hint = "Give pairs: ('report.pdf', b'...'), one or a list of them."
            raise InvalidOptionError(f"{_shown(pair)} is no pair of a name and bytes.", hint=hint)
        found.append((pair[0], bytes_of(*pair)))
    return found


def bytes_of(name: str, buffer: object) -> bytes:
    """Return the bytes of the document ``name``, of a file from its start; `InvalidOptionError` where it has none."""
    try:
        data = buffer if isinstance(buffer, _BYTES) else _read(buffer)
    except (OSError, ValueError) as error:
        raise InvalidOptionError(f"The buffer {name!r} cannot be read: {error}.") from error
    if not isinstance(data, _BYTES):
        hint = "Give bytes, a BytesIO, or a file opened with 'rb'."
        raise InvalidOptionError(f"The buffer {name!r} holds no bytes: it is {_shown(buffer)}.", hint=hint)
    return bytes(data)


def _read(buffer: object) -> object:
    if callable(whole := getattr(buffer, "getvalue", None)):
        return whole()
    if not callable(read := getattr(buffer, "read", None)):
        return None
    if callable(seekable := getattr(buffer, "seekable", None)) and seekable():
        buffer.seek(0)  # type: ignore[attr-defined] # what can seek has it
    return read()


def _is_pair(given: object) -> bool:
    return isinstance(given, (tuple, list)) and len(given) == _PAIR and isinstance(given[0], str)


def _shown(given: object) -> str:
    """Return a value where it is short and plain, else its type: it may be a document."""
    plain = isinstance(given, (str, int, float, type(None))) and len(repr(given)) <= _SHORT
    return repr(given) if plain else f"a {type(given).__name__}"
