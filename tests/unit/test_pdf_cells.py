"""Cells set as text runs of their own without a blank between are words of their own; kerned words stay whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pypdfium2
import pytest

from nemo_retriever_dagster.extract.pdf_words import read_words

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 10.0


def _page(runs: list[tuple[float, float, str]]) -> bytes:
    """Return a page on which each run (x, y, text) is shown by an operator of its own, in Courier: 0.6 a letter."""
    shown = "".join(f"BT /F {_SIZE} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET\n" for x, y, text in runs).encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 6\n0000000000 65535 f \n%s" % table
    return body + head + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(body)


def _words(tmp_path: Path, runs: list[tuple[float, float, str]]) -> list[str]:
    file = tmp_path / "cells.pdf"
    file.write_bytes(_page(runs))
    with pypdfium2.PdfDocument(file) as document:
        page = document[0]
        return read_words(page, page.get_textpage()).words


@pytest.mark.parametrize(
    ("second", "back", "whole"),
    [
        pytest.param("Truthful", 1.0, False, id="a name that overlaps a little"),
        pytest.param("GSM8K", 4.0, False, id="capitals that overlap by far"),
        pytest.param("(10)", 4.0, False, id="a number that overlaps by far"),
        pytest.param("VIOR", 1.0, True, id="kerned capitals"),
        pytest.param("ferings", 1.0, True, id="a kerned letter"),
        pytest.param("Orca", 0.0, True, id="a run that goes on where the last one ends"),
    ],
)
def test_cells_that_overlap(tmp_path: Path, second: str, back: float, whole: bool) -> None:
    end = 20 + 0.6 * _SIZE * len("OfMMLU")
    expected = [f"OfMMLU{second}"] if whole else ["OfMMLU", second]
    assert _words(tmp_path, [(20, 100, "OfMMLU"), (end - back, 100, second)]) == expected


def test_three_cells_keep_their_boxes(tmp_path: Path) -> None:
    file = tmp_path / "cells.pdf"
    file.write_bytes(_page([(20, 100, "HellaSwag"), (70, 100, "Truthful"), (114, 100, "Winogrande")]))
    with pypdfium2.PdfDocument(file) as document:
        page = document[0]
        found = read_words(page, page.get_textpage())
    assert found.words == ["HellaSwag", "Truthful", "Winogrande"]
    assert found.boxes[:, 0].tolist() == pytest.approx([20, 70, 114], abs=1)
    assert found.boxes[:, 2].tolist() == pytest.approx([74, 118, 174], abs=1)
