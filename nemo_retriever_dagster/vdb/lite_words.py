"""Gives Milvus Lite's full-text search the word statistics of the whole collection, and questions without padding.

Milvus Lite 3.2 scores every segment by the word counts of that segment alone (its source notes this as open). Segments
hold the documents that were written together, so a name that stands on every page of one document is worth nothing
where it belongs, and most where another document mentions it once. `pool` puts the counts of all segments into the
indexes that Milvus Lite keeps of them; a server does the same by itself. Nor has it an English analyzer, which leaves
function words out; `question` does that for what is asked. Stemming it has none, and gets none here.
"""
# ruff: noqa: SLF001 -- it has no public name for any of these parts

from __future__ import annotations

import os
import re
import warnings
from concurrent.futures import TimeoutError as NotDone
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.vdb.milvus_client import Address

_Counts = tuple[int, float, dict[int, int]]
"""Rows, words, and the number of rows that have each word."""
_own: WeakKeyDictionary[Any, _Counts] = WeakKeyDictionary()
_FIELD = "sparse"
_WORD = re.compile(r"\w+")
_PADDING = """a an and are as at be but by for if in into is it no not of on or such that the their then there these
they this to was will with"""  # what Lucene's English analyzer leaves out, and Milvus's own
_FUNCTION_WORDS = frozenset(_PADDING.split())
_BACKGROUND_SECONDS = 10.0


class _Pooled(dict[int, int]):
    """The number of rows of all segments that have each word; ``members`` tells of which."""

    def __init__(self, members: frozenset[int]) -> None:
        super().__init__()
        self.members = members


class WordStatisticsWarning(UserWarning):
    """Sparse and hybrid search rank wrongly across the segments of this Milvus Lite."""


def pool(address: Address, collection: str) -> None:
    """Share the word counts of all segments of an open, flushed collection among their full-text indexes.

    Rows that were replaced or deleted count until Milvus Lite compacts their segment away. A Milvus Lite without the
    parts this needs is warned about: its ranking is then wrong across segments.
    """
    try:
        indexes = _indexes(address, collection)
        _share(indexes, [_counts(index) for index in indexes])
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        message = f"This Milvus Lite ranks full-text hits by each segment's own word counts ({error!r})."
        warnings.warn(f"{message} Use milvus-lite 3.2.2, or dense search.", WordStatisticsWarning, stacklevel=2)


def question(text: str) -> str:
    """Return the words of a question, each once, without English function words; all of it if nothing else is left."""
    words = dict.fromkeys(_WORD.findall(text.lower()))
    return " ".join(word for word in words if word not in _FUNCTION_WORDS) or text


def _indexes(address: Address, collection: str) -> list[Any]:
    """Return the segments' indexes, built as Milvus Lite would build them at the first search."""
    from milvus_lite.analyzer import bytes_to_sparse
    from milvus_lite.index.sparse_factory import create_sparse_index, sparse_index_matches

    opened = _opened(address, collection)
    params = opened._index_specs[_FIELD].build_params
    found = []
    for segment in opened._read_snapshot()[0]:
        index = segment.sparse_indexes.get(_FIELD)
        if not sparse_index_matches(index, "BM25", params):
            index = create_sparse_index("BM25", params)
            index.build([bytes_to_sparse(row or b"") for row in segment.table.column(_FIELD).to_pylist()])
            segment.sparse_indexes[_FIELD] = index
        found.append(index)
    return found


def _opened(address: Address, collection: str) -> Any:
    """Return Milvus Lite's own collection once the compaction that a flush may have begun is over."""
    from milvus_lite.server_manager import server_manager_instance

    _, databases, _ = server_manager_instance._servers[os.path.abspath(address.path)]  # noqa: PTH100 - its key
    opened = databases.get_collection(collection, address.database or "default")
    with suppress(NotDone):
        opened._wait_for_bg(_BACKGROUND_SECONDS)
    return opened


def _counts(index: Any) -> _Counts:
    if index not in _own:
        _own[index] = (index.doc_count, index.avgdl * index.doc_count, index._df)
    return _own[index]


def _share(indexes: Sequence[Any], counts: Sequence[_Counts]) -> None:
    members = frozenset(map(id, indexes))
    if all(isinstance(index._df, _Pooled) and index._df.members == members for index in indexes):
        return
    rows, words = sum(one[0] for one in counts), sum(one[1] for one in counts)
    pooled = _Pooled(members)
    for _, _, having in counts:
        for word, number in having.items():
            pooled[word] = pooled.get(word, 0) + number
    for index in indexes:
        index.doc_count, index.avgdl, index._df = rows, words / rows if rows else 0.0, pooled
