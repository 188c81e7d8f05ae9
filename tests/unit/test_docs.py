"""What docs and help list is what there is: options with their defaults, commands, variables, links."""

from __future__ import annotations

import re
import shlex
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nemo_retriever_dagster import Ingestor, Settings, tasks
from nemo_retriever_dagster.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "deploy/README.md", *sorted((ROOT / "docs").glob("*.md"))]
METHODS = {
    "extract": tasks.ExtractTask, "split": tasks.SplitTask, "caption": tasks.CaptionTask, "embed": tasks.EmbedTask,
    "dedup": tasks.DedupTask, "filter": tasks.FilterTask, "store": tasks.StoreTask, "vdb_upload": tasks.UploadTask,
}  # fmt: skip
UNDER_PARAMS = {"source_types": "split_source_types", "hf_access_token": "hf_access_token"}


@pytest.mark.parametrize("method", METHODS)
def test_every_option_of_a_method_is_listed_with_its_default(method: str) -> None:
    page = (ROOT / "docs/ingestor.md").read_text()
    (line,) = re.findall(
        rf"^\| `{method}\(\)` \| (.*) \|$", page.partition("## Options")[2].partition("## ")[0], re.MULTILINE
    )
    for field in fields(METHODS[method]):
        if method == "split" and field.name in UNDER_PARAMS:
            assert f'"{UNDER_PARAMS[field.name]}": ...' in line.replace("[...]", "...")
            continue
        default = field.default if field.default is not MISSING else field.default_factory()
        shown = str(default) if not isinstance(default, str) else f'"{default}"'
        assert f"`{field.name}={shown}`" in line, field.name
    listed = set(re.findall(r"`(\w+)=", line)) - {"params"}
    assert listed <= {field.name for field in fields(METHODS[method])}, "none that does not exist"
    said = getattr(Ingestor, method).__doc__
    assert method == "split" or f"nemo_retriever_dagster.tasks.{METHODS[method].__name__}`" in said


def _commands(page: Path) -> list[list[str]]:
    """Return each call of ``nrd`` that stands in code, as words."""
    text = page.read_text()
    called = re.findall(r"`(nrd [a-z][^`\n]*)`", text)
    called += [line for block in re.findall(r"^```(?:console|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
               for line in re.findall(r"^(?:\$ )?(nrd .*)$", block, re.MULTILINE)]  # fmt: skip
    return [shlex.split(re.split(r" \| | > |  #", one)[0])[1:] for one in called]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_call_of_the_command_line_is_one_that_it_takes(page: Path) -> None:
    for name, *words in _commands(page):
        command = main.commands[name]
        known = {flag for parameter in command.params for flag in parameter.opts} | {"-h", "--help"}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known, f"nrd {name} {words}"


def test_the_readme_lists_every_command() -> None:
    table = (ROOT / "README.md").read_text().partition("At a terminal")[2].partition("## ")[0]
    named = set(re.findall(r"[`,|] ?`?([a-z]+)[ `]", table))
    assert set(main.commands) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_variable_of_our_own_is_listed() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    own = [name for name, field in Settings.model_fields.items() if field.validation_alias is None]
    assert own
    for name in own:
        assert f"`NRD_{name.upper()}`" in page, name


def test_the_list_of_commands_cuts_no_line_off() -> None:
    said = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")[2]
    assert said.count("\n") == len(main.commands) + 1
    assert "..." not in said


def test_every_option_of_a_command_says_what_it_is_for() -> None:
    for name, command in main.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.show_default, f"nrd {name} {parameter.opts}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"\b(?:tests|benchmarks|assets|scripts)/[\w/*.]*\w", text):
        assert list(ROOT.glob(path)), path
    for test in re.findall(r"\btest_\w+\.py", text):
        assert list(ROOT.glob(f"tests/*/{test}")), test
