"""Values as bytes and back: nothing is lost, nothing damaged is believed."""

import dataclasses
import gzip
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.codec import (
    decode_chunks,
    decode_elements,
    decode_vectors,
    encode_chunks,
    encode_elements,
    encode_vectors,
)
from nemo_retriever_dagster.errors import ArtifactDamagedError
from nemo_retriever_dagster.model import Box, Cell, Chunk, Element, Kind, Origin, Picture, Place, Table

# Lone surrogates included: broken text layers hold them.
text = st.text(st.characters(exclude_categories=()), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
box = st.builds(Box, number, number, number, number)
size = st.tuples(number, number)
cell = st.builds(
    Cell,
    row=st.integers(0, 9),
    column=st.integers(0, 9),
    text=text,
    row_span=st.integers(1, 3),
    column_span=st.integers(1, 3),
    header=st.booleans(),
)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
element = st.builds(
    Element,
    kind=st.sampled_from(Kind),
    text=text,
    page=st.integers(0, 10**6),
    box=st.none() | box,
    page_size=st.none() | size,
    heading=st.integers(0, 6),
    inside=st.none() | st.sampled_from(Kind),
    picture=st.none()
    | st.builds(
        Picture,
        data=st.binary(max_size=8),
        width=st.integers(1, 9),
        height=st.integers(1, 9),
        media_type=st.sampled_from(["image/png", "image/jpeg"]),
    ),
    table=st.none() | st.builds(Table, cells=st.lists(cell, max_size=4).map(tuple)),
    table_format=text,
    origin=st.sampled_from(Origin),
    engine=text,
    alt_text=text,
    caption=text,
    caption_source=text,
    start_ms=st.integers(-1, 10**9),
    end_ms=st.integers(-1, 10**9),
    warnings=st.lists(text, max_size=2).map(tuple),
    attributes=st.dictionaries(text, json_value, max_size=3),
)
chunk = st.builds(
    Chunk,
    element=st.integers(0, 10**6),
    position=st.integers(0, 10**6),
    kind=st.sampled_from(Kind),
    text=text,
    tokens=st.integers(0, 10**6),
    places=st.lists(
        st.builds(Place, page=st.integers(0, 99), box=st.none() | box, page_size=st.none() | size), max_size=3
    ).map(tuple),
    begins=st.integers(0, 10**6),
)


def test_the_strategies_fill_every_field():
    """A field added to the model must be added above, or the round trip proves nothing about it."""
    for kind, strategy in ((Element, element), (Chunk, chunk)):
        drawn = set(strategy.wrapped_strategy.kwargs)
        assert drawn == {field.name for field in dataclasses.fields(kind)}


@given(st.lists(element, max_size=4))
def test_elements_come_back_as_they_were(elements: list[Element]):
    blobs: dict[str, bytes] = {}
    data = encode_elements(elements, blobs.__setitem__)
    back = decode_elements(data, blobs.get)
    assert back == tuple(elements)
    assert [type(item.kind) for item in back] == [Kind] * len(back)
    assert all(type(item.box) is Box for item in back if item.box is not None)
    assert encode_elements(back, blobs.__setitem__) == data


@given(st.lists(chunk, max_size=6))
def test_chunks_come_back_as_they_were(chunks: list[Chunk]):
    data = encode_chunks(chunks)
    assert decode_chunks(data) == tuple(chunks)
    assert encode_chunks(decode_chunks(data)) == data


@given(st.integers(0, 5), st.integers(1, 8), st.data())
def test_vectors_come_back_as_they_were(rows: int, dimension: int, data: st.DataObject):
    floats = st.floats(width=32, allow_nan=False)
    vectors = data.draw(
        st.lists(st.lists(floats, min_size=dimension, max_size=dimension), min_size=rows, max_size=rows)
    )
    back = decode_vectors(encode_vectors(vectors))
    assert back.dtype == np.float32
    assert back.tolist() == vectors
    assert encode_vectors(back) == encode_vectors(vectors)


def test_vectors_of_no_chunk_keep_their_dimension():
    assert decode_vectors(encode_vectors(np.empty((0, 384), np.float32))).shape == (0, 384)
    assert len(decode_vectors(encode_vectors([]))) == 0


def test_one_picture_in_many_elements_is_stored_once():
    picture = Picture(data=b"same", width=1, height=1)
    stored: list[str] = []
    encode_elements([Element(kind=Kind.IMAGE, picture=picture)] * 3, lambda digest, _: stored.append(digest))
    assert stored == [picture.sha256]


def test_missing_picture_is_named():
    data = encode_elements([Element(kind=Kind.IMAGE, picture=Picture(data=b"x", width=1, height=1))], lambda *_: None)
    with pytest.raises(ArtifactDamagedError, match="picture"):
        decode_elements(data, lambda _: None)


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"[]",
        b'{"kind":"chunks","version":1,"count":0}',
        b'{"kind":"elements","version":2,"count":0}',
        b'{"kind":"elements","version":1,"count":1}',
        b'{"kind":"elements","version":1,"count":1}\n{"kind":"text","colour":"red"}',
        b'{"kind":"elements","version":1,"count":1}\n{"kind":"poem"}',
        b'{"kind":"elements","version":1,"count":1}\n{"kind":"text","box":[1]}',
        b'{"kind":"elements","version":1,"count":1}\n{"kind":"table","table":[[1]]}',
        b'{"kind":"elements","version":1,"count":1}\n{"kind":"image","picture":{"width":1}}',
        b'{"kind":"elements","version":1,"count":1}\n7',
    ],
)
def test_what_is_not_whole_is_refused(lines: bytes):
    for data in (lines, gzip.compress(lines)):
        with pytest.raises(ArtifactDamagedError):
            decode_elements(data, lambda _: b"")


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", encode_vectors([[1.0, 2.0]])[:-1]])
def test_cut_vectors_are_refused(data: bytes):
    with pytest.raises(ArtifactDamagedError):
        decode_vectors(data)


def test_threads_read_vectors_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once are now and then a SystemError in Python 3.11."""
    read, alone, seen = np.lib.format.read_array, threading.Lock(), []

    def watched(*given: object, **options: object) -> object:
        seen.append(alone.acquire(blocking=False))
        time.sleep(0.01)
        try:
            return read(*given, **options)
        finally:
            if seen[-1]:
                alone.release()

    monkeypatch.setattr(np.lib.format, "read_array", watched)
    data = encode_vectors([[1.0, 2.0]])
    with ThreadPoolExecutor(8) as threads:
        assert [found.tolist() for found in threads.map(decode_vectors, [data] * 8)] == [[[1.0, 2.0]]] * 8
    assert seen == [True] * 8
