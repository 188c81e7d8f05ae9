"""``init``: a Python file that makes a corpus of a folder or bucket, as a place to begin."""

from __future__ import annotations

import keyword
import re
import unicodedata
from pathlib import Path

import click

from nemo_retriever_dagster.cli.shown import console, harmless
from nemo_retriever_dagster.errors import InvalidOptionError

_TEMPLATE = '''"""The corpus {name}: every document of its source is a partition, and searchable. Yours to change."""

from nemo_retriever_dagster import DocumentCorpus, Ingestor

{name} = DocumentCorpus(
    name="{name}",
    source={source},
    pipeline=Ingestor()
    .extract()
    .split(chunk_size=200, chunk_overlap=30)
    .caption()
    .embed()
    .vdb_upload(collection_name="{name}"),
)
defs = {name}.definitions()  # asset, jobs, sensor, schedule, checks, resources
'''
_LONGEST = 40
_TAKEN = ("defs",)


@click.command()
@click.argument("source")
@click.option("--name", default=None, help="Name of the corpus and its collection; by default made from SOURCE.")
@click.option(
    "-f",
    "--definitions",
    type=click.Path(dir_okay=False, path_type=Path),
    default="definitions.py",
    show_default=True,
    help="The Python file to write.",
)
def init(source: str, name: str | None, definitions: Path) -> None:
    """Write the Python file of a corpus of SOURCE.

    SOURCE is a folder, a file, a pattern, or the URI of a bucket.
    """
    from nemo_retriever_dagster.corpus.document_corpus import check_name
    from nemo_retriever_dagster.source import Source

    documents = len(Source(source).list())
    chosen = name or _named_after(source)
    check_name(chosen)
    if keyword.iskeyword(chosen) or chosen in _TAKEN:
        raise InvalidOptionError(f"{chosen!r} cannot name a corpus in Python.", hint="Choose another with --name.")
    try:
        with definitions.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(name=chosen, source=repr(source)))
    except FileExistsError:
        hint = "Write another with -f FILE, or add the corpus to it by hand."
        raise InvalidOptionError(f"{definitions} is there already.", hint=hint) from None
    except OSError as error:
        raise InvalidOptionError(f"{definitions} cannot be written: {error.strerror}.") from None
    _show_next(chosen, documents, harmless(str(definitions)))


def _named_after(source: str) -> str:
    """Return a name for a corpus: the last part of its source that has letters and no pattern."""
    whole = str(Path(source).absolute()) if source.strip("./") == "" else source
    plain = unicodedata.normalize("NFKD", whole).encode("ascii", "ignore").decode().lower()
    parts = [part for part in plain.split("://")[-1].split("/") if not set(part) & set("*?[")]
    slugs = [re.sub(r"[^a-z0-9]+", "_", part).strip("_")[:_LONGEST] for part in parts]
    last = next((slug for slug in reversed(slugs) if re.search("[a-z]", slug)), "documents")
    return last if last.isidentifier() and not keyword.iskeyword(last) and last not in _TAKEN else f"corpus_{last}"


def _show_next(name: str, documents: int, file: str) -> None:
    option = "" if file == "definitions.py" else f" -f {file}"
    steps = {
        f"nrd plan{option}": "what a run would do",
        f'nrd ingest{option} --query "..."': "do it, and ask something",
        f"dagster dev -f {file}": "the same in the UI, with sensor and schedule",
    }
    width = max(map(len, steps))
    console.print(f"{file} makes the corpus {name}, of {documents} documents now. Next:", markup=False, highlight=False)
    for command, what in steps.items():
        console.print(f"  {command:{width}}  {what}", markup=False, highlight=False)
