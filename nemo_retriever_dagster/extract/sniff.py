"""What a file is: by its content first; its name decides only between formats that look alike (texts)."""

from __future__ import annotations

import mmap
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    SourceUnavailableError,
    UnsupportedFormatError,
)
from nemo_retriever_dagster.extract.encoding import decode_sample, looks_like_text
from nemo_retriever_dagster.extract.registry import EXTENSIONS, EXTRACTORS

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 1 << 16
_TAIL_BYTES = 1 << 23
_TEXTS = ("txt", "md", "sh", "json", "html", "csv", "svg", "eml")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ALSO_MP4 = ("m4a", "mov")  # one container: its brand is often the general one
_SAVE_AS = "Open it in its own program and save it as {}; the next run takes it."

_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"\s{0,64}%PDF-", "pdf"),
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"\xff\xd8\xff", "jpeg"),
        (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", "bmp"),
        (rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]", "tiff"),
        (rb"RIFF.{4}WEBP", "webp"),
        (rb"RIFF.{4}WAVE|RF64.{4}WAVE", "wav"),
        (rb"fLaC", "flac"),
        (rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xf0-\xff]", "mp3"),
        (rb".{4}ftypM4[AB] ", "m4a"),
        (rb".{4}ftypqt  ", "mov"),
        (rb".{4}ftyp(?!hei|mif1|avif)", "mp4"),
        (rb"RIFF.{4}AVI ", "avi"),
        (rb"\x1a\x45\xdf\xa3", "mkv"),
    )
)
_REFUSED: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), name, hint)
    for pattern, name, hint in (
        (rb".{4}ftyp(?:hei|mif1|avif)", "a HEIF picture", _SAVE_AS.format("png or jpeg")),
        (rb"OggS", "Ogg sound", "Convert it to flac, mp3 or wav."),
        (rb"GIF8", "a GIF picture", _SAVE_AS.format("png")),
        (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!", "a compressed archive", "Unpack it; the next run takes its files."),
        (rb"\x7fELF|MZ", "a program", ""),
    )
)
_IN_ZIP = {b"word": "docx", b"ppt": "pptx", b"xl": "xlsx"}
_ZIP_NAME = re.compile(rb"PK(?:\x01\x02.{42}|\x03\x04.{26})/?(word|ppt|xl)/", re.DOTALL)
_MIMETYPE = re.compile(rb"PK\x03\x04.{26}mimetype(application/[a-z0-9.+-]{1,80})", re.DOTALL)
_LEGACY = {
    "WordDocument": ("a Word 97-2003 document", "docx"),
    "PowerPoint Document": ("a PowerPoint 97-2003 presentation", "pptx"),
    "Workbook": ("an Excel 97-2003 workbook", "xlsx"),
    "__substg1.0_": ("an Outlook message", "txt, html or pdf"),
}
_FIRST_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9:._-]{0,40})")
_BLANKS = re.compile(r"\s*")
_NOT_TAGS = (("<?", "?>"), ("<!--", "-->"), ("<!", ">"))
_HTML_ROOTS = {"html", "head", "body", "title", "meta", "div", "p", "h1", "table"}


