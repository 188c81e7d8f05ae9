"""XML of untrusted documents: no document type, so no entities and no external files; bounded nodes and depth."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from lxml import etree

from nemo_retriever_dagster.errors import CorruptFileError, LimitExceededError
from nemo_retriever_dagster.extract.encoding import known_encoding, marked_encoding

if TYPE_CHECKING:
    from nemo_retriever_dagster.limits import Budget

_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_TAGS_A_NODE = 2
_ATTRIBUTES_A_NODE = 5
_TOO_DEEP = "depth"


def safe_xml(data: bytes, budget: Budget) -> etree._Element:
    """Return the root node of an XML text.

    Raise `CorruptFileError` for one that is not well-formed or has a DOCTYPE (Office and EPUB packages need none), and
    `LimitExceededError` above ``xml_nodes`` or ``depth``. Entities are never expanded, nothing is ever fetched.
    """
    data = _as_utf8(data)
    if b"<!DOCTYPE" in data:
        raise CorruptFileError("An XML part has a DOCTYPE. Office files never need one; attacks do.")
    budget.check("xml_nodes", data.count(b"<") // _TAGS_A_NODE)
    budget.check("xml_nodes", (data.count(b'="') + data.count(b"='")) // _ATTRIBUTES_A_NODE)
    try:
        root = etree.fromstring(data, _parser())
    except etree.XMLSyntaxError as error:
        if _TOO_DEEP in str(error):
            raise _too_deep(budget) from None
        raise CorruptFileError(f"An XML part is not well-formed: {error}.") from None
    if _deeper_than(budget.limits.depth)(root):
        raise _too_deep(budget)
    return root


def declared_encoding(data: bytes) -> str:
    """Return the encoding that the first line of an XML text names; "" where it names none."""
    declared = _DECLARATION.match(data)
    return declared[1].decode("ascii") if declared else ""


def _too_deep(budget: Budget) -> LimitExceededError:
    return LimitExceededError(f"An XML part is nested deeper than depth = {budget.limits.depth} allows.")


def _parser() -> etree.XMLParser:
    # The encoding is given, so that no declaration can hide a DOCTYPE from the search before. Huge text nodes are
    # allowed: the bytes are bounded already.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


@cache
def _deeper_than(depth: int) -> etree.XPath:
    """Return a test for a node below ``depth`` levels; it visits each node once."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def _as_utf8(data: bytes) -> bytes:
    encoding, mark = marked_encoding(data)
    if not encoding:
        encoding = known_encoding(declared_encoding(data), data) or "utf-8"
    if encoding in {"utf-8", "ascii"}:
        return data[mark:]
    try:
        return data[mark:].decode(encoding).encode()
    except (UnicodeError, LookupError) as error:
        raise CorruptFileError(f"An XML part is not in the encoding it declares: {error}.") from None
