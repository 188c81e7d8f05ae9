"""Whatever a parser does, its document fails alone, with a typed error, and the next document is read at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.errors import (
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    InvalidOptionError,
    LimitExceededError,
    MisuseError,
    ParserCrashError,
    ParserTimeoutError,
    SourceUnavailableError,
    UnsupportedFormatError,
)
from nemo_retriever_dagster.extract import parser_process, registry
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nemo_retriever_dagster.extract.contract import Page

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1]
OPTIONS = ExtractOptions(format="faulty")
ELSEWHERE = "from nemo_retriever_dagster.extract import sandbox; sandbox.LINUX = False"
QUICK = Limits(idle_seconds=3, total_seconds=4)

type_file = "Callable[[str], Path]"


@pytest.fixture(autouse=True)
def _faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setitem(registry.EXTRACTORS, "faulty", "faulty_extractors:Faulty")


@pytest.fixture
def told(written: Callable[[str, str], Path]) -> Callable[[str], Path]:
    return partial(written, "faulty")


def texts(pages: Iterator[Page]) -> list[str]:
    return [element.text for page in pages for element in page.elements]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    for _ in range(500):
        if not is_running(pid):
            return True
        time.sleep(0.01)
    return False


def test_pages_come_in_order_and_processes_are_used_again(told):
    with ParserPool(1) as pool:
        assert texts(pool.pages(told("count 50"), OPTIONS)) == [f"page {n}" for n in range(1, 51)]
        first, second = (texts(pool.pages(told("pid"), OPTIONS)) for _ in range(2))
        assert first == second != [str(os.getpid())]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("segfault", ParserCrashError, "SIGSEGV"),
        ("abort", ParserCrashError, "SIGABRT"),
        ("leave 3", ParserCrashError, "exit code 3"),
        ("leave 0", ParserCrashError, "exit code 0"),
        ("kill_parent_first", ParserCrashError, "SIGKILL"),
        ("sleeper 600", ParserTimeoutError, "idle_seconds"),
        ("spin_in_c", ParserTimeoutError, "idle_seconds"),
        ("drip 0.2", ParserTimeoutError, "total_seconds"),
        ("gorge", LimitExceededError, "worker_bytes"),
        ("recurse", LimitExceededError, "nested"),
        ("typed", EncryptedFileError, "Page 2 is locked."),
        ("untyped", CorruptFileError, "KeyError: 'missing xref'"),
        ("short_of_bytes", CorruptFileError, "EOFError: image file is truncated"),
        ("foreign", ParserCrashError, "protocol"),
        ("poisoned", ParserCrashError, "protocol"),
    ],
)
def test_a_fault_is_a_typed_error_and_the_next_document_is_read(told, fault, error, words):
    with ParserPool(1, QUICK if error is ParserTimeoutError else Limits()) as pool:
        assert_typed(pool, told, fault, (error, words))


def assert_typed(pool: ParserPool, told: type_file, fault: str, expected: tuple[type[Exception], str]) -> None:
    error, words = expected
    with pytest.raises(error) as caught:
        texts(pool.pages(told(fault), OPTIONS))
    assert type(caught.value) is error
    assert words in caught.value.message
    assert "faulty" in caught.value.message or fault == "typed"
    assert texts(pool.pages(told("count 2"), OPTIONS)) == ["page 1", "page 2"]


def test_an_error_crosses_whole(told):
    with ParserPool(1) as pool, pytest.raises(EncryptedFileError) as caught:
        texts(pool.pages(told("typed"), OPTIONS))
    assert (caught.value.hint, caught.value.page) == ("Unlock it.", 2)


def test_the_crash_report_of_the_process_is_the_cause(told):
    with ParserPool(1) as pool, pytest.raises(ParserCrashError) as caught:
        texts(pool.pages(told("segfault"), OPTIONS))
    assert "string_at" in str(caught.value.__cause__)


def test_pages_before_the_fault_were_delivered(told):
    with ParserPool(1) as pool:
        pages = pool.pages(told("segfault"), OPTIONS)
        assert texts(iter([next(pages)])) == ["before"]
        with pytest.raises(ParserCrashError):
            next(pages)


def test_what_a_process_sends_is_never_executed(told, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with ParserPool(1) as pool, pytest.raises(ParserCrashError, match="system is not a value"):
        texts(pool.pages(told("poisoned"), OPTIONS))
    assert not (tmp_path / "unpickled").exists()


def test_other_documents_never_notice(told):
    bad = [told(fault) for fault in ("segfault", "gorge", "untyped", "leave 1") * 3]
    good = [told("count 40") for _ in range(12)]
    with ParserPool(2) as pool, ThreadPoolExecutor(6) as threads:
        outcomes = threads.map(
            lambda path: outcome(pool, path), [p for pair in zip(bad, good, strict=True) for p in pair]
        )
        assert list(outcomes)[1::2] == [40] * 12


def outcome(pool: ParserPool, path: Path) -> int | str:
    try:
        return len(texts(pool.pages(path, OPTIONS)))
    except (ParserCrashError, CorruptFileError, LimitExceededError) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (Limits(pages=9), "count 10"),
        (Limits(elements=9), "count 10"),
        (Limits(text_chars=9), "heavy 10"),
        (Limits(file_bytes=9), "heavy 1000"),
        (Limits(text_chars=100_000), "endless"),
    ],
)
def test_limits_hold_for_every_format(told, limits, fault):
    with ParserPool(1, limits) as pool, pytest.raises(LimitExceededError, match="the limit is"):
        texts(pool.pages(told(fault), OPTIONS))


def test_a_process_waits_for_a_slow_reader(told, tmp_path):
    progress = tmp_path / "progress"
    with ParserPool(1, Limits(idle_seconds=2)) as pool:
        pages = pool.pages(told(f"progress {progress}"), OPTIONS)
        next(pages)
        time.sleep(2.5)  # longer than idle_seconds: waiting for us is no idleness of the parser
        assert int(progress.read_text()) < 20
        assert len(list(pages)) == 499


def test_an_abandoned_document_ends_its_process(told):
    with ParserPool(1) as pool:
        pages = pool.pages(told("sleeper 600"), OPTIONS)
        pid = int(next(pages).elements[0].text)
        pages.close()
        assert wait_until_gone(pid)
        assert texts(pool.pages(told("count 1"), OPTIONS)) == ["page 1"]


def test_another_thread_may_give_a_document_up(told):
    with ParserPool(1) as pool:
        pages = pool.pages(told("sleeper 600"), OPTIONS)
        pid = int(next(pages).elements[0].text)
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(next, pages)
            pages.close()
            with pytest.raises(MisuseError, match="document is closed"):
                waiting.result()
        assert wait_until_gone(pid)
        assert texts(pool.pages(told("count 1"), OPTIONS)) == ["page 1"]


def test_a_document_may_be_given_up_while_it_waits_for_a_process(told):
    with ParserPool(1) as pool, ThreadPoolExecutor(1) as thread:
        first, second = (pool.pages(told("sleeper 600"), OPTIONS) for _ in range(2))
        next(first)
        waiting = thread.submit(next, second)
        second.close()
        with pytest.raises((MisuseError, StopIteration)):
            waiting.result()
        first.close()


def test_what_a_parser_started_ends_with_it(told):
    assert_child_ends(told)


def assert_child_ends(told: type_file) -> None:
    with ParserPool(1) as pool:
        pages = pool.pages(told("orphan"), OPTIONS)
        child = int(next(pages).elements[0].text)
        with pytest.raises(ParserCrashError):
            next(pages)
        assert wait_until_gone(child)


def test_processes_are_recycled(told):
    with ParserPool(1, recycle_after=3) as pool:
        pids = [texts(pool.pages(told("pid"), OPTIONS))[0] for _ in range(9)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]


def test_a_process_that_died_between_documents_is_replaced(told):
    with ParserPool(1) as pool:
        (pid,) = texts(pool.pages(told("pid"), OPTIONS))
        os.kill(int(pid), signal.SIGKILL)
        assert texts(pool.pages(told("count 1"), OPTIONS)) == ["page 1"]


def test_noise_stays_in_the_process(told, capfd):
    with ParserPool(1) as pool:
        assert texts(pool.pages(told("noise"), OPTIONS)) == ["fine"]
    assert capfd.readouterr() == ("", "")


def test_no_key_reaches_a_parser(told, monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", "nvapi-canary-0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-aws")
    with ParserPool(1) as pool:
        (environment,) = texts(pool.pages(told("environment"), OPTIONS))
    assert "canary" not in environment


def test_a_parser_that_starts_while_another_thread_imports_opencv_finds_pythons_own_modules(
    told, monkeypatch, tmp_path
):
    opencv = tmp_path / "cv2"
    (opencv / "typing").mkdir(parents=True)
    (opencv / "typing" / "__init__.py").write_text("raise ImportError('not for you')")
    monkeypatch.setattr(sys, "path", [sys.path[0], str(opencv), *sys.path[1:]])  # as its loader has it for a while
    with ParserPool(1) as pool:
        assert texts(pool.pages(told("count 1"), OPTIONS)) == ["page 1"]


@pytest.mark.parametrize(("given", "kept"), [("/opt/cv2/lib64:", ["LD_LIBRARY_PATH=/opt/cv2/lib64"]), (":", [])])
def test_no_parser_loads_libraries_of_the_working_folder(told, monkeypatch, given, kept):
    monkeypatch.setenv("LD_LIBRARY_PATH", given)  # as OpenCV leaves it
    with ParserPool(1) as pool:
        (environment,) = texts(pool.pages(told("environment"), OPTIONS))
    assert [line for line in environment.splitlines() if line.startswith("LD_LIBRARY_PATH")] == kept


def test_a_parser_has_no_core_dump_little_memory_and_none_of_our_libraries(told):
    with ParserPool(1, Limits(worker_bytes=2**30)) as pool:
        assert texts(pool.pages(told("state"), OPTIONS)) == [str([(0, 0), 2**30, False, False, False])]


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parser processes do without what only Linux has."""
    monkeypatch.setattr(parser_process, "_BOOT", f"{ELSEWHERE}; {parser_process._BOOT}")


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("segfault", ParserCrashError, "SIGSEGV"),
        ("leave 3", ParserCrashError, "exit code 3"),
        ("sleeper 600", ParserTimeoutError, "idle_seconds"),
        ("spin_in_c", ParserTimeoutError, "idle_seconds"),
        ("recurse", LimitExceededError, "nested"),
        ("poisoned", ParserCrashError, "protocol"),
    ],
)
def test_without_what_only_linux_has_a_fault_is_a_typed_error(told, fault, error, words):
    with ParserPool(1, QUICK if error is ParserTimeoutError else Limits()) as pool:
        assert_typed(pool, told, fault, (error, words))
        (state,) = texts(pool.pages(told("state"), OPTIONS))
        assert state.startswith("[(0, 0), -1,")  # no core dump; memory is not limited


