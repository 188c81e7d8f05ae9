"""``nrd``: plan, ingest, verify, preview and the other commands of a corpus, from a terminal.

Commands that only read (status, failures, query, preview) do not import Dagster. Every error is at most four lines:
what, why, what next; ``-v`` adds the traceback.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from nemo_retriever_dagster.cli.failing import failures
from nemo_retriever_dagster.cli.ingesting import ingest, plan, reindex, remove, retry
from nemo_retriever_dagster.cli.previewing import markdown, preview
from nemo_retriever_dagster.cli.reading import doctor, query, status
from nemo_retriever_dagster.cli.shown import harmless
from nemo_retriever_dagster.cli.starting import init
from nemo_retriever_dagster.cli.verifying import verify
from nemo_retriever_dagster.errors import RetrieverError


class _Commands(click.Group):
    """Turns our errors into a few lines and an exit code: 1 for a failed document, 2 for a wrong call."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except RetrieverError as error:
            if context.params.get("verbose"):
                raise
            click.echo(harmless(f"{error.message}\n{error.hint}".strip()), err=True)
            context.exit(2)

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the commands in the order in which they are needed, not by the alphabet."""
        del context
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="nemo-retriever-dagster")
def main(*, verbose: bool) -> None:
    """Keep a Milvus index for RAG in step with a changing set of documents."""
    del verbose
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding lacks is spelt out, and is no crash
            stream.reconfigure(errors="backslashreplace")


for _one in (init, preview, markdown, plan, ingest, status, failures, retry, remove, verify, reindex, query, doctor):
    main.add_command(_one)
