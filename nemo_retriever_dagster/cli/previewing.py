"""``nrd preview``: how a document is read and cut, as a page to look at."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nemo_retriever_dagster.cli.corpora import load_corpus
from nemo_retriever_dagster.cli.shown import console, harmless, short, show_failed
from nemo_retriever_dagster.errors import InvalidOptionError

if TYPE_CHECKING:
    from nemo_retriever_dagster.pipeline import Pipeline

_RANGE = re.compile(r"([1-9]\d{0,6})(?:-([1-9]\d{0,6}))?")


@click.command()
@click.argument("file")
@click.option(
    "-f",
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Read and cut it as the corpus in this Python file does; without it, with the defaults.",
)
@click.option("-c", "--corpus", default=None, help="Name of the corpus, if the file makes several.")
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

    It has what is read from each page, the chunks, and what they are embedded under. Nothing is embedded or
    uploaded. Exits with 1 where an ingest of the document would fail.
    """
    from nemo_retriever_dagster.preview import PreviewError
    from nemo_retriever_dagster.preview import preview as preview_html
    from nemo_retriever_dagster.preview.variants import variants

    shown = _pages(pages)
    pipeline, surroundings = _pipeline(definitions, corpus)
    compared = variants(pipeline, compare) if compare else None
    try:
        made = preview_html(file, pipeline, compare=compared, pages=shown, **surroundings)
    except PreviewError as error:
        failure = error.failure
        show_failed(short(failure.uri), failure.stage, failure.cause, failure.hint)
        sys.exit(1)
    target = output or Path(f"{Path(file).name}.preview.html")
    try:
        target.write_text(made, encoding="utf-8")
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror}."
        raise InvalidOptionError(message, hint="Name another place with --output.") from error
    console.print(
        f"{harmless(str(target))}: {len(made) / 1000:,.0f} kB, to be opened in a browser", highlight=False, markup=False
    )


def _pages(given: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(given.strip())
    if found is None:
        raise InvalidOptionError(f"--pages is {given!r}.", hint="Pages count from 1: 3, or 1-5.")
    return int(found[1]), int(found[2] or found[1])


def _pipeline(definitions: Path | None, corpus: str | None) -> tuple[Pipeline, dict[str, Any]]:
    """Return the pipeline of a corpus, its limits and storage options; the defaults without one."""
    from nemo_retriever_dagster.preview import DEFAULT

    if definitions is None and corpus is None:
        return DEFAULT, {}
    chosen = load_corpus(definitions or Path("definitions.py"), corpus)
    return chosen.pipeline, {"limits": chosen.plant.limits, "storage_options": chosen.plant.storage_options}
