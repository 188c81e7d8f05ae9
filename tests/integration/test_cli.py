"""The command line in a folder of its own: a corpus of three documents, one of them broken."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from nemo_retriever_dagster.cli import explaining, main, shown
from nemo_retriever_dagster.hits import Hit
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Document, Failure
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    import pytest

ELSEWHERE_KEPT = """
import dagster as dg
from nemo_retriever_dagster import DocumentCorpus, Ingestor, MilvusResource, StateResource

notes = DocumentCorpus(
    name="notes", source="docs", pipeline=Ingestor().extract().split().embed().vdb_upload(collection_name="notes")
)
defs = notes.definitions(
    resources={
        "nrd_state": StateResource(state_dir=dg.EnvVar("NOTES_STATE"), ledger_url=dg.EnvVar("NOTES_LEDGER")),
        "nrd_vector_store": MilvusResource(uri=dg.EnvVar("NOTES_ROWS")),
    }
)
"""


def test_the_life_of_a_corpus(nrd, tmp_path: Path) -> None:
    assert "3 new" in nrd("plan").output

    done = nrd("ingest", "--query", "How tight is the saddle's bolt?", "--top-k", "1")
    assert done.exit_code == 1
    assert "3 documents: 2 done, 1 failed; 2 chunks" in done.output
    assert "failed docs/broken.pdf at stage extract" in done.output
    assert "next: " in done.output
    assert "1. docs/bolts.txt" in done.output
    assert "Traceback" not in done.output

    for words in (("status",), ("status", "-c", "notes")):
        assert nrd(*words).output == "notes: 2 current, 1 failed; 2 rows\n"
    assert "1 failed, 2 unchanged" in nrd("plan").output.replace("0 new, 0 changed, 0 unfinished, 0 outdated, ", "")
    each = [line.split() for line in nrd("status", "-d").output.splitlines()]
    assert [(*line[:2], *line[2:5]) for line in each[1:4]] == [
        ("docs/bolts.txt", "current", "0", "1", "notes"),
        ("docs/broken.pdf", "failed"),
        ("docs/paint.txt", "current", "0", "1", "notes"),
    ]
    assert each[4][:3] == ["notes:", "2", "current,"]
    listed = nrd("failures", "-c", "notes").output
    assert nrd("failures").output == listed
    assert "extract (data, 1 attempts)" in listed
    assert "1 failed documents" in listed

    (tmp_path / "docs/broken.pdf").unlink()
    (tmp_path / "docs/broken.pdf").write_bytes((Path(__file__).parents[2] / "assets/sample/bearings.pdf").read_bytes())
    again = nrd("retry", "--stage", "extract")
    assert again.exit_code == 0, again.output
    assert "1 documents: 1 done, 0 failed" in again.output
    assert nrd("failures", "-c", "notes").output == "No failed documents.\n"

    hits = nrd("query", "size of the rear hub's bearing", "--collection", "notes", "--milvus-uri", "notes.db")
    assert "docs/broken.pdf" in hits.output.splitlines()[2]


def test_who_waits_at_a_terminal_sees_how_far_the_stages_are(nrd, tmp_path: Path) -> None:
    first = nrd("ingest", "--allow-failures").stderr.splitlines()
    assert [line.partition(", about")[0] for line in first] == [
        "extract: 3/3 documents, 0 pages, 1 failed",
        "split: 2/2 documents, 0 pages, 0 failed",
        "embed: 2/2 documents, 0 pages, 0 failed",
        "upload: 2/2 documents, 0 pages, 0 failed",
    ]
    (tmp_path / "docs/broken.pdf").unlink()
    definitions = tmp_path / "definitions.py"
    definitions.write_text(definitions.read_text().replace("chunk_size=60", "chunk_size=8"))
    done = nrd("reindex")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("2/2 documents, 0 pages, 0 failed")


def test_a_wrong_call_is_a_few_lines_and_no_traceback(nrd) -> None:
    wrong = nrd("ingest", "--corpus", "nots")
    assert wrong.exit_code == 2
    assert "makes these corpora: notes" in wrong.output
    assert len(wrong.output.strip().splitlines()) <= 4
    for words in (("status",), ("failures",)):
        early = nrd(*words)
        assert early.exit_code == 2
        assert "nothing was ingested here" in early.output
    assert not Path(".nemo_retriever").exists(), "to look makes nothing"
    with Ledger(Settings().ledger) as ledger:
        ledger.remember("letters", [Document(uri="a.txt", key="a.txt.1")])
    for words in (("status", "-c", "notes"), ("failures", "-c", "notes")):
        unknown = nrd(*words)
        assert unknown.exit_code == 2
        assert "knows no corpus 'notes'; it knows letters" in unknown.output


def test_the_commands_work_with_the_resources_of_the_definitions(nrd, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "definitions.py").write_text(ELSEWHERE_KEPT)
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setenv("NOTES_STATE", str(kept / "state"))
    monkeypatch.setenv("NOTES_LEDGER", f"sqlite:///{kept / 'ledger.db'}")
    monkeypatch.setenv("NOTES_ROWS", str(kept / "rows.db"))

    ingested = nrd("ingest", "--allow-failures", "--query", "How tight is the saddle's bolt?", "--top-k", "1")
    assert ingested.exit_code == 0, ingested.output
    assert "1. docs/bolts.txt" in ingested.output
    assert "1 failed, 2 unchanged" in nrd("plan").output
    assert "notes: 2 documents, 2 rows, 0 pictures: all as the receipts say" in nrd("verify").output
    assert "1 documents: 0 done, 1 failed" in nrd("retry").output

    with Ledger(f"sqlite:///{kept / 'ledger.db'}") as ledger, MilvusStore(str(kept / "rows.db")) as store:
        store.delete("notes", next(receipt.document for receipt in ledger.receipts("notes")))
        ledger.forget("notes", next(receipt.document for receipt in reversed(ledger.receipts("notes"))))
    assert "2 differ" in nrd("verify").output
    mended = nrd("verify", "--repair")
    assert mended.exit_code == 0, mended.output
    again = nrd("reindex")
    assert again.exit_code == 0, again.output
    assert {path.name for path in tmp_path.iterdir()} == {"definitions.py", "docs", "kept"}

    monkeypatch.delenv("NOTES_LEDGER")
    unset = nrd("plan")
    assert unset.exit_code == 2
    assert "'NOTES_LEDGER'" in unset.output
    assert len(unset.output.strip().splitlines()) == 2


def test_a_search_where_nothing_is_says_so_in_two_lines_and_makes_nothing(nrd, tmp_path: Path) -> None:
    absent = nrd("query", "what?", "--collection", "nowhere", "--milvus-uri", "notes.db")
    assert absent.exit_code == 2
    assert "There is no Milvus Lite store at" in absent.output
    assert not list(tmp_path.glob("notes.db*"))
    nrd("ingest", "--allow-failures")
    # in a process of its own: what pymilvus logs depends on when it is imported
    command = [sys.executable, "-m", "nemo_retriever_dagster.cli", "query", "what?", "--collection", "nowhere"]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([*command, "--milvus-uri", "notes.db"], capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 2
    said = (done.stdout + done.stderr).strip().splitlines()
    assert said[0] == f"There is no collection 'nowhere' in {tmp_path / 'notes.db'}."
    assert len(said) == 2


def test_a_preview_is_written_without_dagster_and_as_the_corpus_would_cut(nrd, tmp_path: Path) -> None:
    program = (
        "import sys; from nemo_retriever_dagster.cli import main\n"
        "try: main(['preview', 'docs/bolts.txt'])\n"
        "except SystemExit as end: sys.exit(end.code or ('dagster' in sys.modules and 'dagster was imported'))"
    )
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bolts.txt.preview.html: ")
    assert "newton metres" in (tmp_path / "bolts.txt.preview.html").read_text()

    cut = nrd("preview", "docs/bolts.txt", "-f", "definitions.py", "--compare", "chunk_size=5", "-o", "cut.html")
    assert cut.exit_code == 0, cut.output
    assert "Chunks, as it is" in (tmp_path / "cut.html").read_text()


def test_a_preview_of_a_bad_file_fails_as_its_ingest(nrd, tmp_path: Path) -> None:
    bad = nrd("preview", "docs/broken.pdf")
    assert bad.exit_code == 1
    said = " ".join(bad.output.split())
    assert said.startswith("failed docs/broken.pdf at stage extract why: ")
    assert said in " ".join(nrd("ingest").output.split()), "in the same words"
    assert not (tmp_path / "broken.pdf.preview.html").exists()
    for words in (
        ["nowhere.pdf"],
        ["docs"],
        ["docs/bolts.txt", "--pages", "0"],
        ["docs/bolts.txt", "--compare", "x=1"],
        ["docs/bolts.txt", "-o", "nowhere/out.html"],
    ):
        wrong = nrd("preview", *words)
        assert wrong.exit_code == 2, words
        assert len(wrong.output.strip().splitlines()) <= 4


def test_a_document_is_given_as_markdown(nrd, tmp_path: Path) -> None:
    (tmp_path / "docs/list.md").write_text("# Bolts\n\nThe \u202esaddle.\n\nLast.\n")
    shown = "# Bolts\n\nThe \N{REPLACEMENT CHARACTER}saddle.\n\nLast.\n"
    assert nrd("markdown", "docs/list.md").stdout == shown
    assert nrd("markdown", "docs/list.md", "-f", "definitions.py", "-o", "out.md").exit_code == 0
    assert "saddle" in (tmp_path / "out.md").read_text()


def test_a_bad_file_leaves_no_markdown_behind_a_redirection(nrd, tmp_path: Path) -> None:
    bad = nrd("markdown", "docs/broken.pdf")
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert bad.stderr.startswith("failed docs/broken.pdf at stage extract")
    for words in (["nowhere.pdf"], ["docs"], ["docs/bolts.txt", "--pages", "x"], ["docs/bolts.txt", "-o", "no/out.md"]):
        assert nrd("markdown", *words).exit_code == 2, words


def test_a_hit_is_explained_by_its_ranks_place_version_and_run(nrd, tmp_path: Path) -> None:
    nrd("ingest", "--allow-failures")
    words = (
        "query",
        "How tight is the saddle's bolt?",
        "--collection",
        "notes",
        "--milvus-uri",
        "notes.db",
        "--explain",
    )
    dense = nrd(*words)
    assert dense.exit_code == 0, dense.output
    said = dense.output.splitlines()
    assert said[2].startswith("1. docs/bolts.txt")
    assert said[4].strip() == "dense rank 1; the collection has no full-text index"
    with Ledger(Settings().ledger) as ledger:
        (receipt,) = (one for one in ledger.receipts("notes") if one.uri.endswith("bolts.txt"))
    assert f"source version {receipt.sha256[:12]}, run {receipt.run_id}, chunk " in said[6]
    refused = nrd(*words, "--mode", "sparse")
    assert refused.exit_code == 2

    definitions = tmp_path / "definitions.py"
    definitions.write_text(
        definitions.read_text().replace('collection_name="notes"', 'collection_name="both", sparse=True')
    )
    nrd("ingest", "--allow-failures")
    hybrid = nrd(*words[:3], "both", *words[4:], "--mode", "hybrid", "--top-k", "1").output
    assert "dense rank 1, sparse rank 1, fused score 0.0328" in hybrid
    assert "(score 0.033," in hybrid


def test_text_of_a_document_does_not_act_on_the_terminal(nrd, tmp_path: Path) -> None:
    name = "[red]\x1b[2J\u202efdp.txt"
    (tmp_path / "docs" / name).write_text("The bolt [bold]\x1b]0;taken\x07 of the saddle.")
    assert "\x1b" not in nrd("preview", f"docs/{name}").output
    (tmp_path / "docs/[green]gone.txt").write_text("The saddle is sold.")
    (tmp_path / "docs/[blue]\x1b[1Jbad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    for said in (nrd("plan"), nrd("ingest", "--query", "bolt"), nrd("failures", "-c", "notes"), nrd("verify")):
        assert not {"\x1b", "\x07", "\u202e"} & set(said.output), said.output
    assert "The bolt [bold]" in nrd("query", "bolt", "--collection", "notes", "--milvus-uri", "notes.db").output
    (tmp_path / "docs/[green]gone.txt").unlink()
    assert "docs/[green]gone.txt" in nrd("plan").output


def test_a_definitions_file_that_does_not_run_is_two_lines_with_its_line(nrd, tmp_path: Path) -> None:
    for text, said in {
        "\n1 / 0\n": "broken.py, line 2, cannot be run: ZeroDivisionError: division by zero.",
        "\n\ndef (\n": "broken.py, line 3, cannot be run: SyntaxError: ",
        "import nowhere_at_all\n": "broken.py, line 1, cannot be run: ModuleNotFoundError: ",
    }.items():
        (tmp_path / "broken.py").write_text(text)
        done = nrd("verify", "-f", "broken.py")
        assert done.exit_code == 2
        assert done.output.startswith(said)
        assert len(done.output.strip().splitlines()) == 2
        assert "cannot be run" in str(nrd("-v", "verify", "-f", "broken.py").exception)


def test_what_a_terminal_cannot_spell_is_no_crash(nrd) -> None:
    failure = Failure(
        document="a", uri="ümlaut 日本.pdf", stage="extract", category="data", kind="", cause="Ä", hint="…"
    )
    with Ledger(Settings().ledger) as ledger:
        ledger.remember("notes", [Document(uri=failure.uri, key=failure.document)])
        ledger.fail("notes", failure)
    done = CliRunner(charset="ascii").invoke(main, ["failures"])
    assert done.exit_code == 0, done.output
    first, *rest = done.output.splitlines()
    assert first == r"\xfcmlaut \u65e5\u672c.pdf extract (data, 1 attempts)"
    assert rest == [r"  \xc4", r"  \u2026", "1 failed documents"]


def test_no_name_is_cut_in_a_pipe_or_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"docs/{'l' + 'o' * 300 + 'ng'}.txt"
    monkeypatch.delenv("COLUMNS", raising=False)
    for width in (None, 40):
        piped = shown._console()
        piped.file = io.StringIO()
        if width:
            piped.width = width
        table = shown.documents_table("what", box=None)
        table.add_row(name, "new")
        piped.print(table)
        lines = piped.file.getvalue().splitlines()
        assert "".join(line.split()[0] for line in lines[1:]) == name
        assert (len(lines) == 2) == (width is None)


def test_a_hit_of_another_program_says_what_is_known_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    hit = Hit(text="The bolt", score=0.5, source="theirs.pdf")
    assert explaining._placed(hit) == "place unknown"
    shown.show_hits("bolt?", [hit])
    assert capsys.readouterr().out.splitlines()[-2:] == ["1. theirs.pdf (score 0.500)", "   The bolt"]


def test_a_run_that_breaks_off_says_why_and_not_only_in_which_op(nrd, monkeypatch) -> None:
    monkeypatch.setenv("NRD_ARTIFACTS_URI", "nowhere://bucket/artifacts")
    done = nrd("ingest")
    assert done.exit_code == 1
    assert "nowhere:// cannot be opened: Protocol not known: nowhere" in done.output
