"""What ``files()`` and ``buffers()`` take, and what they say of anything else."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path

import pytest

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.inputs import pairs_of, paths_of
from nemo_retriever_dagster.source import Buffers


@pytest.mark.parametrize(
    "given",
    [
        ["a.txt", "b.txt"],
        ("a.txt", Path("b.txt")),
        {"a.txt": 1, "b.txt": 2},
        iter(["a.txt", "b.txt"]),
        (f"{name}.txt" for name in "ab"),
    ],
)
def test_paths_come_one_or_in_any_iterable(given) -> None:
    assert paths_of(given) == ["a.txt", "b.txt"]
    assert [paths_of(one) for one in ("a.txt", Path("a.txt"), {"a.txt"}, [])] == [["a.txt"], ["a.txt"], ["a.txt"], []]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "None names no document."),
        (["a.txt", None], "None names no document."),
        (7, "7 names no document."),
        (b"a", "97 names no document."),
        ([("a.txt", b"x")], "a tuple names no document."),
        ([b"secret"], "a bytes names no document."),
    ],
)
def test_what_is_no_path_is_refused_at_the_call(given, shown) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Ingestor().files(given)
    assert caught.value.message == shown
    assert "buffers() takes bytes" in caught.value.hint


class Stream:
    """A binary stream that can only be read on."""

    def read(self) -> bytes:
        return b"x"


@pytest.mark.parametrize("buffer", [b"x", bytearray(b"x"), memoryview(b"x"), BytesIO(b"x"), Stream()])
def test_bytes_come_in_any_wrapping(buffer) -> None:
    assert Ingestor().buffers(("a.txt", buffer))._buffers == [("a.txt", b"x")]
    assert Ingestor().buffers([("a.txt", b"x")])._buffers == [("a.txt", b"x")]
    with Buffers([("a.txt", b"x")]).fetch(Buffers([("a.txt", b"x")]).list()[0]) as fetched:
        assert fetched.path.read_bytes() == b"x"


@pytest.mark.parametrize(
    "given",
    [
        (("a.txt", b"1"), ("b.txt", b"2")),
        [["a.txt", b"1"], ["b.txt", b"2"]],
        iter([("a.txt", b"1"), ("b.txt", BytesIO(b"2"))]),
        {"a.txt": b"1", "b.txt": b"2"}.items(),
    ],
)
def test_pairs_come_in_any_iterable(given) -> None:
    assert pairs_of(given) == [("a.txt", b"1"), ("b.txt", b"2")]


def test_a_file_is_read_from_its_start_at_the_call_and_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one two")
    with (tmp_path / "a.txt").open("rb") as file:
        file.read(4)
        ingestor = Ingestor().buffers(("a.txt", file))
        assert not file.closed
    assert ingestor._buffers == [("a.txt", b"one two")]
    with pytest.raises(InvalidOptionError, match=r"'a\.txt' cannot be read: .*closed file"):
        ingestor.buffers(("a.txt", file))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("a.txt", "text"), "The buffer 'a.txt' holds no bytes: it is 'text'."),
        (("a.txt", "text " * 20), "The buffer 'a.txt' holds no bytes: it is a str."),
        (("a.txt", StringIO("x")), "The buffer 'a.txt' holds no bytes: it is a StringIO."),
        (("a.txt", None), "The buffer 'a.txt' holds no bytes: it is None."),
        (b"x", "120 is no pair of a name and bytes."),
        (BytesIO(b"x\n"), "a bytes is no pair of a name and bytes."),
        (None, "None is no pair of a name and bytes."),
        ([("a.txt", b"x", 1)], "a tuple is no pair of a name and bytes."),
        ({"a.txt": b"x"}, "'a.txt' is no pair of a name and bytes."),
    ],
)
def test_what_is_no_pair_is_refused_at_the_call(given, shown) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Ingestor().buffers(given)
    assert caught.value.message == shown
    assert caught.value.hint
