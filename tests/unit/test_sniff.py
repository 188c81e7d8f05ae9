"""The content says what a file is; the name decides only between texts."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    SourceUnavailableError,
    UnsupportedFormatError,
)
from nemo_retriever_dagster.extract.registry import EXTENSIONS
from nemo_retriever_dagster.extract.sniff import detect_format

if TYPE_CHECKING:
    from pathlib import Path


def sniffed(folder: Path, name: str, data: bytes | str, declared: str | None = None) -> str:
    path = folder / "stored-under-a-hash"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return detect_format(path, name, declared)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n\xe2\xe3", "pdf"),
        (b"\r\n %PDF-1.7\n\xe2\xe3", "pdf"),
        (b"\x89PNG\r\n\x1a\n....", "png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "jpeg"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "bmp"),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"ID3\x03\0\0\0\0\0\0", "mp3"),
        (b"\xff\xfb\x90\x64\0\0", "mp3"),
        (b"\0\0\0\x20ftypM4A \0\0", "m4a"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\x02\0", "mov"),
        (b"RIFF\x24\0\0\0AVI LIST", "avi"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0", "mkv"),
    ],
)
@pytest.mark.parametrize("name", ["right", "wrong.docx", "wrong.txt", "no-suffix"])
def test_binary_formats_are_known_by_their_first_bytes(tmp_path, data, kind, name):
    assert sniffed(tmp_path, f"a.{kind}" if name == "right" else name, data) == kind


@pytest.mark.parametrize(("name", "kind"), [("a.m4a", "m4a"), ("a.mov", "mov"), ("a.mp4", "mp4"), ("a.pdf", "mp4")])
def test_the_general_brand_of_mp4_leaves_the_choice_among_its_kin_to_the_name(tmp_path, name, kind):
    assert sniffed(tmp_path, name, b"\0\0\0\x20ftypisom\0\0\x02\0") == kind


@pytest.mark.parametrize(("folder", "kind"), [("word", "docx"), ("ppt", "pptx"), ("xl", "xlsx")])
@pytest.mark.parametrize("name", ["a.zip", "a.pdf", "a"])
def test_office_files_are_known_by_their_parts(tmp_path, folder, kind, name):
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(f"{folder}/embeddings/xl/sheet.bin", "1")
    assert detect_format(path, name) == kind
    path.write_bytes(path.read_bytes()[:120])
    assert detect_format(path, name) == kind  # cut off: its extractor says so


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        *(
            (f"a.{suffix}", "plain words", kind)
            for suffix, kind in EXTENSIONS.items()
            if kind in {"txt", "md", "sh", "json", "html", "csv"}
        ),
        ("A.TXT", "x", "txt"),
        ("a.txt", "<html><p>an example of HTML", "txt"),
        ("README", "words", "txt"),
        ("run", "#!/bin/sh\nls", "sh"),
        ("page", "<!-- c -->\n<!DOCTYPE html><p>x", "html"),
        ("page.doc", "\ufeff<html><body>saved as Word", "html"),
        ("page.aspx", "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML'><html/>", "html"),
        ("drawing", "<?xml version='1.0'?><!-- x --><svg xmlns='x'/>", "svg"),
        ("drawing.png", "<svg:svg xmlns:svg='x'/>", "svg"),
        ("notes.md", "%PDF is a format, %PDF-1.7 a version", "md"),
        ("mz.txt", "MZ is the mark of a program; BM of a bitmap", "txt"),
        ("id.txt", "ID3 tags", "txt"),
    ],
)
def test_texts(tmp_path, name, text, kind):
    assert sniffed(tmp_path, name, text) == kind


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "shift_jis"])
def test_texts_in_other_encodings_are_texts(tmp_path, encoding):
    word = "日本語の文章" if encoding == "shift_jis" else "Größe und Maß"
    assert sniffed(tmp_path, "a.txt", (word * 20).encode(encoding)) == "txt"
    assert sniffed(tmp_path, "page", ("<html><body>" + word).encode("utf-16")) == "html"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.rtf", b"{\\rtf1 x}", "Rich Text"),
        ("a.heic", b"\0\0\0\x20ftypheic\0\0\x02\0", "HEIF"),
        ("a.gif", b"GIF89a\x01\0\x01\0\x80\0\0", "GIF"),
        ("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(range(200)), "archive"),
        ("a.xml", b"<?xml version='1.0'?><factbook><a/></factbook>", "factbook"),
        ("a.py", b"print()", ".py"),
        ("a.bin", bytes(range(256)) * 4, "binary"),
        ("a.exe", b"MZ\x90\0\x03\0\0\0" + bytes(range(200)), "program"),
    ],
)
def test_what_is_not_read_is_named_with_what_would_be(tmp_path, name, data, words):
    with pytest.raises(UnsupportedFormatError, match=r"docx, .*pdf, ") as caught:
        sniffed(tmp_path, name, data)
    assert words in caught.value.message
    assert caught.value.hint


def test_archives_of_other_kinds_are_named(tmp_path):
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    with pytest.raises(UnsupportedFormatError, match=r"opendocument\.text"):
        detect_format(path, "a.odt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some/file", "x")
    with pytest.raises(UnsupportedFormatError, match="zip archive"):
        detect_format(path, "a.zip")
    assert detect_format(path, "a.docx") == "docx"  # its extractor tells what is missing


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)


@pytest.mark.parametrize(
    ("stream", "error", "words"),
    [
        ("EncryptedPackage", EncryptedFileError, "password"),
        ("WordDocument", UnsupportedFormatError, "Word 97"),
        ("PowerPoint Document", UnsupportedFormatError, "PowerPoint 97"),
        ("Workbook", UnsupportedFormatError, "Excel 97"),
        ("something", UnsupportedFormatError, "OLE"),
    ],
)
def test_the_old_office_container(tmp_path, stream, error, words):
    with pytest.raises(error, match=words):
        sniffed(tmp_path, "a.docx", OLE + stream.encode("utf-16-le"))


def test_text_under_a_binary_name_is_corrupt(tmp_path):
    with pytest.raises(CorruptFileError, match=r"\.pdf"):
        sniffed(tmp_path, "a.pdf", "only words")


def test_damage_at_the_head_is_left_to_the_extractor(tmp_path):
    assert sniffed(tmp_path, "a.pdf", b"\xda\x00DF-1.7" + bytes(range(256))) == "pdf"


def test_a_declared_type_is_believed(tmp_path):
    assert sniffed(tmp_path, "a.xml", "<a/>", "txt") == "txt"
    assert sniffed(tmp_path, "a", "<a/>", ".HTM") == "html"
    with pytest.raises(UnsupportedFormatError, match="klingon"):
        sniffed(tmp_path, "a", "x", "klingon")


@pytest.mark.parametrize("declared", [None, "pdf"])
def test_an_empty_or_absent_file(tmp_path, declared):
    with pytest.raises(EmptyFileError):
        sniffed(tmp_path, "a.pdf", b"", declared)
    with pytest.raises(SourceUnavailableError):
        detect_format(tmp_path / "absent", "a.pdf", declared)


def test_the_corpus(shared):
    differs = {}
    for path in sorted((shared / "corpora/dev/files").iterdir()):
        try:
            found = detect_format(path, path.name)
        except (EmptyFileError, EncryptedFileError, UnsupportedFormatError) as error:
            found = type(error).__name__
        if found != EXTENSIONS.get(path.suffix[1:]):
            differs[path.name] = found
    assert differs == {
        "bug53475-password-is-pass.docx": "EncryptedFileError",
        "testWORD_protected_passtika.docx": "EncryptedFileError",
        "empty.txt": "EmptyFileError",
        "zero.docx": "EmptyFileError",
        "zero.pdf": "EmptyFileError",
        "eng_spa_mult.xml": "UnsupportedFormatError",
        "really_a_docx.pdf": "docx",
        "really_a_pdf.docx": "pdf",
    }
