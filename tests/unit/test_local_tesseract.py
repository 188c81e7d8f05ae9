"""Which way up Tesseract is believed to have seen a page; a program that answers as it does stands in its place."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from nemo_retriever_dagster.engines.local.tesseract import TesseractOcr
from nemo_retriever_dagster.model import Picture, Word

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """#!{python}
import pathlib, struct, sys
if "--list-langs" in sys.argv:
    print("List of available languages (1):\\neng")
elif "--psm" in sys.argv:
    print("Rotate: 90")
else:
    width, height = struct.unpack(">II", sys.stdin.buffer.read()[16:24])
    confidence, word = ({turned}, "turned") if height > width else (50, "lying")
    print("level page_num block_num par_num line_num word_num left top width height conf text".replace(" ", "\\t"))
    print("5 1 1 1 1 1 10 20 30 10".replace(" ", "\\t"), confidence, word, sep="\\t")
"""


def read(folder: Path, monkeypatch: pytest.MonkeyPatch, turned: int) -> Word:
    program = folder / "tesseract"
    program.write_text(PROGRAM.format(python=sys.executable, turned=turned))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    out = io.BytesIO()
    Image.new("L", (200, 100), 255).save(out, "PNG")
    (words,) = asyncio.run(TesseractOcr().read([Picture(data=out.getvalue(), width=200, height=100)]))
    (word,) = words
    return word


def test_a_page_that_reads_far_better_when_turned_is_turned(tmp_path, monkeypatch):
    word = read(tmp_path, monkeypatch, 95)
    assert word.text == "turned"
    assert word.box == (20, 60, 30, 90)  # 10, 20, 40, 30 on the page after three quarter turns to the left


@pytest.mark.parametrize("confidence", [40, 51, 65])
def test_a_page_that_reads_hardly_better_when_turned_lies_as_it_did(tmp_path, monkeypatch, confidence):
    assert read(tmp_path, monkeypatch, confidence).text == "lying"