def detect_format(path: Path, name: str, declared: str | None = None) -> str:
    """Return the document type of the file at ``path``, whose source calls it ``name``.

    ``declared`` (a document type or an extension) is believed, save for an empty file. Raise `EmptyFileError`,
    `EncryptedFileError`, `UnsupportedFormatError` (with what it looks like and what would be read) or
    `CorruptFileError` (a text under the name of a binary format). Reads a bounded part of the file and runs no parser.
    """
    head = _head(path)
    extension = EXTENSIONS.get(_suffix(name), "")
    if declared:
        return _supported(EXTENSIONS.get(declared.strip().lower().lstrip("."), declared))
    if head.startswith(_OLE):
        raise _ole_error(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_format(path, head, extension)
    if found := _by_signature(head):
        return extension if found == "mp4" and extension in _ALSO_MP4 else found
    if looks_like_text(head):
        return _text_format(head, _suffix(name), extension)
    return _binary_format(head, extension)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise SourceUnavailableError(f"The file cannot be read: {error.strerror}.") from error
    if not head:
        raise EmptyFileError
    return head


def _suffix(name: str) -> str:
    return PurePath(name.replace("\\", "/")).suffix.lower().removeprefix(".")


def _supported(name: str) -> str:
    if name not in EXTRACTORS:
        raise _unsupported(f"of the type {name!r}")
    return name


def _unsupported(looks: str, hint: str = "") -> UnsupportedFormatError:
    formats = ", ".join(sorted(EXTRACTORS))
    return UnsupportedFormatError(f"The file is {looks}, which is not read. Formats that are: {formats}.", hint=hint)


def _by_signature(head: bytes) -> str:
    return next((name for pattern, name in _SIGNATURES if pattern.match(head)), "")


def _ole_error(path: Path) -> EncryptedFileError | UnsupportedFormatError:
    """Tell an encrypted Office file from a legacy one by the names in the container's directory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            return EncryptedFileError("The Office file is protected by a password.")
        for name, (what, better) in _LEGACY.items():
            if data.find(name.encode("utf-16-le")) >= 0:
                return _unsupported(what, _SAVE_AS.format(better))
    return _unsupported("an OLE container (a legacy Microsoft format)", _SAVE_AS.format("docx, pptx, xlsx or pdf"))


def _zip_format(path: Path, head: bytes, extension: str) -> str:
    """Look at the names in the archive's directory, or in its first members when the directory is cut off."""
    if mimetype := _MIMETYPE.match(head):
        kind = mimetype[1].decode("ascii")
        if kind.startswith("application/epub+zip"):
            return _supported("epub")
        raise _unsupported(f"an archive of type {kind}", _SAVE_AS.format("docx, pptx, xlsx or pdf"))
    if found := _ZIP_NAME.search(_tail(path)) or _ZIP_NAME.search(head):
        return _supported(_IN_ZIP[found[1]])
    if extension in {*_IN_ZIP.values(), "epub"}:
        return _supported(extension)  # its extractor says what is wrong with it
    raise _unsupported("a zip archive", "Unpack it; the next run takes its files.")


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES)


def _text_format(head: bytes, suffix: str, extension: str) -> str:
    """Choose among texts: the name decides where it names one; markup is known by its root."""
    if extension in _TEXTS:
        return _supported(extension)
    text = decode_sample(head)
    root = _root(text)
    if root in _HTML_ROOTS or root == "svg":
        return _supported("html" if root in _HTML_ROOTS else root)
    if text.startswith(("{\\rtf", "%!PS")):
        raise _unsupported("a Rich Text or PostScript document", _SAVE_AS.format("docx or pdf"))
    if extension:
        hint = f"Is it the right file? As plain text it is read with extract(document_type='txt'), not as {extension}."
        raise CorruptFileError(f"The file is called .{suffix} and holds nothing but text.", hint=hint)
    if suffix:
        looks = f"XML with the root {root!r}" if root else f"text under the unknown extension .{suffix}"
        raise _unsupported(looks, "To read it as plain text: extract(document_type='txt').")
    return "sh" if text.startswith("#!") else "txt"


def _root(text: str) -> str:
    """Return the first tag of markup in lower case without its prefix, "" when ``text`` does not begin with markup."""
    place = _after_blanks(text, 0)
    while closing := next((closing for opening, closing in _NOT_TAGS if text.startswith(opening, place)), None):
        if text[place : place + 14].lower() == "<!doctype html":
            return "html"
        end = text.find(closing, place)
        if end < 0:
            return ""
        place = _after_blanks(text, end + len(closing))
    tag = _FIRST_TAG.match(text, place)
    return tag[1].lower().rpartition(":")[2] if tag else ""


def _after_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place


def _binary_format(head: bytes, extension: str) -> str:
    for pattern, looks, hint in _REFUSED:
        if pattern.match(head):
            raise _unsupported(looks, hint)
    if extension and extension not in _TEXTS:
        return _supported(extension)  # damaged at its head, perhaps; its extractor knows
    raise _unsupported(_guess(head))


def _guess(head: bytes) -> str:
    """Return what puremagic takes the file for."""
    import puremagic

    try:
        best = max(puremagic.magic_string(head), key=lambda match: match.confidence)
    except (puremagic.PureError, ValueError):
        return "of an unknown binary format"
    return f"like {best.name or best.mime_type or best.extension}"
