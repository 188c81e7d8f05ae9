"""Memory over many documents and over one long document: neither side grows."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from nemo_retriever_dagster.extract import registry
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool

HERE = Path(__file__).parent
MEGABYTE = 2**20


def resident(pid: int | str = "self") -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def growth(pool: ParserPool, files: list[Path], documents: int) -> float:
    """Return the growth of this process in bytes a document, after a warm-up as long as the measured part."""
    sizes = []
    for _ in range(2):
        for number in range(documents):
            path = files[number % len(files)]
            for _page in pool.pages(path, ExtractOptions(format=path.suffix[1:])):
                pass
        gc.collect()
        sizes.append(resident())
    return (sizes[1] - sizes[0]) / documents


def small_files(folder: Path) -> list[Path]:
    samples = {
        "a.txt": "one paragraph\n\nanother\n" * 40,
        "a.html": "<h1>t</h1><table><tr><th>a<th>b<tr><td>1<td>2</table>" * 10,
        "a.csv": "a,b\n" + "1,2\n" * 100,
    }
    for name, text in samples.items():
        (folder / name).write_text(text)
    return [folder / name for name in samples]


def test_a_few_hundred_documents_leave_nothing_behind(tmp_path):
    with ParserPool(1, recycle_after=25) as pool:
        assert growth(pool, small_files(tmp_path), 150) < 0.02 * MEGABYTE


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_thousand_documents_cost_less_than_a_megabyte_a_thousand(tmp_path):
    with ParserPool(2) as pool:
        slope = growth(pool, small_files(tmp_path), 5_000)
    print(f"{1000 * slope / MEGABYTE:.3f} MB a thousand documents")
    assert 1_000 * slope <= MEGABYTE


def test_a_long_document_is_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setitem(registry.EXTRACTORS, "faulty", "faulty_extractors:Faulty")
    document = tmp_path / "long.faulty"
    document.write_text(f"progress {tmp_path / 'progress'}")  # 500 pages of 100 KB
    with ParserPool(1) as pool:
        pages = pool.pages(document, ExtractOptions(format="faulty"))
        next(pages)
        parser = pool._places[0].parser
        assert parser is not None
        before = resident(), resident(parser.process.pid)
        for page in pages:
            if page.number == 450:
                assert resident() - before[0] < 20 * MEGABYTE
                assert resident(parser.process.pid) - before[1] < 20 * MEGABYTE
