"""``render_as_pdf``: LibreOffice where it is installed, and clear words where it is not, or makes no end."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path

import docx
import pptx
import pytest
from PIL import Image

from nemo_retriever_dagster.errors import CorruptFileError, EmptyFileError, MissingDependencyError, ParserTimeoutError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.docx import DocxExtractor
from nemo_retriever_dagster.extract.pptx import PptxExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

needs_office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    document = docx.Document()
    document.add_heading("A rendered letter", 1)
    document.add_page_break()
    document.add_paragraph("On the second page.")
    path = tmp_path / "letter.docx"
    document.save(path)
    return path


def rendered(path: Path, extractor: DocxExtractor | PptxExtractor, **limits: float) -> list:
    options = ExtractOptions(format=path.suffix[1:], method="render_as_pdf")
    return list(extractor.extract(path, options, Budget(limits=Limits(**limits))))


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program named soffice first on PATH."""
    program = folder / "bin" / "soffice"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@needs_office
def test_word_file_gets_page_numbers(letter):
    pages = rendered(letter, DocxExtractor())
    text = {page.number: " ".join(e.text for e in page.elements if e.kind is Kind.TEXT) for page in pages}
    assert "A rendered letter" in text[1]
    assert "On the second page." in text[2]
    assert {page.dates.created for page in pages} == {"2013-12-23T23:15:00"}  # python-docx's own template's, not now


@needs_office
def test_slides_become_pages(tmp_path):
    show = pptx.Presentation()
    for name in ("Alpha", "Beta"):
        show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = name
    path = tmp_path / "show.pptx"
    show.save(path)
    pages = rendered(path, PptxExtractor())
    assert [page.number for page in pages] == [1, 2]
    assert "Beta" in " ".join(element.text for element in pages[1].elements)


@needs_office
def test_lines_are_as_high_as_their_type_whatever_their_letters(tmp_path):
    """The fonts of LibreOffice's files name no height, so that PDFium's boxes end where the letters do."""
    document = docx.Document()
    document.styles["Normal"].font.name = "Liberation Serif"
    for text in ("acme ocean", "happy puppy"):
        document.add_paragraph(text).paragraph_format.space_after = docx.shared.Pt(30)
    path = tmp_path / "lines.docx"
    document.save(path)
    (page,) = rendered(path, DocxExtractor())
    flat, deep = (element.box for element in page.elements)
    assert flat.height == pytest.approx(deep.height, abs=0.5)


@needs_office
def test_linked_files_are_not_drawn(letter, tmp_path):
    """A picture linked by its path would carry a local file into the index."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (300, 300), (255, 0, 0)).save(secret)
    document = docx.Document()
    document.add_picture(str(secret))
    path = tmp_path / "linked.docx"
    document.save(path)
    linked = tmp_path / "outside.docx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(linked, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "word/_rels/document.xml.rels":
                data = data.replace(
                    b'Target="media/image1.png"', f'Target="{secret.as_uri()}" TargetMode="External"'.encode()
                )
            if name == "word/document.xml":
                data = data.replace(b"r:embed=", b"r:link=")
            if not name.startswith("word/media"):
                new.writestr(name, data)
    assert not any(element.picture for page in rendered(linked, DocxExtractor()) for element in page.elements)
    assert any(element.picture for page in rendered(path, DocxExtractor()) for element in page.elements)


def test_without_libreoffice_the_error_says_how_to_install_it(letter, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="apt-get install libreoffice"):
        rendered(letter, DocxExtractor())


def test_a_conversion_without_end_is_killed_with_its_children(letter, tmp_path, monkeypatch):
    stand_in(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; wait", monkeypatch)
    with pytest.raises(ParserTimeoutError, match="LibreOffice"):
        rendered(letter, DocxExtractor(), idle_seconds=0.5)
    child = (tmp_path / "child").read_text().strip()
    with pytest.raises(ProcessLookupError):
        _signal(int(child))


def _signal(pid: int) -> None:
    os.kill(pid, 0)
    if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":  # dead, and not yet collected by init
        raise ProcessLookupError


def test_a_failed_conversion_repeats_what_libreoffice_said(letter, tmp_path, monkeypatch):
    stand_in(tmp_path, "echo source file could not be loaded", monkeypatch)
    with pytest.raises(CorruptFileError, match="could not be loaded"):
        rendered(letter, DocxExtractor())


def test_files_are_judged_before_libreoffice_sees_them(tmp_path, monkeypatch):
    stand_in(tmp_path, f"touch {tmp_path}/started", monkeypatch)
    path = tmp_path / "empty.docx"
    path.touch()
    with pytest.raises(EmptyFileError):
        rendered(path, DocxExtractor())
    path.write_bytes(b"no package")
    with pytest.raises(CorruptFileError):
        rendered(path, DocxExtractor())
    assert not (tmp_path / "started").exists()
