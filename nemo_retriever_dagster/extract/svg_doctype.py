"""The document type of a drawing: taken out before the XML is read, its short texts put where they are named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import CorruptFileError

if TYPE_CHECKING:
    from nemo_retriever_dagster.limits import Budget

_MARK = b"<!DOCTYPE"
_DOCTYPE = re.compile(rb"<!DOCTYPE\s+svg\b[^\[<>]*(?:\[([^\]]*)\]\s*)?>")
_NAME = rb"[A-Za-z_][A-Za-z0-9_.-]{0,60}"
_ENTITY = re.compile(rb"<!ENTITY\s+(" + _NAME + rb""")\s+(?:"([^"'<&%]{0,300})"|'([^"'<&%]{0,300})')\s*>""")
_REFERENCE = re.compile(rb"&(" + _NAME + rb");")


def without_doctype(data: bytes, budget: Budget) -> bytes:
    """Return a drawing without its document type, the entities of it written out, as Illustrator declares them.

    Only short texts that name no other entity are. Raise `CorruptFileError` where the document type declares anything
    else, and `LimitExceededError` where the texts make the drawing larger than ``member_bytes``.
    """
    start = data.find(_MARK)
    doctype = _DOCTYPE.match(data, start) if start >= 0 else None
    if doctype is None:
        return _refuse_doctype(data)
    subset = doctype[1] or b""
    if _ENTITY.sub(b"", subset).strip():
        return _refuse_doctype(data)
    entities = {name: double or single for name, double, single in _ENTITY.findall(subset)}
    rest = data[:start] + data[doctype.end() :]
    if entities:
        budget.check("member_bytes", len(rest) + sum(len(entities.get(name, b"")) for name in _REFERENCE.findall(rest)))
        rest = _REFERENCE.sub(lambda found: entities.get(found[1], found[0]), rest)
    return _refuse_doctype(rest)


def _refuse_doctype(data: bytes) -> bytes:
    if _MARK in data:
        raise CorruptFileError("The drawing's DOCTYPE declares more than short texts. Save it as plain SVG.")
    return data
