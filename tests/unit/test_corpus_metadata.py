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


def test_all_that_the_ui_lists_says_what_it_is_for() -> None:
    pipeline = Ingestor().extract().caption().embed().store(images=True).vdb_upload(collection_name="notes")
    definitions = DocumentCorpus(name="notes", source="a", pipeline=pipeline).definitions()
    jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    listed = [*jobs, *(definitions.sensors or ()), *(definitions.schedules or ())]
    ops = [op for job in jobs if job.name != "notes_checks" for op in job.graph.iterate_op_defs()]  # checks say it
    assert {one.name: one.description for one in [*listed, *ops] if not one.description} == {}
    assert len(jobs) == 4
    types = [op.config_schema.config_type for op in ops if op.config_schema.config_type]
    fields = {name: field for one in types for name, field in getattr(one, "fields", {}).items()}
    assert {name: bool(field.description) for name, field in fields.items()} == {"keys": True, "drop_former": True}
