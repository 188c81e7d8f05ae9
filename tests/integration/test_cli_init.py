"""``nrd init``: the file it writes is a corpus as it stands, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_retriever_dagster.cli.corpora import load_corpora
from nemo_retriever_dagster.cli.starting import _named_after


def test_a_new_file_makes_a_corpus_that_can_be_ingested_and_asked(nrd, tmp_path: Path) -> None:
    (tmp_path / "definitions.py").unlink()
    (tmp_path / "docs/broken.pdf").unlink()
    begun = nrd("init", "docs")
    assert begun.exit_code == 0, begun.output
    assert begun.output.startswith("definitions.py makes the corpus docs, of 2 documents now. Next:")
    assert "2 new" in nrd("plan").output
    asked = nrd("ingest", "--query", "How tight is the saddle's bolt?", "--top-k", "1")
    assert asked.exit_code == 0, asked.output
    assert "1. docs/bolts.txt" in asked.output


def test_what_is_there_stays(nrd, tmp_path: Path) -> None:
    before = (tmp_path / "definitions.py").read_bytes()
    refused = nrd("init", "docs")
    assert refused.exit_code == 2
    assert (
        refused.output
        == "definitions.py is there already.\nWrite another with -f FILE, or add the corpus to it by hand.\n"
    )
    assert (tmp_path / "definitions.py").read_bytes() == before


def test_another_file_is_named_in_what_comes_next(nrd, tmp_path: Path) -> None:
    begun = nrd("init", "docs/*.txt", "-f", "more.py", "--name", "texts")
    assert "nrd plan -f more.py " in begun.output
    (corpus,) = load_corpora(tmp_path / "more.py", [])
    assert (corpus.name, [document.uri for document in corpus.plant.documents().list()]) == (
        "texts",
        ["docs/bolts.txt", "docs/paint.txt"],
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "nowhere"),
        (("docs", "--name", "Two Words"), "'Two Words' is no name for a corpus."),
        (("docs", "--name", "class"), "'class' cannot name a corpus in Python."),
        (("docs", "-f", "none/here.py"), "none/here.py cannot be written: No such file or directory."),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    nrd, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "definitions.py").unlink()
    refused = nrd("init", *words)
    assert refused.exit_code == 2
    assert message in refused.output
    assert not list(tmp_path.rglob("*.py"))


def test_a_folder_of_any_name_is_written_as_it_is(nrd, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s "Ü" {x}'
    odd.mkdir()
    (odd / "a.txt").write_text("A.")
    assert nrd("init", odd.name, "-f", "odd.py").exit_code == 0
    (corpus,) = load_corpora(Path("odd.py"), [])
    assert [document.uri for document in corpus.plant.documents().list()] == [f"{odd.name}/a.txt"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("s3://acme/Hand-Book/**/*.pdf", "hand_book"),
        ("s3://acme", "acme"),
        ("/data/2026/", "data"),
        ("Übersicht", "ubersicht"),
        ("import", "corpus_import"),
        ("defs", "corpus_defs"),
        ("3d", "corpus_3d"),
        ("文書", "documents"),
        ("a" * 90, "a" * 40),
    ],
)
def test_a_corpus_is_named_after_its_source(source: str, name: str) -> None:
    assert _named_after(source) == name


def test_the_working_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path / "notes")
    assert {_named_after(source) for source in (".", "./")} == {"notes"}
