"""Word files: what is in them comes out, in order, with its meaning."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

import docx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from PIL import Image

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    DataError,
    EmptyFileError,
    EncryptedFileError,
    LimitExceededError,
)
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.docx import DocxExtractor
from nemo_retriever_dagster.extract.docx_styles import count_shown
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read(path: Path, **options: object) -> list[Element]:
    chosen = ExtractOptions(format="docx", **options)  # type: ignore[arg-type]
    pages = list(DocxExtractor().extract(path, chosen, Budget(limits=Limits())))
    assert [page.number for page in pages] == [0]
    return list(pages[0].elements)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Callable[[docx.document.Document], None]], Path]:
    def build(fill: Callable[[docx.document.Document], None]) -> Path:
        document = docx.Document()
        fill(document)
        path = tmp_path / "made.docx"
        document.save(path)
        return path

    return build


def png(size: tuple[int, int] = (120, 80)) -> io.BytesIO:
    data = io.BytesIO()
    Image.new("RGB", size, "navy").save(data, "PNG")
    data.seek(0)
    return data


def rewrite(path: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    """Return a copy of a package with some of its parts changed."""
    target = path.with_name("changed.docx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, bytes)(old.read(name)))
    return target


def texts(elements: list[Element]) -> list[str]:
    return [element.text for element in elements if element.kind is Kind.TEXT]


def test_headings_have_their_level_and_stand_in_order(make):
    def fill(document):
        document.add_heading("The report", 0)
        document.add_paragraph("Opening words.")
        document.add_heading("First part", 1)
        document.add_heading("A detail", 3)

    found = read(make(fill))
    assert [(e.text, e.heading) for e in found] == [
        ("The report", 1),
        ("Opening words.", 0),
        ("First part", 1),
        ("A detail", 3),
    ]


def test_lists_carry_their_markers(make):
    def fill(document):
        for style in ("List Bullet", "List Bullet 2", "List Number", "List Number"):
            document.add_paragraph(f"in {style}", style=style)

    assert texts(read(make(fill)))[0] == "- in List Bullet"
    assert texts(read(make(fill)))[2:] == ["1. in List Number", "2. in List Number"]


@pytest.mark.parametrize(
    ("count", "form", "shown"),
    [
        (3, "lowerLetter", "c"),
        (28, "upperLetter", "BB"),
        (4, "upperRoman", "IV"),
        (49, "lowerRoman", "xlix"),
        (7, "decimalZero", "07"),
        (7, "decimal", "7"),
        (7, "none", ""),
    ],
)
def test_list_counters_are_shown_in_their_form(count, form, shown):
    assert count_shown(count, form) == shown


def test_table_spans_nesting_and_header(make):
    def fill(document):
        table = document.add_table(rows=3, cols=3)
        table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
        table.cell(1, 2).merge(table.cell(2, 2)).text = "tall"
        table.cell(0, 2).text = "head"
        inner = table.cell(1, 0).add_table(rows=1, cols=2)
        inner.cell(0, 0).text, inner.cell(0, 1).text = "in", "side"

    (element,) = read(make(fill))
    assert element.kind is Kind.TABLE
    spans = {cell.text: (cell.row, cell.column, cell.row_span, cell.column_span) for cell in element.table.cells}
    assert spans["wide"] == (0, 0, 1, 2)
    assert spans["tall"] == (1, 2, 2, 1)
    assert spans["in, side"][:2] == (1, 0)
    assert element.table.shape == (3, 3)
    assert '<td rowspan="2">tall</td>' in read(make(fill), table_format="html")[0].text


def test_a_table_that_is_not_wanted_stays_as_text(make):
    def fill(document):
        table = document.add_table(rows=2, cols=2)
        for index, cell in enumerate(table._cells):
            cell.text = f"cell {index}"

    (element,) = read(make(fill), tables=False)
    assert element.kind is Kind.TEXT
    assert element.text == "cell 0\tcell 1\ncell 2\tcell 3"


def test_spans_make_no_vast_grid(make):
    def fill(document):
        for row in document.add_table(rows=1200, cols=2).rows:
            row._tr.tc_lst[0].grid_span = 900
        row._tr.tc_lst[1].append(parse_xml(f"<w:p {nsdecls('w')}><w:r><w:t>x</w:t></w:r></w:p>"))

    with pytest.raises(LimitExceededError, match="xml_nodes"):
        read(make(fill))


def test_a_single_cell_is_a_frame_around_text(make):
    def fill(document):
        cell = document.add_table(rows=1, cols=1).cell(0, 0)
        cell.text = "framed"
        cell.add_paragraph("twice")

    assert texts(read(make(fill))) == ["framed", "twice"]


def test_headers_and_footers_stand_once_and_are_marked(make):
    def fill(document):
        document.sections[0].header.paragraphs[0].text = "ACME confidential"
        document.sections[0].footer.paragraphs[0].text = "the end"
        document.add_paragraph("body")
        document.add_section().header.is_linked_to_previous = False
        document.sections[1].header.paragraphs[0].text = "ACME confidential"

    found = read(make(fill))
    assert texts(found) == ["ACME confidential", "body", "the end"]
    assert [e.attributes.get("part") for e in found] == ["header", None, "footer"]


def test_comment_follows_its_paragraph_and_names_its_author(make):
    def fill(document):
        run = document.add_paragraph().add_run("Claim.")
        document.add_comment(run, text="Says who?", author="Ann", initials="A")
        document.add_paragraph("Next.")

    found = read(make(fill))
    assert texts(found) == ["Claim.", "Comment (Ann): Says who?", "Next."]
    assert found[1].attributes == {"part": "comment", "author": "Ann"}


def test_tracked_changes_breaks_hidden_text_and_field_codes(make):
    def fill(document):
        paragraph = document.add_paragraph("kept")
        deleted = parse_xml(f"<w:del {nsdecls('w')}><w:r><w:delText>gone</w:delText></w:r></w:del>")
        inserted = parse_xml(f"<w:ins {nsdecls('w')}><w:r><w:t>, added</w:t></w:r></w:ins>")
        code = parse_xml(f"<w:r {nsdecls('w')}><w:instrText>PAGE</w:instrText></w:r>")
        for node in (deleted, inserted, code):
            paragraph._p.append(node)
        run = paragraph.add_run("secret")
        run.font.hidden = True
        paragraph.add_run().add_break(WD_BREAK.LINE)
        paragraph.add_run("line two")

    found = read(make(fill))
    assert texts(found) == ["kept, added\nline two", "secret"]
    assert found[1].attributes == {"hidden": True}


def test_text_box_is_read_once_although_word_writes_it_twice(make):
    box = "<w:txbxContent><w:p><w:r><w:t>boxed words</w:t></w:r></w:p></w:txbxContent>"
    shapes = (
        f"<w:r {nsdecls('w')} xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006' "
        "xmlns:wps='http://schemas.microsoft.com/office/word/2010/wordprocessingShape' xmlns:v='urn:schemas-microsoft-com:vml'>"
        f"<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    found = read(make(lambda document: document.add_paragraph("before")._p.append(parse_xml(shapes))))
    assert texts(found) == ["before", "boxed words"]
    assert found[1].attributes == {"part": "textbox"}


def test_formula_is_readable_in_its_sentence(make):
    formula = (
        "<m:oMath xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'><m:r><m:t>E=m</m:t></m:r>"
        "<m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>"
    )
    found = read(make(lambda document: document.add_paragraph("So")._p.append(parse_xml(formula))))
    assert texts(found) == ["So E=mc^{2}"]


def test_picture_has_bytes_alt_text_and_may_be_looked_into(make):
    def fill(document):
        shape = document.add_picture(png())
        shape._inline.docPr.set("descr", "a blue field")

    (element,) = read(make(fill))
    assert (element.kind, element.alt_text, element.attributes["look_inside"]) == (Kind.IMAGE, "a blue field", True)
    assert (element.picture.width, element.picture.height) == (120, 80)
    assert read(make(fill), images=False, tables=False, charts=False) == []
    assert len(read(make(fill), images=False)) == 1, "a chart may still be found inside"


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ('Target="http://canary.invalid/x.png" TargetMode="External"', "was not fetched"),
        ('Target="media/gone.png"', "no part"),
        ('Target="media/drawing.emf"', "render_as_pdf"),
    ],
)
def test_picture_that_cannot_be_had_is_a_warning(make, change, warning):
    path = make(lambda document: document.add_picture(png()))

    def redirect(data: bytes) -> bytes:
        return re.sub(rb'Target="media/image1.png"', change.encode(), data)

    (element,) = read(rewrite(path, {"word/_rels/document.xml.rels": redirect}))
    assert element.kind is Kind.IMAGE
    assert element.picture is None
    assert warning in element.warnings[0]


def test_strict_variant_reads_the_same(make):
    path = make(lambda document: document.add_heading("Strictly", 1))

    def strict(data: bytes) -> bytes:
        return re.sub(
            rb"http://schemas\.openxmlformats\.org/(\w+)/2006/(?!relationships)",
            rb"http://purl.oclc.org/ooxml/\1/",
            data,
        )

    parts = ("word/document.xml", "word/styles.xml", "_rels/.rels", "word/_rels/document.xml.rels")
    changed = rewrite(path, dict.fromkeys(parts, strict))
    assert b"purl.oclc.org" in zipfile.ZipFile(changed).read("word/document.xml")
    assert [(e.text, e.heading) for e in read(changed)] == [("Strictly", 1)]


def test_damage_beside_the_text_is_a_warning_not_a_loss(make):
    path = make(lambda document: document.add_paragraph("still here"))
    found = read(rewrite(path, {"word/styles.xml": lambda data: data[:100]}))
    assert texts(found)[0] == "still here"
    assert "word/styles.xml cannot be read" in found[-1].warnings[0]


def test_external_entity_is_refused_and_its_text_not_dropped_silently(make, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("CANARY")
    path = make(lambda document: document.add_paragraph("hello"))

    def poison(data: bytes) -> bytes:
        doctype = f'<!DOCTYPE w [<!ENTITY x SYSTEM "{canary.as_uri()}">]>'.encode()
        return data.replace(b"<w:document", doctype + b"<w:document", 1).replace(b"hello", b"&x;hello")

    with pytest.raises(CorruptFileError):
        read(rewrite(path, {"word/document.xml": poison}))


def test_files_that_are_no_word_document(tmp_path):
    def refusal(data: bytes) -> DataError:
        path = tmp_path / "x.docx"
        path.write_bytes(data)
        with pytest.raises(DataError) as caught:
            read(path)
        return caught.value

    assert isinstance(refusal(b""), EmptyFileError)
    assert "PDF" in str(refusal(b"%PDF-1.7\n"))
    assert "zip" in str(refusal(b"hello"))
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert isinstance(refusal(ole + "EncryptedPackage".encode("utf-16-le")), EncryptedFileError)
    assert "old binary" in str(refusal(ole))


def test_presentation_under_a_word_name_is_refused(make):
    path = make(lambda document: document.add_paragraph("x"))

    def other(data: bytes) -> bytes:
        return data.replace(b"w:document", b"w:glossaryDocument")

    with pytest.raises(CorruptFileError, match="another type"):
        read(rewrite(path, {"word/document.xml": other}))


def test_every_cut_of_a_good_file_is_text_or_one_typed_error(make):
    data = make(lambda document: document.add_paragraph("steady")).read_bytes()
    path = make(lambda document: document.add_paragraph("x")).with_name("cut.docx")
    for part in range(0, len(data), len(data) // 40):
        path.write_bytes(data[:part])
        with pytest.raises(DataError):
            read(path)


def test_note_that_contains_itself_is_read_once(make):
    notes = (
        f"<w:footnotes {nsdecls('w')}><w:footnote w:id='5'><w:p><w:r><w:footnoteReference w:id='5'/>"
        "<w:t>turtles</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )

    def fill(document):
        reference = OxmlElement("w:footnoteReference")
        reference.set(qn("w:id"), "5")
        document.add_paragraph("all the way").runs[0]._r.append(reference)

    path = make(fill)
    link = b'<Relationship Id="n1" Type="http://x/relationships/footnotes" Target="footnotes.xml"/></Relationships>'
    changed = rewrite(path, {"word/_rels/document.xml.rels": lambda d: d.replace(b"</Relationships>", link)})
    with zipfile.ZipFile(changed, "a") as package:
        package.writestr("word/footnotes.xml", notes)
    assert texts(read(changed)) == ["all the way", "Footnote: turtles"]
