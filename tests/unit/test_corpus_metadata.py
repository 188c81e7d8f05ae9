"""What the UI shows of a corpus and a document can be read there."""

from __future__ import annotations

from pathlib import Path

from nemo_retriever_dagster import DocumentCorpus, Ingestor
from nemo_retriever_dagster.corpus.metadata import preview
from nemo_retriever_dagster.model import Chunk, Kind


def chunk(text: str) -> Chunk:
    return Chunk(element=0, position=0, kind=Kind.TEXT, text=text, begins=0)


def test_a_preview_has_no_line_that_is_cut_off_and_keeps_those_there_are() -> None:
    code = "def tighten(bolt):\n    return ```bolt```"
    lines = preview([chunk("The bolt is tightened. " * 9), chunk(code)]).split("\n")
    assert max(map(len, lines)) <= 72
    assert lines[0] == "````text"
    assert " ".join(lines[1:4]).strip() == " ".join(["The bolt is tightened."] * 9)
    assert lines[4:] == ["", "def tighten(bolt):", "    return ```bolt```", "````"]


def test_patterns_keep_their_stars_in_the_description_which_is_markdown() -> None:
    source = [Path("a/**/*.pdf"), "b/**/*.txt"]
    corpus = DocumentCorpus(name="notes", source=source, pipeline=Ingestor().extract())
    (description,) = corpus.asset.descriptions_by_key.values()
    assert "`a/**/*.pdf, b/**/*.txt`" in description
