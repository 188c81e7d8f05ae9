"""A long document is read by all parser processes that are free, and nobody can tell from its pages."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pypdfium2
import pytest

from nemo_retriever_dagster.errors import (
    EncryptedFileError,
    LimitExceededError,
    MisuseError,
    ParserCrashError,
    ParserTimeoutError,
)
from nemo_retriever_dagster.extract import reading, registry, wire
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nemo_retriever_dagster.extract.contract import Page

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "assets" / "sample"
LONG = ExtractOptions(format="long")

write_file = "Callable[[str], Path]"


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setitem(registry.EXTRACTORS, "long", "faulty_extractors:Long")
    monkeypatch.setattr(registry, "IN_PARTS", registry.IN_PARTS | {"faulty_extractors:Long"})


@pytest.fixture
def long(written: Callable[[str, str], Path]) -> Callable[[str], Path]:
    return partial(written, "long")


def told(pages: Iterable[Page]) -> tuple[list[int], list[int]]:
    """Return the numbers of the pages and the processes that read them."""
    rows = [element.text.split() for page in pages for element in page.elements]
    return [int(row[0]) for row in rows], [int(row[2]) for row in rows]


@pytest.mark.parametrize("total", [1, 3, 4, 5, 8, 50])
def test_every_page_comes_once_and_in_order(long, total):
    with ParserPool(3, pages_per_part=4) as pool:
        for _ in range(2):
            numbers, _ = told(pool.pages(long(str(total)), LONG))
            assert numbers == list(range(1, total + 1))


def test_all_processes_read_a_long_document_and_one_a_short(long):
    with ParserPool(2, pages_per_part=10) as pool:
        _, short = told(pool.pages(long("10"), LONG))
        _, readers = told(pool.pages(long("300"), LONG))
        assert len(set(short)) == 1
        assert {readers.count(reader) >= 50 for reader in set(readers)} == {True}
        assert len(set(readers)) == 2
        assert all(len(set(readers[start : start + 10])) == 1 for start in range(0, 300, 10))
        assert set(told(pool.pages(long("300"), LONG))[1]) == set(readers)  # none was ended


def test_one_page_of_a_long_document_is_there_before_the_next_is_read(long):
    with ParserPool(2, pages_per_part=10) as pool:
        pages = pool.pages(long("300 sleeper 300"), LONG)
        assert next(pages).number == 1
        pages.close()


@pytest.mark.parametrize(("workers", "options"), [(1, {}), (2, {"pages": (5, 24)})])
def test_a_document_is_read_whole_where_nobody_can_help_or_pages_were_chosen(long, workers, options):
    wanted = ExtractOptions(format="long", **options)
    with ParserPool(workers, pages_per_part=4) as pool:
        numbers, readers = told(pool.pages(long("30"), wanted))
    first, last = options.get("pages", (1, 30))
    assert numbers == list(range(first, last + 1))
    assert len(set(readers)) == 1


def test_long_documents_read_at_once_do_not_wait_for_each_other(long):
    with ParserPool(2, pages_per_part=3) as pool, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda path: told(pool.pages(path, LONG))[0], [long("40") for _ in range(12)]))
    assert found == [list(range(1, 41))] * 12


@pytest.mark.parametrize("at", [2, 7, 11, 40])
@pytest.mark.parametrize(
    ("fault", "error"),
    [("segfault", ParserCrashError), ("typed", EncryptedFileError), ("sleeper", ParserTimeoutError)],
)
def test_a_fault_fails_the_document_after_the_pages_before_it(long, fault, error, at):
    found: list[int] = []
    with ParserPool(3, Limits(idle_seconds=1), pages_per_part=4) as pool:
        with pytest.raises(error):
            found.extend(page.number for page in pool.pages(long(f"40 {fault} {at}"), LONG))
        assert found == list(range(1, at))
        assert told(pool.pages(long("40"), LONG))[0] == list(range(1, 41))


@pytest.mark.parametrize("limits", [Limits(pages=30), Limits(elements=30), Limits(text_chars=200)])
def test_limits_hold_for_all_parts_together(long, limits):
    with ParserPool(2, limits, pages_per_part=4) as pool, pytest.raises(LimitExceededError, match="the limit is"):
        told(pool.pages(long("40"), LONG))


@pytest.mark.parametrize("alone", [False, True])
def test_the_time_of_a_document_is_that_of_all_its_parts(long, alone):
    with ParserPool(2, pages_per_part=40) as pool:
        told(pool.pages(long("80"), LONG))  # processes are up
        other = pool.take_free() if alone else None
        pool.limits = Limits(total_seconds=0.5)  # a page takes 2 ms, a part less than a fifth of it
        with pytest.raises(ParserTimeoutError, match=r"after 0\.5 seconds \(total_seconds\)"):
            told(pool.pages(long("4000"), LONG))
        if other:
            other.give_back()


def test_giving_a_document_up_ends_all_that_read_it_and_no_other(long):
    with ParserPool(3, Limits(idle_seconds=600), pages_per_part=4) as pool:
        other = pool.pages(long("4"), LONG)
        next(other)
        pages = pool.pages(long("400 sleeper 6"), LONG)
        started = [next(pages) for _ in range(4)]
        with ThreadPoolExecutor(2) as threads:
            waiting = threads.submit(list, pages)
            time.sleep(0.2)
            threads.submit(pages.close).result(60)  # the sleeper sleeps longer
            with contextlib.suppress(MisuseError):  # it was between two pages, or waited for one
                waiting.result(60)
        assert [page.number for page in (*started, *other)] == [1, 2, 3, 4, 2, 3, 4]
        assert not any(thread.name == "nemo-retriever-part" for thread in threading.enumerate())
        found = [told(pool.pages(long("40"), LONG))[0] for _ in range(3)]
        assert found == [list(range(1, 41))] * 3


def test_closing_the_pool_ends_all_parts(long):
    pool = ParserPool(2, pages_per_part=4)
    pages = pool.pages(long("400 sleeper 6"), LONG)
    for _ in range(4):
        next(pages)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(list, pages)
        time.sleep(0.2)
        pool.close()
        with pytest.raises(MisuseError, match="ParserPool is closed"):
            waiting.result()


def test_little_is_read_ahead_where_pages_are_heavy(long, monkeypatch):
    monkeypatch.setattr(reading, "_AHEAD_BYTES", 4 * 15)  # of 1 + some 11 characters a page, 4 pages a part: one part
    most = 0
    with ParserPool(3, pages_per_part=4) as pool:
        for _ in pool.pages(long("60"), LONG):
            most = max(most, sum(thread.name == "nemo-retriever-part" for thread in threading.enumerate()))
    assert most == 1


def test_what_was_given_up_while_its_process_started_ends_and_what_was_given_back_goes_on(long):
    with ParserPool(1) as pool:
        loan, patience = pool.take_free(), wire.Patience(idle=60, total=60)
        assert pool.take_free() is None
        loan.end()
        with pytest.raises(ParserCrashError, match="SIGKILL"):
            list(loan.read(pool.job(long("40"), LONG), patience))
        loan.give_back()
        pages = pool.pages(long("40"), LONG)
        next(pages)
        loan.end()
        loan.give_back()
        assert pool.take_free() is None
        assert len(list(pages)) == 39


@pytest.mark.parametrize("images", [False, True])
def test_the_pages_of_a_pdf_are_those_of_the_whole(tmp_path, images):
    with pypdfium2.PdfDocument.new() as joined:
        for name in ("travel-policy.pdf", "bearings.pdf") * 3:
            with pypdfium2.PdfDocument(SAMPLE / name) as document:
                joined.import_pages(document)
        joined.save(tmp_path / "joined.pdf")
    wanted = ExtractOptions(format="pdf", images=images, page_as_image=images)
    with ParserPool(1) as whole, ParserPool(3, pages_per_part=2) as parts:
        expected = list(whole.pages(tmp_path / "joined.pdf", wanted))
        assert [page.number for page in expected] == list(range(1, 10))
        assert list(parts.pages(tmp_path / "joined.pdf", wanted)) == expected
