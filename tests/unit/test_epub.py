"""Books: a format that is one file, one registry line and these tests."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    DataError,
    EmptyFileError,
    EncryptedFileError,
    LimitExceededError,
)
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.registry import extractor_for
from nemo_retriever_dagster.extract.sniff import detect_format
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
    '<item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="one" href="text/chapter%20one.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="art" href="art.png" media-type="image/png"/><item id="css" href="s.css" media-type="text/css"/>'
    '</manifest><spine><itemref idref="one"/><itemref idref="two"/></spine></package>'
)
CHAPTER = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body><h1>{0}</h1><p>Text of {0}.</p></body></html>'


def png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (90, 90), "plum").save(data, "PNG")
    return data.getvalue()


PARTS: dict[str, str | bytes] = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/text/chapter one.xhtml": CHAPTER.format("One"),
    "OPS/text/two.xhtml": CHAPTER.format("Two"),
    "OPS/art.png": png(),
}


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Path]:
    def build(**changes: str | bytes | None) -> Path:
        path = tmp_path / "x.epub"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**PARTS, **changes}.items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return build


def read(path: Path, limits: Limits | None = None, **options: bool) -> list[Page]:
    chosen = ExtractOptions(format="epub", **options)
    return list(extractor_for("epub").extract(path, chosen, Budget(limits=limits or Limits())))


def test_chapters_are_pages_in_the_order_of_the_spine(book):
    pages = read(book())
    assert detect_format(book(), "x.epub") == "epub"
    assert [(page.number, page.total) for page in pages] == [(1, 2), (2, 2), (0, 2)]
    assert [(e.text, e.heading) for e in pages[0].elements] == [("One", 1), ("Text of One.", 0)]
    assert pages[1].elements[0].text == "Two"
    (picture,) = pages[2].elements
    assert (picture.kind, picture.picture.width, picture.attributes) == (
        Kind.IMAGE,
        90,
        {"name": "art.png", "look_inside": True},
    )


def test_what_is_missing_is_a_warning(book):
    pages = read(book(**{"OPS/text/two.xhtml": None, "OPS/art.png": b"no picture"}))
    assert "two.xhtml is missing" in pages[1].elements[0].warnings[0]
    assert "art.png cannot be read" in pages[2].elements[0].warnings[0]


def chapter(body: str, head: str = "<title>t</title>", declaration: str = "") -> str:
    return f'{declaration}<html xmlns="http://www.w3.org/1999/xhtml"><head>{head}</head><body>{body}</body></html>'


@pytest.mark.parametrize("head", ["<title/>", '<title>t</title><script src="kobo.js"/>', "<style />", "<iframe/>"])
def test_tags_that_close_themselves_take_nothing_with_them(book, head):
    body = '<h1>A</h1><p>B<a id="p1"/> C <br/> D</p><h2/><p>E</p><!-- <p/> --><textarea/>F<svg><path d="/>"/></svg>'
    pages = read(book(**{"OPS/text/chapter one.xhtml": chapter(body, head)}))
    assert [(e.text, e.heading) for e in pages[0].elements] == [("A", 1), ("B C\nD", 0), ("E", 0), ("F", 0)]


def test_many_marks_of_pages_are_no_depth(book):
    body = "".join(f'<div class="pb" id="p{n}"/><p>{n}</p>' for n in range(600))
    pages = read(book(**{"OPS/text/two.xhtml": chapter(body)}))
    assert [e.text for e in pages[1].elements if not e.heading] == [str(n) for n in range(600)]


@pytest.mark.parametrize("encoding", ["iso-8859-2", "windows-1251", "utf-8", "utf-16"])
def test_a_chapter_is_in_the_encoding_that_its_first_line_names(book, encoding):
    text = "\u0413\u0434\u0435?" if encoding == "windows-1251" else "G\u0119\u015b"
    data = chapter(f"<p>{text}</p>", "<title/>", f'<?xml version="1.0" encoding="{encoding}"?>').encode(encoding)
    pages = read(book(**{"OPS/text/two.xhtml": data}))
    assert [e.text for e in pages[1].elements] == [text]


def test_every_element_has_the_page_of_its_chapter(book):
    pages = read(book(**{"OPS/text/two.xhtml": chapter("<h1>A</h1><table><tr><th>b</th><td>c</td></tr></table>")}))
    assert [[e.page for e in page.elements] for page in pages] == [[1, 1], [2, 2], [0]]


@pytest.mark.parametrize(
    "first", ['<img src="../art.png" alt="Plums"/>', '<svg><image alt="Plums" xlink:href="../art.png"/></svg>']
)
def test_a_picture_stands_where_it_is_first_shown(book, first):
    body = f'<p>See {first}</p><p>again <img src="../art%2Epng" alt="plums"/></p><p>end</p>'
    pages = read(book(**{"OPS/text/two.xhtml": chapter(f"<h1>H</h1>{body}")}))
    assert [(e.kind, e.text, e.alt_text) for e in pages[1].elements[1:]] == [
        (Kind.TEXT, "See", ""),
        (Kind.IMAGE, "", "Plums"),
        (Kind.TEXT, "again plums", ""),
        (Kind.TEXT, "end", ""),
    ]
    assert pages[1].elements[2].attributes == {"name": "art.png", "look_inside": True}
    assert pages[2].elements == ()
    plain = read(book(**{"OPS/text/two.xhtml": chapter(body)}), images=False, tables=False, charts=False)
    assert [e.text for e in plain[1].elements[1:]] == ["See Plums", "again plums", "end"]


def titled(book: str) -> str:
    metadata = f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{book}</dc:title></metadata>'
    return PACKAGE.replace("<manifest>", f"{metadata}<manifest>")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("The Book", "<p>a</p>"), ("The Book", "<p>b</p>"), [[("The Book", 1), ("a", 0)], [("b", 0)]]),
        (("x", "<h2>the book</h2>"), ("Two", "<h3>b</h3>"), [[("the book", 2)], [("b", 3)]]),
        (("x", "<h1>a</h1>"), ("Two", "<p>b</p>"), [[("The Book", 1), ("a", 1)], [("Two", 1), ("b", 0)]]),
    ],
)
def test_a_title_is_said_once_and_where_a_heading_lacks(book, first, second, expected):
    names = ("OPS/text/chapter one.xhtml", "OPS/text/two.xhtml")
    made = {
        name: chapter(body, f"<title>{title}</title>")
        for name, (title, body) in zip(names, (first, second), strict=True)
    }
    pages = read(book(**made, **{"OPS/book.opf": titled("The Book")}))
    assert [[(e.text, e.heading) for e in page.elements] for page in pages[:2]] == expected


def test_switches(book):
    assert [page.elements for page in read(book(), text=False, images=False, tables=False, charts=False)] == [
        (),
        (),
        (),
    ]


def encryption(algorithm: str) -> str:
    return (
        f'<encryption xmlns="x"><EncryptedData><EncryptionMethod Algorithm="{algorithm}"/></EncryptedData></encryption>'
    )


def test_rights_management_is_refused_and_hidden_fonts_are_not(book):
    name = "META-INF/encryption.xml"
    assert len(read(book(**{name: encryption("http://www.idpf.org/2008/embedding")}))) == 3
    with pytest.raises(EncryptedFileError):
        read(book(**{name: encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}))


def test_unfit_files_are_one_typed_error(book, tmp_path):
    with pytest.raises(CorruptFileError, match="no book"):
        read(book(**{"META-INF/container.xml": None}))
    with pytest.raises(CorruptFileError, match="package file"):
        read(book(**{"OPS/book.opf": None}))
    with pytest.raises(CorruptFileError, match="no chapter"):
        read(book(**{"OPS/book.opf": "<package/>"}))
    with pytest.raises(LimitExceededError):
        read(book(**{"OPS/text/two.xhtml": "<p>" + " " * 200_000}), Limits(member_bytes=100_000))
    empty = tmp_path / "empty.epub"
    empty.touch()
    with pytest.raises(EmptyFileError):
        read(empty)


def test_every_cut_is_one_typed_error(book):
    path = book()
    data = path.read_bytes()
    for place in range(1, len(data) - 25, len(data) // 40):
        path.write_bytes(data[:place])
        with pytest.raises(DataError):
            read(path)
