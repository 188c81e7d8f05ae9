"""``nrd doctor``: what works here and what does not, whatever is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nemo_retriever_dagster import doctor
from nemo_retriever_dagster.extract import parser_process

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = "from nemo_retriever_dagster.extract import sandbox; sandbox.LINUX = False"


def test_the_doctor_names_every_part(nrd) -> None:
    done = nrd("doctor")
    assert done.exit_code == 0, done.output
    for part in ("embedder", "ocr", "ledger", "milvus", "pdfium", "cut off from the network", "soffice"):
        assert part in done.output
    assert "not cut off" not in done.output


def test_the_doctor_says_what_a_parser_process_is_not_kept_from(nrd, monkeypatch) -> None:
    monkeypatch.setattr(parser_process, "_BOOT", f"{ELSEWHERE}; {parser_process._BOOT}")
    done = nrd("doctor")
    assert done.exit_code == 0, done.output
    assert "not cut off from the network" in " ".join(done.output.split())


def test_the_doctor_says_that_parser_processes_do_not_start(nrd, monkeypatch) -> None:
    monkeypatch.setattr(parser_process, "_BOOT", "raise SystemExit('no room for another process')")
    done = nrd("doctor")
    assert done.exit_code == 1, done.output
    assert "no room for another process" in " ".join(done.output.split())


def test_the_doctor_names_an_extra_in_brackets(nrd, monkeypatch) -> None:
    advice = "pip install 'nemo-retriever-dagster[speech]'"
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding(part="[red]", ok=False, note=advice)])
    said = " ".join(nrd("doctor").output.split())
    assert advice in said
    assert "[red]" in said


def test_an_engine_or_a_place_that_cannot_be_is_one_line_among_the_others(nrd, monkeypatch) -> None:
    monkeypatch.setenv("EMBEDDING_NIM_ENDPOINT", "ftp://embed")
    monkeypatch.setenv("NRD_ARTIFACTS_URI", "nowhere://bucket/artifacts")
    done = nrd("doctor", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    said = {finding["part"].partition(":")[0]: finding["note"] for finding in found["findings"] if not finding["ok"]}
    assert not found["sound"]
    assert said["engines"].startswith("ftp://embed is not the address of a NIM")
    assert said["artifacts"].startswith("nowhere:// cannot be opened")
    assert "ledger" not in said
    assert "milvus" not in said


def test_the_doctor_gives_its_findings_to_programs(nrd, monkeypatch) -> None:
    found = [doctor.Finding(part="tesseract", ok=False, note="optional", optional=True)]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    done = nrd("doctor", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"sound": True, "findings": [asdict(found[0])]}


def test_a_full_or_closed_folder_for_temporary_files_is_a_finding(nrd, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor.tempfile, "tempdir", str(tmp_path / "gone"))
    done = nrd("doctor")
    assert done.exit_code == 1, done.output
    assert "No such file or directory" in " ".join(done.output.split())


def test_a_variable_that_cannot_be_is_named_without_its_value(nrd, tmp_path: Path, monkeypatch) -> None:
    for name, value in {"NRD_OCR_ENGINE": "eyes", "NRD_ARTIFACTS_OPTIONS": '["se-cret"]'}.items():
        with monkeypatch.context() as here:
            here.setenv(name, value)
            done = nrd("doctor")
        assert done.exit_code == 2
        assert done.output.startswith(f"The variable {name} cannot be used: Input should be ")
        assert len(done.output.strip().splitlines()) == 2
        assert value not in done.output
    (tmp_path / ".env").write_bytes(b"NRD_OCR_ENGINE=\xff")
    assert nrd("doctor").output.startswith("The file .env cannot be read: it is not UTF-8.\n")
