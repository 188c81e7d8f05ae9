"""``--json``: one document on stdout and nothing else, with the exit code that the command has without it."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from nemo_retriever_dagster.cli import main
from nemo_retriever_dagster.cli.answering import Answer
from nemo_retriever_dagster.ledger import Ledger
from nemo_retriever_dagster.model import Box, Document, Failure
from nemo_retriever_dagster.retriever import Retriever
from nemo_retriever_dagster.settings import Settings
from nemo_retriever_dagster.source_names import partition_key
from nemo_retriever_dagster.vdb.milvus import MilvusStore

if TYPE_CHECKING:
    from pathlib import Path

BOLTS, BROKEN, PAINT = (
    {"document": partition_key(uri), "uri": uri} for uri in ("docs/bolts.txt", "docs/broken.pdf", "docs/paint.txt")
)
EMBEDDER, STAGES = "local/all-MiniLM-L6-v2", ("extract", "split", "embed", "upload")
NOBODY = dict.fromkeys(("new", "changed", "unfinished", "outdated", "failed", "unchanged", "vanished"), 0)
NOTHING = {"documents": 2, "rows": 2, "pictures": 0, "problems": [], "writing": [], "remade": [], "unread": []}


def answer(done: Result, exit_code: int = 0) -> dict:
    """Return what stands on stdout, which is one line of ASCII and nothing else."""
    assert done.exit_code == exit_code, done.output
    assert done.stdout.isascii()
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def as_read(value: object) -> dict:
    """Return all fields of a dataclass as JSON gives them back."""
    return json.loads(json.dumps(asdict(value)))


@pytest.fixture
def ingested(nrd):
    nrd("ingest", "--allow-failures")
    return nrd


def test_a_plan_has_the_documents_of_each_word(nrd, tmp_path: Path) -> None:
    (tmp_path / "docs/.hidden").write_text("x")
    with (tmp_path / "definitions.py").open("a") as file:
        file.write("print('Loaded.')\n")
    done = nrd("plan", "--json")
    passed = [{"uri": "docs/.hidden", "reason": "hidden file", "lost": False, "unseen": False}]
    lists = {word: [] for word in NOBODY}
    expected = {"corpus": "notes", "counts": {**NOBODY, "new": 3}, **lists, "passed_over": passed}
    embedder = {"stage": "embed", "engine": EMBEDDER, "documents": 3, "seen": 0, "expected": None, "margin": None}
    work = {"stages": dict.fromkeys(STAGES, 3), "forecast": [embedder]}
    assert answer(done) == {**expected, "new": [BOLTS, BROKEN, PAINT], **work}
    assert done.stderr == "Loaded.\n", "what the file of the corpus prints is no part of the answer"

    nrd("ingest", "--allow-failures")
    (tmp_path / "docs/paint.txt").unlink()
    counts = {**NOBODY, "failed": 1, "unchanged": 1, "vanished": 1}
    found = {"counts": counts, "failed": [BROKEN], "unchanged": [BOLTS], "vanished": [PAINT]}
    found |= {"stages": dict.fromkeys(STAGES, 0), "forecast": []}
    assert answer(nrd("plan", "--json")) == {**expected, **found}


def test_a_plan_foresees_what_a_new_document_asks_of_the_embedder(ingested, tmp_path: Path) -> None:
    (tmp_path / "docs/new.txt").write_text("A third note.")
    spent = [row.usage for row in Ledger(Settings().ledger).usage("notes")]
    work = answer(ingested("plan", "--json"))
    (embed,) = work["forecast"]
    assert work["stages"] == dict.fromkeys(STAGES, 1)
    assert (embed["engine"], embed["documents"], embed["seen"]) == (EMBEDDER, 1, 2)
    assert embed["expected"]["tokens"] == round(sum(usage.tokens for usage in spent) / 2)
    shown = ingested("plan").output.splitlines()
    assert "To do, where no results are kept: extract 1, split 1, embed 1, upload 1" in shown
    assert shown[-1].split()[:5] == ["embed", EMBEDDER, "1", "1", "1"]


def test_the_status_counts_every_word_and_has_each_document_with_its_receipt(ingested) -> None:
    counts = {"new": 0, "current": 2, "changed": 0, "writing": 0, "failed": 1}
    standing = {"corpus": "notes", "counts": counts, "rows": 2}
    with Ledger(Settings().ledger) as ledger:
        states, receipts = ledger.versions("notes"), ledger.receipts("notes")
        ledger.remember("letters", [Document(uri="a.txt", key="a.txt.1")])
    letters = {"corpus": "letters", "counts": {**dict.fromkeys(counts, 0), "new": 1}, "rows": 0}
    assert answer(ingested("status", "--json")) == {"corpora": [letters, standing]}
    (found,) = answer(ingested("status", "-d", "-c", "notes", "--json"))["corpora"]
    documents = found.pop("documents")
    assert found == standing
    assert [{name: one[name] for name in ("document", "uri")} for one in documents] == [BOLTS, BROKEN, PAINT]
    assert [one["status"] for one in documents] == ["current", "failed", "current"]
    written = {receipt.document: as_read(receipt) for receipt in receipts}
    for one in documents:
        key = one.pop("document")
        assert one.pop("receipt") == written.get(key)
        assert {"key": key, **one} == as_read(states[key])


def test_failures_are_whole_and_without_secrets(nrd, tmp_path: Path) -> None:
    failure = Failure(
        document="a.1", uri="日本 \x1b😀.pdf", stage="embed", category="misuse", kind="AuthError", page=3, attempts=2,
        cause="Bearer nvapi-0123456789abcdef0123456789 was refused.", hint="Ä", run_id="r", version="v", fingerprint="f",
    )  # fmt: skip
    with Ledger(Settings().ledger) as ledger:
        ledger.remember("notes", [Document(uri=failure.uri, key=failure.document)])
        noted = ledger.fail("notes", failure)
    done = CliRunner(charset="ascii").invoke(main, ["failures", "--json"])
    expected = {"corpus": "notes", **asdict(noted), "cause": "Bearer *** was refused."}
    assert answer(done) == {"failures": [expected]}
    assert done.stderr == ""
    with Ledger(Settings().ledger) as ledger:
        ledger.forget("notes", failure.document)
        ledger.remember("notes", [Document(uri=failure.uri, key=failure.document)])
    assert answer(nrd("failures", "--json")) == {"failures": []}


def test_what_differs_and_its_repair_are_told_document_by_document(ingested) -> None:
    sound = {"corpus": "notes", "sound": True, "found": NOTHING, "repair": None, "after": None}
    assert answer(ingested("verify", "--json")) == {"corpora": [sound]}

    with MilvusStore("notes.db") as store:
        store.delete("notes", PAINT["document"])
    problem = {**PAINT, "expected": 1, "rows": 0, "foreign": 0, "changed": False, "pictures": [], "damaged": []}
    problem |= {"broken_off": False, "what": "0 rows, the receipt says 1"}
    repair = {"emptied": [], "spoilt": [], "again": [PAINT], "removed": []}
    found = {**NOTHING, "rows": 1, "problems": [problem]}
    differing = {**sound, "sound": False, "found": found, "repair": repair}
    told = ingested("verify", "--json")
    assert answer(told, exit_code=1) == {"corpora": [differing]}
    assert told.stderr == ""

    mended = ingested("verify", "--repair", "--json")
    assert answer(mended) == {"corpora": [{**differing, "sound": True, "after": NOTHING}]}
    assert "1 documents: 1 done, 0 failed" in mended.stderr, "how the repair went is a note"


def test_a_hit_has_all_that_is_known_of_it(ingested) -> None:
    question, place = "How tight is the saddle's bolt?", ("--collection", "notes", "--milvus-uri", "notes.db")
    with Retriever("notes", milvus_uri="notes.db") as retriever:
        hits = [as_read(hit) for hit in retriever.query(question, top_k=2)]
    assert [hit["source"] for hit in hits] == [BOLTS["uri"], PAINT["uri"]]
    expected = {"question": question, "collection": "notes", "mode": "dense", "hits": hits}
    assert answer(ingested("query", question, *place, "--json")) == expected
    explained = answer(ingested("query", question, *place, "--json", "--explain"))["hits"]
    ranks = [hit.pop("ranks") for hit in explained]
    assert ranks == [{"dense": n, "sparse": None, "fused": None, "candidates": 50} for n in (1, 2)]
    assert explained == hits


def test_ranks_by_words_and_the_fused_score_are_numbers(nrd, tmp_path: Path) -> None:
    definitions = tmp_path / "definitions.py"
    definitions.write_text(definitions.read_text().replace("milvus_uri=", "sparse=True, milvus_uri="))
    nrd("ingest", "--allow-failures")
    words = ("query", "saddle", "--collection", "notes", "--milvus-uri", "notes.db", "--explain", "--json")
    found = answer(nrd(*words))["hits"]
    assert [hit["ranks"] for hit in found] == [
        {"dense": 1, "sparse": 1, "fused": 2 / 61, "candidates": 50},
        {"dense": 2, "sparse": None, "fused": 1 / 62, "candidates": 50},
    ]


def test_an_error_is_text_on_stderr_and_no_document(nrd, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("no database at all, but long enough to be taken for one" * 20)
    for words, said in {
        ("status", "--json"): "nothing was ingested here",
        ("failures", "--json"): "nothing was ingested here",
        ("plan", "--json", "-c", "nots"): "makes these corpora: notes",
        ("verify", "--json", "nots"): "makes these corpora: notes",
        ("query", "--json", "what?", "--milvus-uri", "nowhere.db"): "There is no Milvus Lite store at",
        ("query", "--json"): "Missing argument 'QUESTION'",
    }.items():
        wrong = nrd(*words)
        assert (wrong.exit_code, wrong.stdout) == (2, ""), words
        assert said in wrong.stderr
    damaged = CliRunner().invoke(main, ["status", "--json"], env={"NRD_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"})
    assert (damaged.exit_code, damaged.stdout) == (2, "")
    assert "ledger.db" in damaged.stderr


def test_what_json_cannot_say_is_left_to_no_reader() -> None:
    stream = io.StringIO()
    Answer(stream).json({"score": float("nan"), "box": Box(1, 2, 3, 4), "text": "half \ud83d, whole \U0001f600"})
    assert stream.getvalue() == (
        r'{"score": null, "box": [1, 2, 3, 4], "text": "half \ufffd, whole \ud83d\ude00"}' + "\n"
    )
