"""Forged zip archives: each is refused with a typed error, quickly, in little memory; good ones are read whole."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import CorruptFileError, DataError, EncryptedFileError, LimitExceededError
from nemo_retriever_dagster.extract.archive import open_archive, sanitized_copy
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Budget, Limits

SMALL = Limits(archive_members=1_000, archive_bytes=2_000_000, member_bytes=1_000_000)


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def read_all(path: Path, limits: Limits = SMALL) -> dict[str, bytes]:
    with open_archive(path, Budget(limits)) as archive:
        return {name: archive.read(name) for name in archive.names()}


def patched(path: Path, signature: bytes, offset: int, value: bytes) -> Path:
    """Write ``value`` at ``offset`` behind the last ``signature`` of the file."""
    data = bytearray(path.read_bytes())
    place = data.rfind(signature) + offset
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_good_archive_is_read_whole(tmp_path, method):
    members = {"a.xml": b"<a/>", "deep/b.bin": bytes(range(256)) * 300, "empty": b""}
    path = zipped(tmp_path / "good.zip", members | {"folder/": b""}, method)
    assert read_all(path) == members


def test_a_good_archive_behind_other_bytes_and_with_a_comment(tmp_path):
    path = zipped(tmp_path / "good.zip", {"a": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"a comment " * 1000
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read_all(path) == {"a": b"1"}


def test_zip64_is_read(tmp_path):
    path = tmp_path / "64.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"1")
    assert read_all(path) == {"a": b"1"}


def test_streamed_members_are_read(tmp_path):
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += data
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"1" * 1000)  # sizes stand behind the data
    (tmp_path / "s.zip").write_bytes(stream.data)
    assert read_all(tmp_path / "s.zip") == {"a": b"1" * 1000}


def test_a_high_ratio_is_stopped_at_the_limit(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {"a": bytes(50_000_000)})
    with pytest.raises(LimitExceededError, match="member_bytes"):
        read_all(path)


def test_many_members_are_paid_together(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {f"{n}": bytes(900_000) for n in range(3)})
    with pytest.raises(LimitExceededError, match="archive_bytes"):
        read_all(path)


def test_a_member_is_paid_once(tmp_path):
    path = zipped(tmp_path / "good.zip", {"a": bytes(900_000)})
    with open_archive(path, Budget(SMALL)) as archive:
        assert {len(archive.read("a")) for _ in range(5)} == {900_000}


@pytest.mark.parametrize("declared", [0, 10, 2_000_000, 0xFFFFFFFE])
def test_a_lying_size_is_refused(tmp_path, declared):
    path = zipped(tmp_path / "lie.zip", {"a": bytes(500_000)})
    patched(path, b"PK\x01\x02", 24, struct.pack("<L", declared))
    with pytest.raises((CorruptFileError, LimitExceededError)):
        read_all(path)


def test_a_small_lie_about_a_bomb_is_stopped_while_inflating(tmp_path):
    path = zipped(tmp_path / "lie.zip", {"a": bytes(50_000_000)})
    patched(path, b"PK\x01\x02", 24, struct.pack("<L", 10))
    with pytest.raises(LimitExceededError, match="member_bytes"):
        read_all(path)


def test_a_wrong_checksum_is_refused(tmp_path):
    path = patched(zipped(tmp_path / "bad.zip", {"a": b"1" * 100}), b"PK\x01\x02", 16, b"\0\0\0\0")
    with pytest.raises(CorruptFileError, match="damaged"):
        read_all(path)


def test_a_hundred_thousand_members_are_refused_before_they_are_objects(tmp_path):
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 100_000
    for count in (100_000 & 0xFFFF, 1):  # also where the end record lies about the number
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(local), 0)
        (tmp_path / "many.zip").write_bytes(local + directory + end)
        with pytest.raises(LimitExceededError, match="archive_members"):
            open_archive(tmp_path / "many.zip", Budget(Limits()))


def test_overlapping_members_are_refused(tmp_path):
    """Many directory entries of different names share one compressed kernel."""
    inflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    kernel = inflate.compress(bytes(100_000)) + inflate.flush()
    crc = zlib.crc32(bytes(100_000))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, len(kernel), 100_000, 1, 0) + b"a" + kernel
    entries = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, crc, len(kernel), 100_000, 3, 0, 0, 0, 0, 0, 0)
        + b"%03d" % n
        for n in range(500)
    )
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 500, 500, len(entries), len(local), 0)
    (tmp_path / "overlap.zip").write_bytes(local + entries + end)
    with pytest.raises(CorruptFileError, match="overlap"):
        open_archive(tmp_path / "overlap.zip", Budget(SMALL))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "..", "a\\..\\..\\evil", "/../evil"])
def test_names_that_leave_the_archive_are_refused(tmp_path, name):
    path = zipped(tmp_path / "t.zip", {"good": b"1", name: b"2"})
    with pytest.raises(CorruptFileError, match="leaves the archive"):
        open_archive(path, Budget(SMALL))


def test_names_are_never_paths(tmp_path):
    assert read_all(zipped(tmp_path / "t.zip", {"/etc/passwd": b"1", "a\\b": b"2"})) == {
        "etc/passwd": b"1",
        "a/b": b"2",
    }


@pytest.mark.parametrize("twins", [("a", "A"), ("x/a", "x\\a")])
def test_two_members_of_one_name_are_refused(tmp_path, twins):
    path = zipped(tmp_path / "t.zip", dict.fromkeys(twins, b"1"))
    with pytest.raises(CorruptFileError, match="one name"):
        open_archive(path, Budget(SMALL))


def test_an_encrypted_member_is_named_as_such(tmp_path):
    path = patched(zipped(tmp_path / "t.zip", {"a": b"1"}), b"PK\x01\x02", 8, b"\x01\x00")
    with pytest.raises(EncryptedFileError):
        open_archive(path, Budget(SMALL))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_foreign_compression_is_refused(tmp_path, method):
    path = zipped(tmp_path / "t.zip", {"a": bytes(1000)}, method)
    with pytest.raises(CorruptFileError, match="compressed"):
        open_archive(path, Budget(SMALL))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_archive_is_corrupt(tmp_path, keep):
    path = zipped(tmp_path / "t.zip", {"a.xml": b"<a>" + b"x" * 1000 + b"</a>", "b": b"2"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CorruptFileError):
        read_all(path)


def test_every_cut_and_every_flipped_byte_is_a_typed_error_or_the_same_content(tmp_path):
    members = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w>" + b"text " * 50 + b"</w>"}
    whole = zipped(tmp_path / "t.zip", members).read_bytes()
    path = tmp_path / "mutant.zip"
    for place in range(len(whole)):
        mutant = bytearray(whole)
        mutant[place] ^= 0xFF
        path.write_bytes(mutant)
        try:
            found = read_all(path)
        except DataError:
            continue
        assert set(found.values()) <= set(members.values())


def test_a_sanitized_copy_holds_the_same_and_only_true_sizes(tmp_path):
    members = {"[Content_Types].xml": b"<Types/>", "word/media/a.png": b"\x89PNG", "word/x.bin": bytes(1000)}
    with sanitized_copy(zipped(tmp_path / "t.zip", members), Budget(SMALL)) as copy, zipfile.ZipFile(copy) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == members


@pytest.mark.parametrize(
    "bad", [{"a.xml": b"<!DOCTYPE a><a/>"}, {"_rels/.rels": b"<a>"}, {"a.vml": b"<a>" * 600 + b"</a>" * 600}]
)
def test_no_sanitized_copy_of_bad_xml(tmp_path, bad):
    with pytest.raises(DataError):
        sanitized_copy(zipped(tmp_path / "t.zip", {"good.xml": b"<a/>"} | bad), Budget(SMALL))


def test_the_corpus_bomb_is_refused_in_little_memory(shared):
    bomb = shared / "corpora/dev/files/zip_bomb.docx"
    with ParserPool(1) as pool:
        with pytest.raises(LimitExceededError):
            list(pool.pages(bomb, ExtractOptions(format="docx")))
        assert peak_memory(pool) <= 512 * 2**20


def test_a_bomb_of_nested_archives_is_refused_in_little_memory(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"zeros": bytes(100_000_000)}).read_bytes()
    document = {f"word/embeddings/{n}.zip": inner for n in range(900)}
    types = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    path = zipped(tmp_path / "nested.docx", {"[Content_Types].xml": types, **document})
    with ParserPool(1) as pool:
        with pytest.raises(DataError):
            list(pool.pages(path, ExtractOptions(format="docx")))
        assert peak_memory(pool) <= 512 * 2**20


def peak_memory(pool: ParserPool) -> int:
    """Return the most bytes that the pool's only process ever held, as the kernel counted them."""
    parser = pool._places[0].parser
    assert parser is not None
    status = Path(f"/proc/{parser.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
