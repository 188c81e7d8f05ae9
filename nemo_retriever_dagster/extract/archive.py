"""Zip archives (docx, pptx, xlsx, epub) read within bounds; what one says about its own sizes is not believed."""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
import zlib
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Self

from nemo_retriever_dagster.errors import CorruptFileError, EncryptedFileError
from nemo_retriever_dagster.extract.xml import safe_xml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element

    from nemo_retriever_dagster.limits import Budget

_END, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_END64_LOCATOR = b"PK\x06\x07"
_END_SIZE, _LOCAL_SIZE, _END64_SIZE, _END64_LOCATOR_SIZE = 22, 30, 56, 20
_IN_ZIP64 = 0xFFFFFFFF
_LONGEST_COMMENT = 0xFFFF
_ENTRY_BYTES = 1024  # of the directory, on average; a real one has about 80
_PIECE = 1 << 16
_ENCRYPTED_FLAG = 1
_UP = re.compile(r"(?:^|/)\.\.(?:/|$)")
_XML_SUFFIXES = (".xml", ".rels", ".vml", ".opf", ".ncx", ".xhtml")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_archive(path: Path, budget: Budget) -> BoundedArchive:
    """Open a zip archive; raise `CorruptFileError`, `EncryptedFileError` or `LimitExceededError` for an unfit one."""
    file = path.open("rb")
    try:
        return BoundedArchive(file, budget)
    except BaseException:
        file.close()
        raise


class BoundedArchive:
    """The members of a zip archive by name (forward slashes, no leading one). Use as a context manager.

    The budget pays for every inflated byte (``archive_bytes``, each member once) and bounds each member
    (``member_bytes``). Two members of one name (case ignored), overlapping members and names with ``..`` are refused:
    two readers could see two different documents.
    """

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        """Read and judge the directory of ``file``."""
        self._file = file
        self._budget = budget
        self._paid: set[str] = set()
        self._members = _members(file, budget)

    def __enter__(self) -> Self:
        """Return the archive."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, name: str) -> bool:
        """Whether there is a member of this name."""
        return name in self._members

    def names(self) -> list[str]:
        """Return the members' names in the order of the directory, folders left out."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Inflate a member; raise `CorruptFileError` unless its size and checksum are what the directory says."""
        member = self._members.get(name)
        if member is None:
            raise CorruptFileError(f"The archive has no member {name!r}.")
        self._budget.check("member_bytes", member.file_size)
        data = self._inflate(member)
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise CorruptFileError(f"The member {name!r} of the archive is damaged, or lies about its size.")
        return data

    def xml(self, name: str) -> _Element:
        """Return the root node of a member, read by `safe_xml`."""
        return safe_xml(self.read(name), self._budget)

    def _inflate(self, member: zipfile.ZipInfo) -> bytes:
        out = io.BytesIO()
        for piece in self._pieces(member):
            out.write(piece)
            self._budget.check("member_bytes", out.tell())
            if member.filename not in self._paid:
                self._budget.spend("archive_bytes", len(piece))
        self._paid.add(member.filename)
        return out.getvalue()

    def _pieces(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        self._seek_to(member)
        left = member.compress_size
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while left > 0 and (raw := self._file.read(min(_PIECE, left))):
            left -= len(raw)
            if member.compress_type == zipfile.ZIP_STORED:
                yield raw
            else:
                yield from _inflated(inflate, raw, member.filename)

    def _seek_to(self, member: zipfile.ZipInfo) -> None:
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_SIZE)
        if len(header) < _LOCAL_SIZE or not header.startswith(_LOCAL):
            raise CorruptFileError(f"The archive has no member at the place of {member.filename!r}.")
        name_length, extra_length = struct.unpack_from("<HH", header, 26)
        self._file.seek(name_length + extra_length, io.SEEK_CUR)


def sanitized_copy(path: Path, budget: Budget) -> IO[bytes]:
    """Return a copy of an Office archive that a library or program may open on its own: an unnamed temporary file.

    Only what passed this module's checks is in it, each XML part parsed once by `safe_xml`; sizes are true.
    """
    copy = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    try:
        with open_archive(path, budget) as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
            for name in archive.names():
                data = archive.read(name)
                if name.lower().endswith(_XML_SUFFIXES):
                    safe_xml(data, budget)
                target.writestr(zipfile.ZipInfo(name), data)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


def _inflated(inflate: zlib._Decompress, raw: bytes, name: str) -> Iterator[bytes]:
    """Yield what ``raw`` inflates to, in pieces of at most 64 KB: a bomb is stopped before it is in memory."""
    while raw:
        try:
            yield inflate.decompress(raw, _PIECE)
        except zlib.error as error:
            raise CorruptFileError(f"The member {name!r} of the archive is damaged: {error}.") from None
        raw = inflate.unconsumed_tail


def _members(file: IO[bytes], budget: Budget) -> dict[str, zipfile.ZipInfo]:
    _refuse_huge_directory(file, budget)
    try:
        entries = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError) as error:
        raise CorruptFileError(f"The archive's directory is damaged: {error}.") from None
    members: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/").lstrip("/")
        _refuse_unfit(entry, name)
        if name and not name.endswith("/"):
            members[name] = entry
    if len({name.lower() for name in members}) < sum(not entry.is_dir() for entry in entries):
        raise CorruptFileError("The archive has two members of one name.")
    _refuse_overlaps(entries)
    return members


def _refuse_huge_directory(file: IO[bytes], budget: Budget) -> None:
    """Judge the directory by its bytes before it is parsed into objects."""
    size = file.seek(0, io.SEEK_END)
    tail_length = min(size, _END_SIZE + _LONGEST_COMMENT)
    file.seek(size - tail_length)
    tail = file.read(tail_length)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise CorruptFileError("The archive has no directory: the file is cut off.")
    directory_size = min(_directory_size(tail, end), size)
    budget.check("archive_members", directory_size // _ENTRY_BYTES)
    start = max(0, size - tail_length + end - directory_size - _END64_SIZE - _END64_LOCATOR_SIZE)
    file.seek(start)
    budget.check("archive_members", file.read(directory_size + _END64_SIZE).count(_ENTRY))


def _directory_size(tail: bytes, end: int) -> int:
    """Return the larger of what the end record and the ZIP64 record before it say: a reader may believe either."""
    said = int(struct.unpack_from("<L", tail, end + 12)[0])
    record = end - _END64_LOCATOR_SIZE - _END64_SIZE
    if record < 0 or not tail.startswith(_END64_LOCATOR, end - _END64_LOCATOR_SIZE):
        return said
    said64 = int(struct.unpack_from("<Q", tail, record + 40)[0])
    return said64 if said == _IN_ZIP64 else max(said, said64)


def _refuse_unfit(entry: zipfile.ZipInfo, name: str) -> None:
    if entry.flag_bits & _ENCRYPTED_FLAG:
        raise EncryptedFileError(f"The member {name!r} of the archive is encrypted.")
    if entry.compress_type not in _METHODS:
        raise CorruptFileError(f"The member {name!r} of the archive is compressed in a way that such files never are.")
    if _UP.search(name):
        raise CorruptFileError(f"The archive has a member {name!r}, whose name leaves the archive.")


def _refuse_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    entries = sorted(entries, key=lambda entry: entry.header_offset)
    if entries and entries[0].header_offset < 0:
        raise CorruptFileError("The archive's directory points before its beginning.")
    for entry, following in pairwise(entries):
        if entry.header_offset + _LOCAL_SIZE + entry.compress_size > following.header_offset:
            raise CorruptFileError("The members of the archive overlap.")
