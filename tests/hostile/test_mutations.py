"""Damaged copies of good files: each gives pages or a typed error about the file, and the pool reads on."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.errors import DataError
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.sniff import detect_format
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = [
    *(
        "fake-memo.pdf",
        "table_test.pdf",
        "docx-tables.docx",
        "fake-power-point.pptx",
        "chart.png",
        "chi_sim_image.jpeg",
    ),
    *(
        "multimodal_test.tiff",
        "bmp_24.bmp",
        "multimodal_test.svg",
        "silent_1s.wav",
        "fake-html.html",
        "eng_spa_mult.md",
    ),
    *("fake-text-utf-16.txt", "test.json"),
]
FEW, MANY = 6, 10_000
LIMITS = Limits(idle_seconds=20)


def mutant(data: bytes, seed: str) -> bytes:
    """Return a copy with a few bytes changed, a piece cut out, doubled or blanked, or its end cut off."""
    dice = random.Random(seed)
    copy = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        start = dice.randrange(len(copy) + 1)
        end = min(len(copy), start + dice.randint(1, 64))
        match dice.randrange(6):
            case 0 | 1 | 2:
                copy[start : start + 1] = bytes([dice.randrange(256)])
            case 3:
                del copy[start:end]
            case 4:
                copy[start:start] = copy[start:end]
            case 5:
                copy[start:end] = bytes(end - start)
    return bytes(copy[: dice.randrange(len(copy) + 1)] if dice.random() < 0.1 else copy)


def outcome(pool: ParserPool, path: Path) -> str:
    try:
        kind = detect_format(path, path.name)
        return f"{sum(1 for _ in pool.pages(path, ExtractOptions(format=kind)))} pages"
    except DataError as error:
        return type(error).__name__
    finally:
        path.unlink()


def sweep(sample: Path, folder: Path, copies: int) -> dict[str, int]:
    data = sample.read_bytes()

    def one(number: int) -> str:
        path = folder / f"{number}{sample.suffix}"
        path.write_bytes(mutant(data, f"{sample.name} {number}"))
        return outcome(pool, path)

    tally: dict[str, int] = {}
    with ParserPool(2, LIMITS) as pool, ThreadPoolExecutor(2) as threads:
        for result in threads.map(one, range(copies)):
            tally[result] = tally.get(result, 0) + 1
        good = folder / f"good{sample.suffix}"
        good.write_bytes(data)
        assert outcome(pool, good).endswith("pages")
    return tally


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_copies(shared, tmp_path, name):
    tally = sweep(shared / "corpora/dev/files" / name, tmp_path, FEW)
    assert sum(tally.values()) == FEW


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SAMPLES)
def test_ten_thousand_damaged_copies(shared, tmp_path, name):
    tally = sweep(shared / "corpora/dev/files" / name, tmp_path, MANY)
    print(name, dict(sorted(tally.items(), key=lambda item: -item[1])))
    assert sum(tally.values()) == MANY


@pytest.mark.parametrize(
    "name",
    [
        *("clusterfuzz-testcase-minimized-POIXWPFFuzzer-4791943399604224.docx", "truncated.docx", "truncated.pptx"),
        *("clusterfuzz-testcase-minimized-POIXSLFFuzzer-5463285576892416.pptx", "zero.pdf", "zero.docx", "invalid.pdf"),
        *("testWORD_truncated.docx", "truncated_5pct.pdf", "bug53475-password-is-pass.docx", "zip_bomb.docx"),
    ],
)
def test_bad_files_of_the_corpus_are_typed_errors(shared, tmp_path, name):
    path = tmp_path / name
    path.write_bytes((shared / "corpora/dev/files" / name).read_bytes())
    with ParserPool(1) as pool:
        assert outcome(pool, path).endswith("Error")
