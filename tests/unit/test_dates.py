"""Dates of documents: as formats write them, as extractors hand them over, as sources tell them."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import docx
import fsspec
import openpyxl
import pptx
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import ExifTags, Image

from nemo_retriever_dagster.dates import Dates, of_exif, of_iso, of_mail, of_moment, of_pdf, of_seconds
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.source import Source

SAMPLE = Path(__file__).parents[2] / "assets/sample"
MADE, CHANGED = datetime(2024, 3, 1, 10, tzinfo=UTC), datetime(2025, 4, 2, 11, 30, tzinfo=UTC)
SAID = Dates(created="2024-03-01T10:00:00", modified="2025-04-02T11:30:00")


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00"),
        ("2026-03-01T10:00:00.123+02:00", "2026-03-01T08:00:00"),
        (" 2026-03-01T10:00:00 ", "2026-03-01T10:00:00"),
        ("2026-03-01", "2026-03-01T00:00:00"),
        ("2026-03", "2026-03-01T00:00:00"),
        ("1851", "1851-01-01T00:00:00"),
        ("1601-01-01T00:00:00Z", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("9999-12-31T23:00:00-05:00", ""),
        ("2026-02-30", ""),
        ("in March", ""),
        ("", ""),
        ("2026-03-01" * 1_000, ""),
    ],
)
def test_iso(text: str, date: str) -> None:
    assert of_iso(text) == date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("D:20260301100000+01'00'", "2026-03-01T09:00:00"),
        ("D:20260301100000-0530", "2026-03-01T15:30:00"),
        ("D:20260301100000Z00'00'", "2026-03-01T10:00:00"),
        ("D:20260301100000Z", "2026-03-01T10:00:00"),
        ("D:20260301100000", "2026-03-01T10:00:00"),
        ("D:202603", "2026-03-01T00:00:00"),
        ("D:2026", "2026-01-01T00:00:00"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00"),
        ("D:20261301", ""),
        ("D:19126010203", ""),
        ("yesterday", ""),
    ],
)
def test_pdf(text: str, date: str) -> None:
    assert of_pdf(text) == date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Sun, 01 Mar 2026 10:00:00 +0100", "2026-03-01T09:00:00"),
        ("1 Mar 2026 10:00 GMT (UTC)", "2026-03-01T10:00:00"),
        ("Sun, 32 Mar 2026 10:00:00 +0100", ""),
        ("Sun,", ""),
        ("", ""),
    ],
)
def test_mail(text: str, date: str) -> None:
    assert of_mail(text) == date


def test_moments() -> None:
    assert of_moment(datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01T08:00:00"
    assert of_seconds(1_772_359_200.9) == "2026-03-01T10:00:00"
    assert of_seconds(1e30) == ""


def said(path: Path) -> list[Dates]:
    """Return the dates that the pages of a document tell."""
    kind = path.suffix[1:]
    pages = extractor_for(kind).extract(path, ExtractOptions(format=kind), Budget(limits=Limits()))
    return [page.dates for page in pages]


def write(path: Path) -> Path:
    """Write a document of its suffix's type whose properties tell both dates."""
    document = {".docx": docx.Document, ".pptx": pptx.Presentation, ".xlsx": openpyxl.Workbook}[path.suffix]()
    if path.suffix == ".pptx":
        document.slides.add_slide(document.slide_layouts[0])
    properties = document.properties if path.suffix == ".xlsx" else document.core_properties
    properties.created, properties.modified = MADE.replace(tzinfo=None), CHANGED.replace(tzinfo=None)
    document.save(path)
    return path


@pytest.mark.parametrize("suffix", ["docx", "pptx"])
def test_office_documents_tell_their_dates(tmp_path: Path, suffix: str) -> None:
    assert said(write(tmp_path / f"x.{suffix}"))[0] == SAID


def test_workbooks_tell_when_they_were_made(tmp_path: Path) -> None:
    (found,) = said(write(tmp_path / "x.xlsx"))
    assert found.created == SAID.created  # openpyxl writes the time of saving as the other


def test_damaged_properties_say_nothing_and_harm_nothing(tmp_path: Path) -> None:
    whole, hurt = write(tmp_path / "x.docx"), tmp_path / "y.docx"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(hurt, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"<broken" if name == "docProps/core.xml" else source.read(name))
    assert said(hurt) == [Dates()]


def test_pdf_pages_tell_the_dates_of_their_document() -> None:
    day = Dates(created="2000-01-01T00:00:00", modified="2000-01-01T00:00:00")
    assert said(SAMPLE / "travel-policy.pdf") == [day, day]


