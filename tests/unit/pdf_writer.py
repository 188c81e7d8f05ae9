"""PDF files written by hand, object by object, so that a test knows every coordinate in them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_LETTER = 0xC0
LETTER_WIDTH = 780  # thousandths of the size: nearly all that is drawn is narrower
_FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Helvetica-Oblique"}


@dataclass
class PdfPage:
    content: str = ""
    width: float = 612
    height: float = 792
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    form: str = ""
    """Content of the form XObject /Fm, drawn at ``form_matrix``."""
    form_matrix: tuple[float, ...] = (1, 0, 0, 1, 0, 0)
    image: tuple[int, int] | None = None
    """Pixels of the grey image XObject /Im."""


@dataclass
class _Writer:
    objects: list[bytes] = field(default_factory=list)

    def add(self, body: bytes) -> int:
        self.objects.append(body)
        return len(self.objects)

    def stream(self, head: str, data: bytes) -> int:
        return self.add(f"<<{head} /Length {len(data)}>>\nstream\n".encode() + data + b"\nendstream")

    def file(self, root: int) -> bytes:
        out, places = bytearray(b"%PDF-1.7\n"), []
        for number, body in enumerate(self.objects, start=1):
            places.append(len(out))
            out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
        start = len(out)
        out += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n".encode()
        out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
        out += f"trailer\n<</Size {len(places) + 1} /Root {root} 0 R>>\nstartxref\n{start}\n%%EOF\n".encode()
        return bytes(out)


def pdf_bytes(*pages: PdfPage, letters: str | list[str] = "", faces: Sequence[str] = ()) -> bytes:
    """Write a PDF; the font F4, all of one width, has ``letters`` from code `FIRST_LETTER` on.

    The fonts F5 and on have ``faces`` as their names; their letters are 600 wide, their stems said to be 151, as wide
    as those of bold type.
    """
    writer = _Writer()
    fonts = {
        name: writer.add(f"<</Type /Font /Subtype /Type1 /BaseFont /{base} /Encoding /WinAnsiEncoding>>".encode())
        for name, base in _FONTS.items()
    }
    if letters:
        unicode = writer.stream("", _to_unicode(letters).encode())
        widths = " ".join([str(LETTER_WIDTH)] * 224)
        fonts["F4"] = writer.add(
            "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding "
            f"/FirstChar 32 /LastChar 255 /Widths [{widths}] /ToUnicode {unicode} 0 R>>".encode()
        )
    fonts |= {f"F{number}": _face(writer, face) for number, face in enumerate(faces, start=5)}
    font = " ".join(f"/{name} {number} 0 R" for name, number in fonts.items())
    tree = len(writer.objects) + 1
    writer.add(b"")  # the page tree, filled in below
    kids = [_page(writer, page, font, tree) for page in pages]
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    writer.objects[tree - 1] = f"<</Type /Pages /Kids [{listed}] /Count {len(kids)}>>".encode()
    return writer.file(writer.add(f"<</Type /Catalog /Pages {tree} 0 R>>".encode()))


def _face(writer: _Writer, name: str) -> int:
    descriptor = writer.add(
        f"<</Type /FontDescriptor /FontName /{name} /Flags 4 /StemV 151 /ItalicAngle 0 /Ascent 750 /Descent -250 "
        "/CapHeight 700 /FontBBox [0 -250 600 750]>>".encode()
    )
    widths = " ".join(["600"] * 224)
    return writer.add(
        f"<</Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding /FirstChar 32 /LastChar 255 "
        f"/Widths [{widths}] /FontDescriptor {descriptor} 0 R>>".encode()
    )


def _to_unicode(letters: str | list[str]) -> str:
    codes = {code: chr(code) for code in range(0x20, 0x7F)}
    codes |= dict(enumerate(letters, start=FIRST_LETTER))
    rows = "\n".join(f"<{code:02X}> <{text.encode('utf-16-be').hex()}>" for code, text in codes.items())
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n{len(codes)} beginbfchar\n{rows}\nendbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    )


def _page(writer: _Writer, page: PdfPage, font: str, tree: int) -> int:
    drawn = ""
    if page.form:
        matrix = " ".join(map(str, page.form_matrix))
        head = f"/Type /XObject /Subtype /Form /BBox [-2000 -2000 2000 2000] /Matrix [{matrix}] /Resources <</Font <<{font}>>>>"
        drawn += f"/Fm {writer.stream(head, page.form.encode())} 0 R "
    if page.image:
        width, height = page.image
        head = (
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
            "/BitsPerComponent 8 /Filter /FlateDecode"
        )
        drawn += f"/Im {writer.stream(head, zlib.compress(bytes([128]) * (width * height)))} 0 R"
    content = writer.stream("", page.content.encode("cp1252"))
    crop = f"/CropBox [{' '.join(map(str, page.crop))}]" if page.crop else ""
    return writer.add(
        f"<</Type /Page /Parent {tree} 0 R /MediaBox [0 0 {page.width} {page.height}] {crop} /Rotate {page.rotate} "
        f"/Contents {content} 0 R /Resources <</Font <<{font}>> /XObject <<{drawn}>>>>>>".encode()
    )


def words(text: str, x: float, y: float, *, size: float = 12, font: str = "F1", extra: str = "") -> str:
    """Show text with its baseline at (x, y), origin bottom-left."""
    safe = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"q BT {extra} /{font} {size} Tf 1 0 0 1 {x} {y} Tm ({safe}) Tj ET Q\n"


def lines(texts: list[str], x: float, top: float, *, size: float = 12, leading: float = 14, font: str = "F1") -> str:
    """Show lines of text, the first with its baseline at ``top``."""
    return "".join(words(text, x, top - row * leading, size=size, font=font) for row, text in enumerate(texts))
