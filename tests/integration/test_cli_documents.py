"""Commands about some documents of a corpus: one failure whole, only it again, what is gone taken out; and ``--quiet``."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source_names import partition_key
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "docs/broken.pdf"
KEY = partition_key(BROKEN)


@pytest.fixture
def two_broken(nrd, tmp_path: Path):
    """A corpus of which two documents failed."""
    (tmp_path / "docs/empty.txt").write_text("")
    nrd("ingest", "--allow-failures")
    return nrd


def attempts(nrd) -> dict[str, int]:
    return {one["uri"]: one["attempts"] for one in json.loads(nrd("failures", "--json").stdout)["failures"]}


def test_one_failure_is_shown_whole_by_key_path_or_uri(two_broken, tmp_path: Path) -> None:
    shown = two_broken("failures", KEY)
    with Ledger(Settings().ledger) as ledger:
        (failure,) = (one for one in ledger.failures("notes") if one.document == KEY)
    first, *lines = shown.output.splitlines()
    said = dict(line.strip().split(maxsplit=1) for line in lines if not line.strip().startswith("failed at"))
    assert (first, shown.exit_code) == (BROKEN, 0)
    assert (said["corpus"], said["document"], said["stage"], said["error"]) == ("notes", KEY, "extract", failure.kind)
    assert (said["cause"], said["hint"], said["run"]) == (failure.cause, failure.hint, failure.run_id)
    assert f"  failed at {failure.failed_at}" in lines
    assert said["category"].startswith("data: ")
    assert said["retry"] == f"nrd retry -c notes {KEY}"
    assert "page" not in said, "what is not known has no line"
    for name in (BROKEN, f"./{BROKEN}", str(tmp_path / BROKEN)):
        assert two_broken("failures", name).output == shown.output
    (found,) = json.loads(two_broken("failures", BROKEN, "--json").stdout)["failures"]
    assert found == {"corpus": "notes", **failure.to_json()}
    for command in ("failures", "retry"):
        wrong = two_broken(command, "docs/bolts.txt")
        assert wrong.exit_code == 2
        assert "There is no failure of docs/bolts.txt" in wrong.output


def test_only_the_documents_named_are_tried_again(two_broken) -> None:
    assert attempts(two_broken) == {BROKEN: 1, "docs/empty.txt": 1}
    command = two_broken("failures", BROKEN, "-f", "definitions.py").output.splitlines()[-1].split(maxsplit=1)[1]
    assert shlex.split(command) == ["nrd", "retry", "-f", "definitions.py", "-c", "notes", KEY]
    assert "1 documents: 0 done, 1 failed" in two_broken(*shlex.split(command)[1:]).output
    assert attempts(two_broken) == {BROKEN: 2, "docs/empty.txt": 1}


def test_a_stage_or_category_that_is_none_is_a_wrong_call(two_broken) -> None:
    for words in (("--stage", "extrakt"), ("--category", "date")):
        wrong = two_broken("retry", *words)
        assert wrong.exit_code == 2, words
        assert "is not one of" in wrong.output
    assert "No failure matches." in two_broken("retry", "--stage", "embed").output
    assert "2 documents: 0 done" in two_broken("retry", "--stage", "extract", "--category", "data").output


def test_quiet_leaves_failures_and_nothing_else(nrd, tmp_path: Path) -> None:
    done = nrd("ingest", "--quiet")
    assert (done.exit_code, done.stderr) == (1, "")
    first, *rest = done.stdout.splitlines()
    assert first == f"failed {BROKEN} at stage extract"
    assert [line.split()[0] for line in rest] == ["why:", "next:"]
    assert nrd("retry", "-q").output == done.output
    assert nrd("retry", "-q", "--stage", "embed").output == ""
    (tmp_path / BROKEN).unlink()
    definitions = tmp_path / "definitions.py"
    definitions.write_text(definitions.read_text().replace("chunk_size=60", "chunk_size=8"))
    for command in ("remove", "reindex", "ingest"):
        quiet = nrd(command, "-q")
        assert (quiet.exit_code, quiet.output) == (0, ""), command


def test_what_is_gone_from_the_source_is_taken_out_unless_too_much_is(nrd, tmp_path: Path) -> None:
    nrd("ingest", "--allow-failures")
    (tmp_path / "docs/paint.txt").unlink()
    assert "`nrd remove`" in nrd("plan").output
    nrd("ingest", "--allow-failures")
    assert "notes: 2 current" in nrd("status").output, "an ingest removes nothing"

    done = nrd("remove")
    assert done.output == "removed docs/paint.txt\n1 documents removed\n"
    assert nrd("status").output == "notes: 1 current, 1 failed; 1 rows\n"
    with MilvusStore("notes.db") as store:
        assert store.count("notes", partition_key("docs/paint.txt")) == 0
    assert nrd("remove").output == "0 documents removed\n"

    (tmp_path / "docs/bolts.txt").unlink()
    (tmp_path / BROKEN).unlink()
    held = nrd("remove")
    assert held.exit_code == 2
    assert "vanished at once" in held.output
    assert nrd("status").output == "notes: 1 current, 1 failed; 1 rows\n"