def test_mail_was_made_when_it_was_sent(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"], mail["Date"] = "ann@example.org", "Fri, 01 Mar 2024 12:00:00 +0200"
    mail.set_content("At noon?")
    (tmp_path / "x.eml").write_bytes(mail.as_bytes())
    assert said(tmp_path / "x.eml") == [Dates(created=SAID.created)]


@pytest.mark.parametrize(
    ("metadata", "dates"),
    [
        ('<dc:date>2024-03-01T10:00:00Z</dc:date><meta property="dcterms:modified">2025-04-02T11:30:00Z</meta>', SAID),
        (
            """<dc:date opf:event="modification">2025-04-02T11:30:00Z</dc:date><dc:date>1851</dc:date>
            <dc:date opf:event="creation">2024-03-01T10:00Z</dc:date>""",
            SAID,
        ),
        ("<dc:date>1851</dc:date>", Dates(created="1851-01-01T00:00:00")),
        ("<dc:title>Undated</dc:title>", Dates()),
    ],
)
def test_books_tell_their_dates(tmp_path: Path, metadata: str, dates: Dates) -> None:
    names = 'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf"'
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><metadata {names}>{metadata}</metadata><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    with zipfile.ZipFile(tmp_path / "x.epub", "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="b.opf"/></rootfiles></container>',
        )
        archive.writestr("b.opf", package)
        archive.writestr("a.xhtml", '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Text.</p></body></html>')
    assert said(tmp_path / "x.epub")[0] == dates


@pytest.mark.parametrize(
    ("head", "dates"),
    [
        (
            """<meta property="article:published_time" content="2024-03-01T12:00:00+02:00">
            <meta property="article:modified_time" content="2025-04-02T11:30:00Z">""",
            SAID,
        ),
        (
            """<meta name="DC.Date" content="1851"><meta name="dcterms.created" content="2024-03-01T10:00:00Z">
            <meta http-equiv="Last-Modified" content="Wed, 02 Apr 2025 11:30:00 GMT">""",
            SAID,
        ),
        (
            '<meta name="date" content="soon"><meta itemprop="datePublished" content="1851">',
            Dates(created="1851-01-01T00:00:00"),
        ),
        ('<meta name="date"><meta content="2024-03-01"><meta name="generator" content="2024-03-01">', Dates()),
    ],
)
def test_web_pages_tell_when_they_were_published_and_changed(tmp_path: Path, head: str, dates: Dates) -> None:
    (tmp_path / "x.html").write_text(f"<html><head>{head}</head><body><p>Text.</p></body></html>")
    assert said(tmp_path / "x.html") == [dates]


@pytest.mark.parametrize("suffix", ["jpeg", "tiff", "webp", "png"])
def test_pictures_tell_when_they_were_taken_and_changed(tmp_path: Path, suffix: str) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.DateTime] = "2025:04:02 11:30:00"
    taken = tags.get_ifd(ExifTags.IFD.Exif)
    taken[ExifTags.Base.DateTimeOriginal], taken[ExifTags.Base.OffsetTimeOriginal] = "2024:03:01 12:00:00", "+02:00"
    path = tmp_path / f"x.{suffix}"
    Image.new("RGB", (64, 64)).save(path, exif=tags.tobytes())
    assert said(path) == [SAID]


@pytest.mark.parametrize("told", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2024:03:01", "\0"])
def test_a_camera_without_a_clock_tells_no_date(told: str) -> None:
    assert of_exif(told) == ""


def test_damaged_tags_of_a_picture_harm_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "x.jpeg", exif=b"Exif\0\0MM\0*" + b"\xff" * 40)
    assert said(tmp_path / "x.jpeg") == [Dates()]


def test_a_file_was_changed_when_its_file_system_says(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    os.utime(path, (0, CHANGED.timestamp()))
    source = Source(path)
    with source.fetch(source.list()[0]) as fetched:
        assert fetched.modified == SAID.modified


@pytest.mark.parametrize(
    ("fact", "modified"),
    [
        ({"LastModified": CHANGED}, SAID.modified),
        ({"updated": "2025-04-02T11:30:00.123Z"}, SAID.modified),
        ({"mtime": CHANGED.timestamp()}, SAID.modified),
        ({}, ""),
    ],
)
def test_a_remote_file_was_changed_when_its_store_says(
    monkeypatch: pytest.MonkeyPatch, fact: dict[str, object], modified: str
) -> None:
    fsspec.filesystem("memory").pipe("/dated/a.txt", b"a")
    plain = MemoryFileSystem.info
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path, **more: {**plain(self, path, **more), **fact})
    source = Source("memory://dated/a.txt")
    with source.fetch(source.list()[0]) as fetched:
        assert fetched.modified == modified
