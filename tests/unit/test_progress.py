import io
import time

from rich.console import Console

from nemo_retriever_dagster.errors import Stage
from nemo_retriever_dagster.model import Document, Failure
from nemo_retriever_dagster.progress import progress
from nemo_retriever_dagster.work import Work

DOCUMENT = Document(uri="a.pdf", key="a")
GOOD = Work(document=DOCUMENT, counts={"pages": 3})
BAD = Failure.of(DOCUMENT, Stage.EXTRACT, ValueError("no"), run_id="r")


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=200)


def test_a_line_comes_from_time_to_time_though_no_document_is_done() -> None:
    console = plain()
    with progress(2, shown=True, busy={"extract": 2, "embed": 0}, console=console, every=0.01) as observe:
        while "0/2 documents" not in console.file.getvalue():
            time.sleep(0.01)
        assert observe is not None
        observe(GOOD)
        observe(BAD)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "0/2 documents, 0 pages, 0 failed (2 at extract)"
    assert lines[-1] == "2/2 documents, 3 pages, 1 failed (2 at extract), about 0 s left"


def test_a_terminal_gets_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    with progress(2, shown=True, busy={"embed": 1}, console=console) as observe:
        assert observe is not None
        observe(GOOD)
        observe(BAD)
    shown = console.file.getvalue()
    assert "2/2" in shown
    assert "3 pages, 1 failed (1 at embed)" in shown


def test_the_stage_that_all_are_at_stands_before_a_line_and_a_bar() -> None:
    console = plain()
    with progress(1, shown=True, stage="embed", console=console) as observe:
        assert observe is not None
        observe(GOOD)
    assert console.file.getvalue() == "embed: 1/1 documents, 3 pages, 0 failed, about 0 s left\n"
    terminal = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    with progress(1, shown=True, stage="embed", console=terminal) as observe:
        pass
    assert "embed " in terminal.file.getvalue()
    assert "documents" not in terminal.file.getvalue()


def test_silence() -> None:
    console = plain()
    for total, shown in ((2, False), (0, True)):
        with progress(total, shown=shown, console=console) as observe:
            assert observe is None
    assert console.file.getvalue() == ""