@pytest.mark.usefixtures("_elsewhere")
def test_without_what_only_linux_has_a_child_ends_with_its_parser(told):
    assert_child_ends(told)


@pytest.mark.parametrize("fault", ["sleeper 600", "orphan_at_rest"])
def test_without_what_only_linux_has_a_parser_ends_with_its_owner(told, fault):
    patched = (
        f"from nemo_retriever_dagster.extract import parser_process as p; p._BOOT = {ELSEWHERE!r} + '; ' + p._BOOT"
    )
    assert_ends_with_its_owner(script(told(fault)).replace("pool = ", f"{patched}\npool = "))


def test_a_flood_of_standard_error_waits_for_nobody_and_the_next_crash_is_still_told(told):
    with ParserPool(1) as pool:
        assert texts(pool.pages(told("noise"), OPTIONS)) == ["fine"]
        with pytest.raises(ParserCrashError) as caught:
            texts(pool.pages(told("segfault"), OPTIONS))
    words = str(caught.value.__cause__)
    assert "string_at" in words
    assert "NOISE" not in words


def test_no_parser_reaches_the_network(told):
    with socket.create_server(("127.0.0.1", 0)) as canary, ParserPool(1) as pool:
        port = canary.getsockname()[1]
        (tries,) = texts(pool.pages(told(f"connect {port}"), OPTIONS))
        assert tries == "PermissionError PermissionError 1"
        canary.setblocking(False)
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_closing_ends_all_processes_and_refuses_more(told):
    pool = ParserPool(2)
    idle, busy = texts(pool.pages(told("pid"), OPTIONS)), pool.pages(told("sleeper 600"), OPTIONS)
    second = ParserPool(1)
    pids = [int(idle[0]), int(next(busy).elements[0].text)]
    pool.close()
    assert all(wait_until_gone(pid) for pid in pids)
    with pytest.raises(MisuseError, match="closed"):
        next(busy)
    with pytest.raises(MisuseError, match="closed"):
        next(pool.pages(told("pid"), OPTIONS))
    second.close()


