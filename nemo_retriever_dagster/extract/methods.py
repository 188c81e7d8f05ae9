"""The values of ``document_type`` and ``extract_method``: what there is, which fit, and what is said of a wrong one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import InvalidOptionError, nearest
from nemo_retriever_dagster.extract.delegates import ADAPTERS, announce
from nemo_retriever_dagster.extract.registry import EXTENSIONS, EXTRACTORS, extractor_for

if TYPE_CHECKING:
    from collections.abc import Iterable

_RENAMED = {"nemoretriever_parse": "nemotron_parse"}
_DELEGATING = "pdf"


def methods_of(format_name: str) -> tuple[str, ...]:
    """Return the methods that a document type knows, its default first; empty where there is no choice."""
    deprecated = sorted(ADAPTERS) if format_name == _DELEGATING else ()
    return (*extractor_for(format_name).methods, *deprecated)


def checked_type(name: str, option: str = "document_type") -> str:
    """Return the document type that ``name`` (or an extension, in any case) means.

    Raises `InvalidOptionError`, which names the ``option`` and the nearest type, where it means none.
    """
    found = EXTENSIONS.get(name.strip().lower().lstrip("."))
    if found is None:
        hint = nearest(name.lower(), EXTRACTORS, "ones")
        raise InvalidOptionError(f"{option}: there is no document type {name!r}.", hint=hint)
    return found


def checked_types(names: Iterable[str], option: str) -> tuple[str, ...]:
    """Return the document types that ``names`` mean; "text", all plain text, stays what it is.

    Raises `InvalidOptionError`, which names the ``option``, for a name of no type, and where there is no name at all.
    """
    found = tuple("text" if name.strip().lower() == "text" else checked_type(name, option) for name in names)
    if not found:
        raise InvalidOptionError(f"{option} names no document type.", hint="Leave it out for all of them.")
    return found


def checked_method(method: str | None, document_type: str | None = None) -> str | None:
    """Return ``method`` under its present name.

    Raises `InvalidOptionError` naming the valid ones where no format knows it, or the named ``document_type`` does not;
    also for a document type that does not exist. An old name and a deprecated method are announced by a
    `DeprecationWarning`.
    """
    name = checked_type(document_type) if document_type else ""
    if method is None:
        return None
    if method in _RENAMED:
        message = f"extract_method={method!r} is called {_RENAMED[method]!r} now."
        warnings.warn(message, DeprecationWarning, stacklevel=3)
        method = _RENAMED[method]
    formats = [name] if name else list(EXTRACTORS)
    if not any(method in methods_of(one) for one in formats):
        where = f" of the document type {name!r}" if name else ""
        valid = _listed(formats)
        hint = f"Valid ones: {valid}." if valid else f"There is no choice for {name}: leave extract_method out."
        raise InvalidOptionError(f"extract_method {method!r} is not one{where}.", hint=hint)
    if method in ADAPTERS:
        announce(method)
    return method


def _listed(formats: Iterable[str]) -> str:
    """Return the methods of formats, those of one choice together; without those that have none."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in formats:
        if found := methods_of(name):
            alike.setdefault(found, []).append(name)
    return "; ".join(f"{', '.join(names)}: {', '.join(found)}" for found, names in alike.items())


def method_for(format_name: str, method: str | None) -> str | None:
    """Return ``method`` where the format knows it, else None (its default).

    One corpus holds several formats and one option: ``render_as_pdf`` speaks to its Office files, ``ocr`` to its PDFs.
    """
    return method if method is not None and method in methods_of(format_name) else None
