"""``nrd preview`` and ``nrd markdown``: how a document is read and cut, as a page to look at, and as Markdown."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nemo_retriever_dagster.cli.corpora import corpus_option, load_corpus, usual_place
from nemo_retriever_dagster.cli.shown import console, errors, harmless, short, show_failed
from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from nemo_retriever_dagster.pipeline import Pipeline

_RANGE = re.compile(r"([1-9]\d{0,6})(?:-([1-9]\d{0,6}))?")


_definitions_option = click.option(
    "-f",
    "--definitions",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="Read and cut it as the corpus of this Python file or Dagster project does; without it, with the defaults.",
)


@click.command()
@click.argument("file")
@_definitions_option
@corpus_option
@click.option("--page", "--pages", "pages", default="1-20", show_default=True, help="Pages to show: 3, or 1-5.")
@click.option(
    "--compare",
    default=None,
    metavar="OPTION=A[,B]",
    help="Show the chunks of two configurations side by side, e.g. chunk_size=256,512.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="Where to write the HTML; by default NAME.preview.html here.")  # fmt: skip
def preview(
    file: str, *, definitions: Path | None, corpus: str | None, pages: str, compare: str | None, output: Path | None
) -> None:
    """Show how FILE is read and cut, as an HTML page.

    It shows what is read from each page, the chunks, and the headings they are embedded with. Nothing is embedded or
    uploaded. Exits with 1 where an ingest of the document would fail.
    """
    from nemo_retriever_dagster.preview import DEFAULT
    from nemo_retriever_dagster.preview import preview as preview_html
    from nemo_retriever_dagster.preview.variants import variants

    shown = _pages(pages)
    pipeline, surroundings = _pipeline(definitions, corpus, DEFAULT)
    compared = variants(pipeline, compare) if compare else None
    with _failing_as_an_ingest(console):
        made = preview_html(file, pipeline, compare=compared, pages=shown, **surroundings)
    target = output or Path(f"{Path(file).name}.preview.html")
    _write(target, made)
    console.print(
        f"{harmless(str(target))}: {len(made) / 1000:,.0f} kB, to be opened in a browser", highlight=False, markup=False
    )


@click.command()
@click.argument("file")
@_definitions_option
@corpus_option
@click.option("--page", "--pages", "pages", default=None, help="Pages to convert: 3, or 1-5; all by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="Where to write it; printed by default.")  # fmt: skip
def markdown(
    file: str, *, definitions: Path | None, corpus: str | None, pages: str | None, output: Path | None
) -> None:
    """Convert FILE to Markdown: all that is read of it, in order.

    Nothing is embedded or uploaded. Exits with 1 where an ingest of the document would fail.
    """
    from nemo_retriever_dagster.preview import READ
    from nemo_retriever_dagster.preview import markdown as as_markdown

    wanted = _pages(pages) if pages else None
    pipeline, surroundings = _pipeline(definitions, corpus, READ)
    with _failing_as_an_ingest(errors):
        made = as_markdown(file, pipeline, pages=wanted, **surroundings)
    if output:
        _write(output, made)
    else:
        click.echo(harmless(made), nl=False)


@contextmanager
def _failing_as_an_ingest(on: Console) -> Iterator[None]:
    """Show a document that does not get through as an ingest does, and exit."""
    from nemo_retriever_dagster.preview import PreviewError

    try:
        yield
    except PreviewError as error:
        failure = error.failure
        show_failed(short(failure.uri), failure.stage, failure.cause, failure.hint, on=on)
        sys.exit(1)


def _write(target: Path, text: str) -> None:
    """Write a text; half a character, which a broken document may hold, becomes a question mark."""
    try:
        target.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror}."
        raise InvalidOptionError(message, hint="Name another place with --output.") from error


def _pages(given: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(given.strip())
    if found is None:
        raise InvalidOptionError(f"--pages is {given!r}.", hint="Pages count from 1: 3, or 1-5.")
    return int(found[1]), int(found[2] or found[1])


def _pipeline(definitions: Path | None, corpus: str | None, default: Pipeline) -> tuple[Pipeline, dict[str, Any]]:
    """Return the pipeline of a corpus, its limits and storage options; the default without one."""
    if definitions is None and corpus is None:
        return default, {}
    chosen = load_corpus(definitions or Path(usual_place()), corpus)
    return chosen.pipeline, {"limits": chosen.plant.limits, "storage_options": chosen.plant.storage_options}