def test_closing_frees_a_thread_that_reads(told):
    pool = ParserPool(1)
    caught: list[BaseException] = []
    started = threading.Event()

    def read() -> None:
        try:
            for _ in pool.pages(told("sleeper 600"), OPTIONS):
                started.set()
        except MisuseError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert started.wait(30)
    pool.close()
    thread.join(30)
    assert len(caught) == 1


def test_files_that_need_no_parser_to_be_refused(tmp_path, told):
    (tmp_path / "empty").touch()
    with ParserPool(1) as pool:
        with pytest.raises(EmptyFileError):
            next(pool.pages(tmp_path / "empty", OPTIONS))
        with pytest.raises(SourceUnavailableError):
            next(pool.pages(tmp_path / "absent", OPTIONS))
        with pytest.raises(UnsupportedFormatError, match="'klingon'"):
            next(pool.pages(told("pid"), ExtractOptions(format="klingon")))


@pytest.mark.parametrize("sizes", [{"workers": 0}, {"recycle_after": 0}])
def test_a_pool_without_workers_is_refused(sizes):
    with pytest.raises(InvalidOptionError):
        ParserPool(**sizes)


SCRIPT = """
import os, sys, time
print("the main module runs", flush=True)
sys.path[:0] = [{package!r}, {here!r}]
from pathlib import Path
from nemo_retriever_dagster.extract import registry
from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.workers import ParserPool
registry.EXTRACTORS["faulty"] = "faulty_extractors:Faulty"
pool = ParserPool(1)
for page in pool.pages(Path({file!r}), ExtractOptions(format="faulty")):
    print(page.elements[0].text, flush=True)
"""


def script(file: Path) -> str:
    return SCRIPT.format(package=str(PACKAGE), here=str(HERE), file=str(file))


@pytest.mark.parametrize("fault", ["sleeper 600", "spin_in_c", "orphan_at_rest"])
def test_parsers_die_with_a_killed_owner(told, fault):
    assert_ends_with_its_owner(script(told(fault)))


def assert_ends_with_its_owner(program: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with owner:
        owner.stdout.readline()
        pid = int(owner.stdout.readline())
        owner.kill()
    assert wait_until_gone(pid)


def test_an_idle_parser_dies_with_its_owner(told):
    done = subprocess.run([sys.executable, "-c", script(told("pid"))], capture_output=True, text=True, check=True)
    assert wait_until_gone(int(done.stdout.split()[-1]))


def test_the_main_module_runs_once_from_a_script_and_from_a_prompt(told, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(script(told("count 1")))
    from_file = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    from_prompt = subprocess.run(
        [sys.executable], input=script(told("count 1")), capture_output=True, text=True, check=True
    )
    assert from_file.stdout == from_prompt.stdout == "the main module runs\npage 1\n"
