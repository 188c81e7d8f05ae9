"""The values of ``extract_method``: which format knows which, and what is said of a wrong one."""

from __future__ import annotations

import warnings

from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.delegates import ADAPTERS, announce
from nemo_retriever_dagster.extract.registry import EXTENSIONS, EXTRACTORS, extractor_for

_RENAMED = {"nemoretriever_parse": "nemotron_parse"}
_DELEGATING = "pdf"


def methods_of(format_name: str) -> tuple[str, ...]:
    """Return the methods that a document type knows, its default first; empty where there is no choice."""
    deprecated = sorted(ADAPTERS) if format_name == _DELEGATING else ()
    return (*extractor_for(format_name).methods, *deprecated)


def checked_method(method: str | None, document_type: str | None = None) -> str | None:
    """Return ``method`` under its present name.

    Raises `InvalidOptionError` naming the valid ones where no format knows it, or the named ``document_type`` does not.
    An old name and a deprecated method are announced by a `DeprecationWarning`.
    """
    if method is None:
        return None
    if method in _RENAMED:
        message = f"extract_method={method!r} is called {_RENAMED[method]!r} now."
        warnings.warn(message, DeprecationWarning, stacklevel=3)
        method = _RENAMED[method]
    name = EXTENSIONS.get(document_type.strip().lower().lstrip("."), document_type) if document_type else ""
    known = {one: found for one in ([name] if name in EXTRACTORS else EXTRACTORS) if (found := methods_of(one))}
    if not any(method in found for found in known.values()):
        where = f" of the document type {name!r}" if name in EXTRACTORS else ""
        valid = "; ".join(f"{one}: {', '.join(found)}" for one, found in known.items())
        hint = f"Valid ones: {valid}." if valid else f"There is no choice for {name}: leave extract_method out."
        raise InvalidOptionError(f"extract_method {method!r} is not one{where}.", hint=hint)
    if method in ADAPTERS:
        announce(method)
    return method


def method_for(format_name: str, method: str | None) -> str | None:
    """Return ``method`` where the format knows it, else None (its default).

    One corpus holds several formats and one option: ``render_as_pdf`` speaks to its Office files, ``ocr`` to its PDFs.
    """
    return method if method is not None and method in methods_of(format_name) else None
